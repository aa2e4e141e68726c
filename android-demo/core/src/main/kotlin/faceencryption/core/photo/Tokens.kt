package faceencryption.core.photo

import java.io.ByteArrayOutputStream

/** The number of a code that stands for bits as they are. */
internal const val RAW = 4

/**
 * What is to be coded, in order: symbols, each with the bits that follow it, and bits alone. There are four codes: of
 * the brightness for first coefficients and for others, of the colours for these two.
 */
internal class Tokens {
    /** How often each symbol of each code occurs. */
    val counts = Array(RAW) { LongArray(256) }
    private val chunks = ArrayList<IntArray>()
    private var at = CHUNK

    /** Add a block as baseline JPEG has it; [code] is that of its first coefficient. */
    fun add(block: IntArray, difference: Int, code: Int) {
        number(code, 0, difference)
        var run = 0
        for (k in 1 until 64) {
            val value = block[ZIGZAG[k]]
            if (value == 0) {
                run++
                continue
            }
            while (run > 15) {
                put(code + 1, 0xf0, 0, 0)
                run -= 16
            }
            number(code + 1, run, value)
            run = 0
        }
        if (run > 0) put(code + 1, 0, 0, 0)
    }

    /** A number after a run of zeros: its size in bits is the symbol's lower half. */
    fun number(code: Int, run: Int, value: Int) {
        val size = 32 - Integer.numberOfLeadingZeros(if (value < 0) -value else value)
        put(code, run shl 4 or size, size, (if (value < 0) value - 1 else value) and (1 shl size) - 1)
    }

    /** A symbol of a code, or [RAW] and nothing, and then [count] bits of [value], 15 at most. */
    fun put(code: Int, symbol: Int, count: Int, value: Int) {
        if (at == CHUNK) {
            chunks.add(IntArray(CHUNK))
            at = 0
        }
        chunks[chunks.size - 1][at++] = code shl 27 or (symbol shl 19) or (count shl 15) or value
        if (code < RAW) counts[code][symbol]++
    }

    inline fun forEach(token: (code: Int, symbol: Int, count: Int, value: Int) -> Unit) {
        for (number in 0 until size()) {
            val chunk = chunk(number)
            for (place in 0 until filled(number)) {
                val each = chunk[place]
                token(each ushr 27, each ushr 19 and 255, each ushr 15 and 15, each and 0x7fff)
            }
        }
    }

    fun size() = chunks.size

    fun chunk(number: Int): IntArray = chunks[number]

    fun filled(number: Int) = if (number == chunks.size - 1) at else CHUNK

    private companion object {
        const val CHUNK = 1 shl 18
    }
}

/** Writes bits, the highest first; behind a byte of ones comes one of zeros, for markers begin with ones. */
internal class BitWriter(private val out: ByteArrayOutputStream) {
    private val buffer = ByteArray(1 shl 14)
    private var at = 0
    private var bits = 0L
    private var count = 0

    fun put(value: Int, length: Int) {
        bits = bits shl length or value.toLong()
        count += length
        while (count >= 8) {
            count -= 8
            write((bits ushr count).toInt() and 255)
        }
    }

    fun put(tokens: Tokens, codes: List<Huffman?>) = tokens.forEach { code, symbol, count, value ->
        if (code < RAW) codes[code]!!.let { put(it.code(symbol), it.size(symbol)) }
        put(value, count)
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
