package faceencryption.core

import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

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
 * A face before the attack, and what it is compared with.
 *
 * @param embedding what the surrogates see in it, each of unit norm, one behind the other.
 * @param known the same of the gallery's faces that our recognizer matches with this one.
 */
class Subject(val part: Part, val embedding: FloatArray, val known: List<FloatArray>) {
    /** What a cloak moves away from: the mean over the face and the gallery's that match it. */
    val reference: FloatArray
        get() {
            val all = listOf(embedding) + known
            return FloatArray(embedding.size) { at ->
                (all.fold(0.0) { sum, each -> sum + each[at] } / all.size).toFloat()
            }
        }

    /**
     * Compare the face as it is now with what it was, or with a face of the gallery if that is more similar: by each
     * surrogate, ours first.
     */
    fun compare(manifest: Manifest, now: FloatArray): List<Comparison> {
        val clean = listOf(embedding) + known
        val results = manifest.surrogates.zip(manifest.parts).map { (surrogate, part) ->
            val most = clean.fold(-1.0) { most, each -> max(most, dot(each, now, part)) }
            Comparison(surrogate.name, most, surrogate.thresholds.getValue(manifest.far))
        }
        return results.sortedBy { it.name != OWN }
    }
}

/** The faces of a gallery that count as the same person as a face, by our recognizer. */
fun matches(manifest: Manifest, gallery: List<FloatArray>, embedding: FloatArray): List<FloatArray> {
    if (gallery.any { it.size != embedding.size }) {
        throw SettingError("the gallery is of other artifacts; enroll with these artifacts")
    }
    val own = manifest.parts[manifest.surrogates.indexOfFirst { it.name == OWN }]
    return gallery.filter { dot(it, embedding, own) >= manifest.threshold }
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

internal fun dot(one: FloatArray, two: FloatArray, part: IntRange): Double {
    var sum = 0.0
    for (at in part) sum += one[at] * two[at]
    return sum
}
