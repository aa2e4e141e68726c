/** The ways in which protecting a photo can fail. Each message is one line: what is wrong, and how to mend it. */

export class FaceEncryptionError extends Error {
  override name = "FaceEncryptionError";
}

/** The photo cannot be read: not an image, damaged, or of a kind that is not supported. */
export class PhotoError extends FaceEncryptionError {
  override name = "PhotoError";
}

/** The photo was read and no face was found in it. */
export class NoFaceError extends FaceEncryptionError {
  override name = "NoFaceError";
}

/** The exported graphs are missing, damaged, of another version, or do not belong together. */
export class ArtifactsError extends FaceEncryptionError {
  override name = "ArtifactsError";
}

/** A setting is out of range, or names a label or a face that does not exist. */
export class SettingError extends FaceEncryptionError {
  override name = "SettingError";
}

/** The user stopped the work. */
export class CanceledError extends FaceEncryptionError {
  override name = "CanceledError";
}
