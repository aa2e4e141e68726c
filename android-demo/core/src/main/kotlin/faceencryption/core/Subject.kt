package faceencryption.core

import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/** What our recognizer says of a face: its embedding, of unit norm, and the identity that it takes it for. */
class Recognition(val embedding: FloatArray, val name: String, val probability: Float)

/**
 * What recognizers see in a face.
 *
 * @param embedding our recognizer's, of unit norm.
 * @param reference the surrogates' embeddings, each of unit norm, one behind the other in their turn.
 */
class Signature(val embedding: FloatArray, val reference: FloatArray)

/** A face to protect: its number from 1, its square, and the square's pixels before any change. */
class Part(val number: Int, val face: Face, val square: Square, val original: ByteArray) {
    /** [6, 2], in pixels of the square. */
    val keypoints: FloatArray
        get() = FloatArray(12) { face.keypoints[it] - if (it % 2 == 0) square.x else square.y }

    /**
     * Hold a square within so many levels of the original, and black outside the photo, in place. Where squares overlap
     * their changes add up.
     */
    fun limit(pixels: ByteArray, bound: Double, photoWidth: Int, photoHeight: Int) {
        val most = floor(bound).toInt()
        val columns = max(0, -square.x) until min(square.side, photoWidth - square.x)
        val rows = max(0, -square.y) until min(square.side, photoHeight - square.y)
        for (y in 0 until square.side) {
            for (x in 0 until square.side) {
                val inside = y in rows && x in columns
                for (at in 3 * (y * square.side + x) until 3 * (y * square.side + x) + 3) {
                    val before = level(original, at)
                    val held = min(max(level(pixels, at), max(0, before - most)), min(255, before + most))
                    pixels[at] = if (inside) held.toByte() else 0
                }
            }
        }
    }
}

/**
 * What recognizers say of a face before the attack, and of the gallery's faces that match it.
 *
 * @param known signatures of the gallery's faces that our recognizer matches with this one.
 */
class Subject(val part: Part, val before: Recognition, val signature: Signature, val known: List<Signature>) {
    /** What a cloak moves away from: the mean over the face and the gallery's that match it. */
    val reference: FloatArray
        get() {
            val all = listOf(signature) + known
            return FloatArray(signature.reference.size) { at ->
                (all.fold(0.0) { sum, each -> sum + each.reference[at] } / all.size).toFloat()
            }
        }

    /**
     * Compare the face as it is now with what it was, or with a face of the gallery if that is more similar: by our
     * recognizer and, where there are others, by each of them in its turn.
     */
    fun compare(manifest: Manifest, now: Signature): List<Comparison> {
        val clean = listOf(signature) + known
        val ours = clean.fold(-1.0) { most, each -> max(most, dot(each.embedding, now.embedding)) }
        val results = arrayListOf(Comparison(OWN, ours, manifest.threshold))
        if (!manifest.hasSeveral) return results
        var start = 0
        for (surrogate in manifest.surrogates) {
            val end = start + surrogate.embedding
            if (surrogate.name != OWN) { // which is asked already
                val most = clean.fold(-1.0) { most, each -> max(most, dot(each.reference, now.reference, start, end)) }
                results.add(Comparison(surrogate.name, most, surrogate.thresholds.getValue(manifest.far)))
            }
            start = end
        }
        return results
    }
}

/** The faces of a gallery that count as the same person as a signature. */
fun matches(gallery: List<Signature>, signature: Signature, threshold: Double): List<Signature> {
    val wrong = gallery.firstOrNull {
        it.embedding.size != signature.embedding.size || it.reference.size != signature.reference.size
    }
    if (wrong != null) throw SettingError("the gallery is of other artifacts; enroll with these artifacts")
    return gallery.filter { dot(it.embedding, signature.embedding) >= threshold }
}

/** The largest change of a channel in pixel levels, and the PSNR in dB, over the part that is in the photo. */
internal fun difference(part: Part, saved: ByteArray, photoWidth: Int, photoHeight: Int): Pair<Int, Double> {
    val square = part.square
    var largest = 0
    var squares = 0L
    var count = 0L
    for (y in max(0, -square.y) until min(square.side, photoHeight - square.y)) {
        for (x in max(0, -square.x) until min(square.side, photoWidth - square.x)) {
            for (at in 3 * (y * square.side + x) until 3 * (y * square.side + x) + 3) {
                val change = level(saved, at) - level(part.original, at)
                largest = max(largest, if (change < 0) -change else change)
                squares += change * change
                count++
            }
        }
    }
    if (squares == 0L) return 0 to Double.POSITIVE_INFINITY
    return largest to 10 * kotlin.math.log10(255.0 * 255.0 * count / squares)
}

internal fun dot(one: FloatArray, two: FloatArray, from: Int = 0, until: Int = one.size): Double {
    var sum = 0.0
    for (at in from until until) sum += one[at] * two[at]
    return sum
}
