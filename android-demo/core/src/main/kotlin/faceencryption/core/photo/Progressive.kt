package faceencryption.core.photo

import kotlin.math.abs

/** All quantized coefficients of a picture, by channel and block, each block in the order of a JPEG file. */
internal class Coefficients(channels: Int, val blocks: Int) {
    private val values = Array(channels) { ShortArray(64 * blocks) }
    private val filled = IntArray(channels)

    fun add(channel: Int, block: IntArray) {
        val from = filled[channel]
        for (k in 0 until 64) values[channel][from + k] = block[ZIGZAG[k]].toShort()
        filled[channel] += 64
    }

    operator fun get(channel: Int, block: Int, k: Int): Int = values[channel][64 * block + k].toInt()
}

/**
 * One pass over the picture: of these channels the coefficients [from] to [until], without their lowest [low] bits.
 * Where [high] is not 0, all but the lowest [high] bits were in an earlier scan, and this one adds a bit.
 */
internal class Scan(val channels: List<Int>, val from: Int, val until: Int, val high: Int, val low: Int)

/** The scans of a progressive file, as libjpeg orders them. */
internal fun progression(channels: Int): List<Scan> {
    val all = (0 until channels).toList()
    val colours = if (channels == 1) emptyList() else listOf(2, 1)
    fun colour(high: Int, low: Int) = colours.map { Scan(listOf(it), 1, 63, high, low) }
    fun brightness(from: Int, until: Int, high: Int, low: Int) = Scan(listOf(0), from, until, high, low)
    return listOf(Scan(all, 0, 0, 0, 1), brightness(1, 5, 0, 2)) + colour(0, 1) +
        listOf(brightness(6, 63, 0, 2), brightness(1, 63, 2, 1), Scan(all, 0, 0, 1, 0)) + colour(1, 0) +
        brightness(1, 63, 1, 0)
}

/** What a scan of a progressive file codes. */
internal fun Scan.code(coefficients: Coefficients): Tokens {
    val tokens = Tokens()
    if (from == 0) first(coefficients, tokens) else Others(this, coefficients, tokens).code()
    return tokens
}

/** First coefficients: the difference to the block before, or one bit more. */
private fun Scan.first(coefficients: Coefficients, tokens: Tokens) {
    val last = IntArray(channels.size)
    for (block in 0 until coefficients.blocks) {
        for (channel in channels) {
            val value = coefficients[channel, block, 0] shr low
            if (high > 0) {
                tokens.put(RAW, 0, 1, value and 1)
                continue
            }
            tokens.number(if (channel == 0) 0 else 2, 0, value - last[channel])
            last[channel] = value
        }
    }
}

/** The other coefficients of one channel: runs of zeros, also over many blocks, and bits that correct earlier ones. */
private class Others(private val scan: Scan, private val coefficients: Coefficients, private val tokens: Tokens) {
    private val channel = scan.channels.single()
    private val code = if (channel == 0) 1 else 3

    /** Blocks of which nothing is left, which are said together, and the correcting bits that wait behind them. */
    private var ended = 0
    private var waiting = BooleanArray(MAX_WAITING + 64)
    private var waits = 0

    fun code() {
        for (block in 0 until coefficients.blocks) if (scan.high == 0) begin(block) else refine(block)
        sayEnded()
    }

    private fun begin(block: Int) {
        var run = 0
        for (k in scan.from..scan.until) {
            val value = coefficients[channel, block, k]
            val size = abs(value) shr scan.low
            if (size == 0) {
                run++
                continue
            }
            sayEnded()
            while (run > 15) {
                tokens.put(code, 0xf0, 0, 0)
                run -= 16
            }
            tokens.number(code, run, if (value < 0) -size else size)
            run = 0
        }
        if (run > 0 && ++ended == MAX_ENDED) sayEnded()
    }

    private fun refine(block: Int) {
        val sizes = IntArray(64) { abs(coefficients[channel, block, it]) shr scan.low }
        var lastNew = 0
        for (k in scan.from..scan.until) if (sizes[k] == 1) lastNew = k
        var run = 0
        var start = waits // of this block's correcting bits
        for (k in scan.from..scan.until) {
            if (sizes[k] == 0) {
                run++
                continue
            }
            while (run > 15 && k <= lastNew) {
                val own = take(start)
                sayEnded()
                tokens.put(code, 0xf0, 0, 0)
                run -= 16
                say(own)
                start = 0
            }
            if (sizes[k] > 1) {
                waiting[waits++] = sizes[k] and 1 == 1
                continue
            }
            val own = take(start)
            sayEnded()
            tokens.put(code, (run shl 4) + 1, 1, if (coefficients[channel, block, k] < 0) 0 else 1)
            say(own)
            start = 0
            run = 0
        }
        if (run > 0 || waits > start) {
            ended++
            if (ended == MAX_ENDED || waits > MAX_WAITING) sayEnded()
        }
    }

    /** Take this block's correcting bits from behind those of the blocks that ended. */
    private fun take(start: Int): BooleanArray = waiting.copyOfRange(start, waits).also { waits = start }

    private fun say(bits: BooleanArray) {
        for (bit in bits) tokens.put(RAW, 0, 1, if (bit) 1 else 0)
    }

    private fun sayEnded() {
        if (ended == 0) return
        val size = 31 - Integer.numberOfLeadingZeros(ended)
        tokens.put(code, size shl 4, size, ended and (1 shl size) - 1)
        ended = 0
        val bits = take(0)
        say(bits)
    }

    private companion object {
        const val MAX_ENDED = 0x7fff
        const val MAX_WAITING = 1000 - 64 + 1 // as libjpeg has room for
    }
}
