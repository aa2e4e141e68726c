package faceencryption.core

/** A failure that the user can mend: one line that says what is wrong, where, and how to mend it. */
abstract class FaceEncryptionError(message: String, cause: Throwable? = null) : Exception(message, cause)

/** The photo cannot be read: not an image, damaged, or of a kind that is not supported. */
class PhotoError(val said: Message) : FaceEncryptionError(said.toString()) {
    constructor(kind: MessageKind, vararg values: Any) : this(Message(kind, *values))
}

/** The photo was read and no face was found in it. */
class NoFaceError(message: String) : FaceEncryptionError(message)

/** The exported graphs are missing, damaged, of another version, or do not belong together. */
class ArtifactsError(message: String, cause: Throwable? = null) : FaceEncryptionError(message, cause)

/** A setting is out of range, or names a face that does not exist. */
class SettingError(message: String) : FaceEncryptionError(message)

/** The result cannot be written. */
class OutputError(message: String, cause: Throwable? = null) : FaceEncryptionError(message, cause)

/** The user stopped the work; nothing was written. */
class Cancelled : Exception("cancelled")
