package faceencryption.core

import kotlin.math.max
import kotlin.math.min

/** Lossy coding and scanners leave the channels of a black and white photo so many levels apart: no visible colour. */
private const val GREY_SPREAD = 4

/**
 * Upright pixels.
 *
 * @param rgb uint8 [height, width, 3].
 * @param alpha uint8 [height, width], or null where all of it is opaque.
 * @param isStoredGrey the file has one channel of brightness, and so has the one that is written.
 */
class Picture(
    val width: Int,
    val height: Int,
    val rgb: ByteArray,
    val alpha: ByteArray? = null,
    val isStoredGrey: Boolean = false,
) {
    init {
        require(width > 0 && height > 0 && rgb.size == 3 * width * height) { "not [$height, $width, 3]" }
    }

    /** Nobody sees colour in it. */
    val isGrey: Boolean by lazy(LazyThreadSafetyMode.NONE) { isStoredGrey || spread(rgb) <= GREY_SPREAD }

    /** The pixels of a square, uint8 [side, side, 3]; what lies outside the picture is black. */
    fun cut(square: Square): ByteArray {
        val pixels = ByteArray(3 * square.side * square.side)
        rows(square) { inPicture, inSquare, count -> rgb.copyInto(pixels, inSquare, inPicture, inPicture + count) }
        return pixels
    }

    /** A copy of the part from here on, at most so large; it ends where the picture does. */
    fun part(left: Int, top: Int, width: Int, height: Int): Picture {
        val across = min(width, this.width - left)
        val down = min(height, this.height - top)
        val pixels = ByteArray(3 * across * down)
        for (y in 0 until down) {
            val from = 3 * ((top + y) * this.width + left)
            rgb.copyInto(pixels, 3 * y * across, from, from + 3 * across)
        }
        return Picture(across, down, pixels)
    }

    /**
     * Write a square back; the part outside is dropped.
     *
     * Of a grey photo, each pixel's channels all change by the difference of the means, so that they stay as far apart
     * as they were; by less where one of them would leave 0 to 255.
     */
    fun paste(pixels: ByteArray, square: Square) = rows(square) { inPicture, inSquare, count ->
        if (isGrey) shift(inPicture, pixels, inSquare, count)
        else pixels.copyInto(rgb, inPicture, inSquare, inSquare + count)
    }

    private fun shift(inPicture: Int, pixels: ByteArray, inSquare: Int, count: Int) {
        for (at in 0 until count step 3) {
            val to = inPicture + at
            val red = level(rgb, to)
            val green = level(rgb, to + 1)
            val blue = level(rgb, to + 2)
            val change = mean(pixels, inSquare + at) - mean(rgb, to)
            val least = -min(red, min(green, blue))
            val most = 255 - max(red, max(green, blue))
            val shift = min(max(change, least), most)
            rgb[to] = (red + shift).toByte()
            rgb[to + 1] = (green + shift).toByte()
            rgb[to + 2] = (blue + shift).toByte()
        }
    }

    /** Call with offset in [rgb], offset in the square, and number of bytes, for each row that the two share. */
    private inline fun rows(square: Square, row: (Int, Int, Int) -> Unit) {
        val left = max(square.x, 0)
        val right = min(square.x + square.side, width)
        if (left >= right) return
        for (y in max(square.y, 0) until min(square.y + square.side, height)) {
            val inSquare = 3 * ((y - square.y) * square.side + left - square.x)
            row(3 * (y * width + left), inSquare, 3 * (right - left))
        }
    }
}

/** Replace each channel by the rounded mean of the three, in place. */
internal fun makeGrey(pixels: ByteArray) {
    for (at in pixels.indices step 3) {
        val mean = mean(pixels, at).toByte()
        pixels[at] = mean
        pixels[at + 1] = mean
        pixels[at + 2] = mean
    }
}

internal fun level(pixels: ByteArray, at: Int): Int = pixels[at].toInt() and 255

private fun mean(pixels: ByteArray, at: Int) =
    (level(pixels, at) + level(pixels, at + 1) + level(pixels, at + 2) + 1) / 3

/** The largest distance of two channels of one pixel; ends early where it is more than nobody sees. */
private fun spread(rgb: ByteArray): Int {
    var spread = 0
    for (at in rgb.indices step 3) {
        val red = level(rgb, at)
        val green = level(rgb, at + 1)
        val blue = level(rgb, at + 2)
        spread = max(spread, max(red, max(green, blue)) - min(red, min(green, blue)))
        if (spread > GREY_SPREAD) break
    }
    return spread
}
