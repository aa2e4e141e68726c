package faceencryption.core.photo

import faceencryption.core.Picture
import faceencryption.core.level
import java.io.ByteArrayOutputStream
import java.io.DataOutputStream

/**
 * Writes JPEG without subsampling, because a perturbation in colour does not survive that half of the colour samples
 * are dropped. The bytes equal those of libjpeg-turbo, as Pillow calls it.
 *
 * @param tables quantization tables, one to four, in natural order: of the brightness, of the colours.
 * @param profile ICC profile; empty for none.
 * @param density dots per inch; null for none.
 * @param isProgressive from coarse to fine, in libjpeg's order of scans; else from top to bottom.
 * @param segments others to write ahead of the picture, marker and content.
 * @param maxOptimized up to so many pixels the picture gets Huffman tables of its own, which save 4 %; in larger ones
 *   that would take longest of all that is done, and so much memory. From coarse to fine they are always its own.
 */
internal class JpegWriter(
    private val tables: List<IntArray>,
    private val profile: ByteArray,
    private val density: Pair<Double, Double>?,
    private val isProgressive: Boolean = false,
    private val segments: List<Pair<Int, ByteArray>> = emptyList(),
    private val maxOptimized: Int = 4_000_000,
) {
    private val out = ByteArrayOutputStream(1 shl 20)
    private val data = DataOutputStream(out)

    /** The bytes of the file; of a picture stored as grey with one channel. */
    fun write(picture: Picture): ByteArray {
        val channels = if (picture.isStoredGrey) 1 else 3
        head(picture, channels)
        if (isProgressive) {
            val coefficients = Coefficients(channels, ((picture.width + 7) / 8) * ((picture.height + 7) / 8))
            quantize(picture, channels) { channel, block -> coefficients.add(channel, block) }
            for (scan in progression(channels)) writeOptimized(scan, scan.code(coefficients))
        } else {
            writeBaseline(picture, channels, picture.width.toLong() * picture.height <= maxOptimized)
        }
        data.writeShort(0xffd9)
        return out.toByteArray()
    }

    private fun writeBaseline(picture: Picture, channels: Int, isOptimized: Boolean) {
        val scan = Scan((0 until channels).toList(), 0, 63, 0, 0)
        val standard = if (channels == 1) Huffman.STANDARD.take(2) else Huffman.STANDARD
        val bits = if (isOptimized) null else head(scan, standard)
        var tokens = Tokens()
        val last = IntArray(channels)
        quantize(picture, channels) { channel, block ->
            tokens.add(block, block[0] - last[channel], if (channel == 0) 0 else 2)
            last[channel] = block[0]
            if (bits != null && tokens.size() > 1) {
                bits.put(tokens, standard)
                tokens = Tokens()
            }
        }
        if (bits == null) return writeOptimized(scan, tokens)
        bits.put(tokens, standard)
        bits.end()
    }

    private fun writeOptimized(scan: Scan, tokens: Tokens) {
        val codes = tokens.counts.map { counts -> if (counts.any { it > 0 }) Huffman.best(counts) else null }
        val bits = head(scan, codes)
        bits.put(tokens, codes)
        bits.end()
    }

    /** Write tables and header of a scan. */
    private fun head(scan: Scan, codes: List<Huffman?>): BitWriter {
        codes.forEachIndexed { at, code ->
            if (code != null) segment(0xc4) {
                writeByte((at % 2 shl 4) or at / 2)
                for (length in 1..16) writeByte(code.lengths[length])
                for (symbol in code.symbols) writeByte(symbol)
            }
        }
        segment(0xda) {
            writeByte(scan.channels.size)
            for (channel in scan.channels) {
                val number = if (channel == 0) 0 else 1
                val first = if (scan.from == 0 && scan.high == 0) number else 0
                writeByte(channel + 1)
                writeByte((first shl 4) or if (scan.until > 0) number else 0)
            }
            write(byteArrayOf(scan.from.toByte(), scan.until.toByte(), (scan.high shl 4 or scan.low).toByte()))
        }
        return BitWriter(out)
    }

    private fun table(channel: Int) = minOf(channel, tables.size - 1)

    private inline fun quantize(picture: Picture, channels: Int, take: (channel: Int, block: IntArray) -> Unit) {
        val across = (picture.width + 7) / 8
        val planes = Array(channels) { IntArray(8 * 8 * across) }
        val divisors = Array(channels) { channel -> IntArray(64) { tables[table(channel)][it] shl 3 } }
        val reciprocals = Array(channels) { channel ->
            LongArray(64) { (1L shl RECIPROCAL) / maxOf(1, divisors[channel][it]) + 1 }
        }
        val block = IntArray(64)
        for (top in 0 until picture.height step 8) {
            convert(picture, top, planes, 8 * across)
            for (left in 0 until 8 * across step 8) {
                for (channel in 0 until channels) {
                    for (row in 0 until 8) {
                        val from = 8 * across * row + left
                        planes[channel].copyInto(block, 8 * row, from, from + 8)
                    }
                    transform(block)
                    divide(block, divisors[channel], reciprocals[channel])
                    take(channel, block)
                }
            }
        }
    }

    private fun head(picture: Picture, channels: Int) {
        data.writeShort(0xffd8)
        segment(0xe0) {
            writeBytes("JFIF\u0000\u0001\u0001")
            writeByte(if (density == null) 0 else 1)
            writeShort(density?.let { Math.rint(it.first).toInt() } ?: 1)
            writeShort(density?.let { Math.rint(it.second).toInt() } ?: 1)
            writeShort(0)
        }
        for ((marker, content) in segments) segment(marker) { write(content) }
        val pieces = (profile.size + MAX_PIECE - 1) / MAX_PIECE
        for (piece in 0 until pieces) segment(0xe2) {
            writeBytes("ICC_PROFILE\u0000")
            writeByte(piece + 1)
            writeByte(pieces)
            write(profile.part(piece * MAX_PIECE, (piece + 1) * MAX_PIECE))
        }
        val used = (0 until channels).map { table(it) }.distinct()
        for (number in used) segment(0xdb) {
            val isWide = tables[number].any { it > 255 }
            writeByte((if (isWide) 16 else 0) or number)
            for (place in ZIGZAG) if (isWide) writeShort(tables[number][place]) else writeByte(tables[number][place])
        }
        val isBaseline = used.all { number -> tables[number].all { it <= 255 } }
        segment(if (isProgressive) 0xc2 else if (isBaseline) 0xc0 else 0xc1) {
            writeByte(8)
            writeShort(picture.height)
            writeShort(picture.width)
            writeByte(channels)
            for (channel in 0 until channels) write(byteArrayOf((channel + 1).toByte(), 0x11, table(channel).toByte()))
        }
    }

    private fun segment(marker: Int, content: DataOutputStream.() -> Unit) {
        val body = ByteArrayOutputStream().also { DataOutputStream(it).content() }.toByteArray()
        data.writeShort(0xff00 or marker)
        data.writeShort(body.size + 2)
        data.write(body)
    }

    private companion object {
        const val MAX_PIECE = 65533 - 14
    }
}

