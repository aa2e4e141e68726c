package faceencryption.core.photo

import faceencryption.core.Picture
import faceencryption.core.level
import java.io.ByteArrayOutputStream
import java.io.DataOutputStream

/**
 * Writes baseline JPEG without subsampling, because a perturbation in colour does not survive that half of the colour
 * samples are dropped. The bytes equal those of libjpeg-turbo with optimised Huffman tables, as Pillow calls it.
 *
 * @param tables quantization tables, one to four, in natural order: of the brightness, of the colours.
 * @param profile ICC profile; empty for none.
 * @param density dots per inch; null for none.
 */
internal class JpegWriter(
    private val tables: List<IntArray>,
    private val profile: ByteArray,
    private val density: Pair<Double, Double>?,
) {
    private val tokens = Tokens()
    private val out = ByteArrayOutputStream(1 shl 20)
    private val data = DataOutputStream(out)

    /** The bytes of the file; of a picture stored as grey with one channel. */
    fun write(picture: Picture): ByteArray {
        val channels = if (picture.isStoredGrey) 1 else 3
        quantize(picture, channels)
        val codes = tokens.counts.take(if (channels == 1) 2 else 4).map { Huffman(it) }
        head(picture, channels, codes)
        BitWriter(out).apply { tokens.forEach { table, symbol, value -> put(codes[table], symbol, value) } }.end()
        data.writeShort(0xffd9)
        return out.toByteArray()
    }

    private fun table(channel: Int) = minOf(channel, tables.size - 1)

    private fun quantize(picture: Picture, channels: Int) {
        val across = (picture.width + 7) / 8
        val planes = Array(channels) { IntArray(8 * 8 * across) }
        val divisors = Array(channels) { channel -> IntArray(64) { tables[table(channel)][it] shl 3 } }
        val reciprocals = Array(channels) { channel ->
            LongArray(64) { (1L shl RECIPROCAL) / maxOf(1, divisors[channel][it]) + 1 }
        }
        val last = IntArray(channels)
        val block = IntArray(64)
        for (top in 0 until picture.height step 8) {
            convert(picture, top, planes, 8 * across)
            for (left in 0 until 8 * across step 8) {
                for (channel in 0 until channels) {
                    for (row in 0 until 8) planes[channel].copyInto(block, 8 * row, 8 * across * row + left, 8 * across * row + left + 8)
                    transform(block)
                    divide(block, divisors[channel], reciprocals[channel])
                    tokens.add(block, block[0] - last[channel], if (channel == 0) 0 else 2)
                    last[channel] = block[0]
                }
            }
        }
    }

    private fun head(picture: Picture, channels: Int, codes: List<Huffman>) {
        data.writeShort(0xffd8)
        segment(0xe0) {
            writeBytes("JFIF\u0000\u0001\u0001")
            writeByte(if (density == null) 0 else 1)
            writeShort(density?.let { Math.rint(it.first).toInt() } ?: 1)
            writeShort(density?.let { Math.rint(it.second).toInt() } ?: 1)
            writeShort(0)
        }
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
        segment(if (isBaseline) 0xc0 else 0xc1) {
            writeByte(8)
            writeShort(picture.height)
            writeShort(picture.width)
            writeByte(channels)
            for (channel in 0 until channels) write(byteArrayOf((channel + 1).toByte(), 0x11, table(channel).toByte()))
        }
        codes.forEachIndexed { at, code ->
            segment(0xc4) {
                writeByte((at % 2 shl 4) or at / 2)
                for (length in 1..16) writeByte(code.lengths[length])
                for (symbol in code.symbols) writeByte(symbol)
            }
        }
        segment(0xda) {
            writeByte(channels)
            for (channel in 0 until channels) write(byteArrayOf((channel + 1).toByte(), if (channel == 0) 0 else 0x11))
            write(byteArrayOf(0, 63, 0))
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

/** What is to be coded: symbols with their further bits, of four codes (brightness, colours; first coefficient, others). */
private class Tokens {
    /** How often each symbol of each code occurs. */
    val counts = Array(4) { LongArray(256) }
    private val chunks = ArrayList<IntArray>()
    private var at = CHUNK

    fun add(block: IntArray, difference: Int, code: Int) {
        add(code, 0, difference)
        var run = 0
        for (k in 1 until 64) {
            val value = block[ZIGZAG[k]]
            if (value == 0) {
                run++
                continue
            }
            while (run > 15) {
                put(code + 1, 0xf0, 0)
                run -= 16
            }
            add(code + 1, run, value)
            run = 0
        }
        if (run > 0) put(code + 1, 0, 0)
    }

    inline fun forEach(token: (code: Int, symbol: Int, value: Int) -> Unit) {
        for ((number, chunk) in chunks.withIndex()) {
            for (place in 0 until if (number == chunks.size - 1) at else CHUNK) {
                token(chunk[place] ushr 24, chunk[place] ushr 16 and 255, chunk[place] and 0xffff)
            }
        }
    }

    private fun add(code: Int, run: Int, value: Int) {
        val size = 32 - Integer.numberOfLeadingZeros(if (value < 0) -value else value)
        put(code, run shl 4 or size, (if (value < 0) value - 1 else value) and (1 shl size) - 1)
    }

    private fun put(code: Int, symbol: Int, value: Int) {
        if (at == CHUNK) {
            chunks.add(IntArray(CHUNK))
            at = 0
        }
        chunks[chunks.size - 1][at++] = code shl 24 or (symbol shl 16) or value
        counts[code][symbol]++
    }

    private companion object {
        const val CHUNK = 1 shl 18
    }
}

private class BitWriter(private val out: ByteArrayOutputStream) {
    private val buffer = ByteArray(1 shl 14)
    private var at = 0
    private var bits = 0L
    private var count = 0

    fun put(code: Huffman, symbol: Int, value: Int) {
        val more = symbol and 15
        bits = bits shl code.size(symbol) or code.code(symbol).toLong()
        bits = bits shl more or value.toLong()
        count += code.size(symbol) + more
        while (count >= 8) {
            count -= 8
            write((bits ushr count).toInt() and 255)
        }
    }

    /** Fill the last byte with ones. */
    fun end() {
        if (count > 0) write(((bits shl 8 - count).toInt() or (1 shl 8 - count) - 1) and 255)
        out.write(buffer, 0, at)
    }

    private fun write(byte: Int) {
        if (at > buffer.size - 2) {
            out.write(buffer, 0, at)
            at = 0
        }
        buffer[at++] = byte.toByte()
        if (byte == 255) buffer[at++] = 0
    }
}
