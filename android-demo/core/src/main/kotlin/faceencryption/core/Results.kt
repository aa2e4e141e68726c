package faceencryption.core

import faceencryption.core.photo.Format

/** What a recognizer says of a face: how similar it is to what it was before, and from where on that is a match. */
class Comparison(val name: String, val similarity: Double, val threshold: Double) {
    val isMatch: Boolean get() = similarity >= threshold
}

/**
 * What was done to one face, measured on the bytes of the protected photo.
 *
 * @param number of the face in the photo, from 1.
 * @param similarity to the original face, or to a face of the gallery that matched it if that is more; -1 to 1.
 * @param threshold similarities from here on count as the same person, at a false accept rate of 1 %.
 * @param surrogates the same of each other recognizer behind the cloak, in their turn.
 * @param gallery how many faces of the gallery matched the original face.
 * @param plan the numbers of the attempt that was kept.
 * @param change the largest change of a channel in the face's square, in levels.
 * @param psnr of the face's square, in dB; infinite when nothing changed.
 * @param seconds the time that recognizing and attacking it took, all attempts together.
 */
class FaceResult(
    val number: Int,
    val face: Face,
    val similarity: Double,
    val threshold: Double,
    val surrogates: List<Comparison>,
    val gallery: Int,
    val plan: Plan,
    val change: Int,
    val psnr: Double,
    val seconds: Double,
) {
    /** Our recognizer or a surrogate still takes it for the same person. */
    val isMatch: Boolean get() = similarity >= threshold || surrogates.any { it.isMatch }
}

/**
 * A protected photo.
 *
 * @param format of the file, the original's.
 * @param data the bytes of the file.
 * @param faces a result for each protected face.
 * @param notes what else the user may want to know, one line each.
 */
class ProtectedPhoto(val format: Format, val data: ByteArray, val faces: List<FaceResult>, val notes: List<String>)