/** Fill eight rows of each plane with levels around 0; what is missing at the edges repeats the last pixel. */
private fun convert(picture: Picture, top: Int, planes: Array<IntArray>, stride: Int) {
    val rgb = picture.rgb
    for (row in 0 until 8) {
        val start = 3 * picture.width * minOf(top + row, picture.height - 1)
        val to = row * stride
        for (x in 0 until picture.width) {
            val red = level(rgb, start + 3 * x)
            val green = level(rgb, start + 3 * x + 1)
            val blue = level(rgb, start + 3 * x + 2)
            if (planes.size == 1) {
                planes[0][to + x] = red - 128
            } else { // libjpeg's 16 bits behind the point
                planes[0][to + x] = (19595 * red + 38470 * green + 7471 * blue + 32768 shr 16) - 128
                planes[1][to + x] = (-11059 * red - 21709 * green + 32768 * blue + 8421375 shr 16) - 128
                planes[2][to + x] = (32768 * red - 27439 * green - 5329 * blue + 8421375 shr 16) - 128
            }
        }
        for (plane in planes) plane.fill(plane[to + picture.width - 1], to + picture.width, to + stride)
    }
}

/** Divide by [divisors], rounding half away from 0. */
private fun divide(block: IntArray, divisors: IntArray, reciprocals: LongArray) {
    for (at in 0 until 64) {
        val value = block[at]
        val size = (if (value < 0) -value else value) + (divisors[at] shr 1)
        if (size < divisors[at]) {
            block[at] = 0
            continue
        }
        val quotient = (size * reciprocals[at] ushr RECIPROCAL).toInt() // exact for what fits 16 bits, and much faster
        block[at] = if (value < 0) -quotient else quotient
    }
}

private const val RECIPROCAL = 40
