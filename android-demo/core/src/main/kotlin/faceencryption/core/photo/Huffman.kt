package faceencryption.core.photo

private const val MAX_LENGTH = 16

/** A Huffman code for symbols of a byte: the best one for how often each occurs, as libjpeg makes it. */
internal class Huffman(counts: LongArray) {
    /** How many symbols have a code of each length, 1 to 16, and the symbols, shortest code first. */
    val lengths = IntArray(MAX_LENGTH + 1)
    val symbols: IntArray

    private val codes = IntArray(256)
    private val sizes = IntArray(256)

    init {
        val long = codeLengths(counts)
        val used = (0 until 256).filter { long[it] > 0 }
        symbols = used.sortedWith(compareBy<Int> { long[it] }.thenBy { it }).toIntArray()
        shorten(long)
        assign()
    }

    fun code(symbol: Int): Int = codes[symbol]

    fun size(symbol: Int): Int = sizes[symbol]

    /** Build the tree by joining the two rarest each time; of equal ones the last. A symbol 256 keeps all ones free. */
    private fun codeLengths(counts: LongArray): IntArray {
        val weights = counts.copyOf(257).also { it[256] = 1 }
        val length = IntArray(257)
        val next = IntArray(257) { -1 }
        while (true) {
            val one = rarest(weights, -1)
            val two = rarest(weights, one)
            if (two < 0) return length
            weights[one] += weights[two]
            weights[two] = 0
            var end = one
            length[end]++
            while (next[end] >= 0) {
                end = next[end]
                length[end]++
            }
            next[end] = two
            var each = two
            while (each >= 0) {
                length[each]++
                each = next[each]
            }
        }
    }

    private fun rarest(weights: LongArray, except: Int): Int {
        var found = -1
        for (at in weights.indices) {
            if (weights[at] > 0 && at != except && (found < 0 || weights[at] <= weights[found])) found = at
        }
        return found
    }

    /** Count the codes of each length, and make those longer than 16 shorter, as annex K.2 of the standard has it. */
    private fun shorten(long: IntArray) {
        val count = IntArray(258)
        for (length in long) if (length > 0) count[length]++
        for (length in 257 downTo MAX_LENGTH + 1) {
            while (count[length] > 0) {
                var shorter = length - 2
                while (count[shorter] == 0) shorter--
                count[length] -= 2
                count[length - 1]++
                count[shorter + 1] += 2
                count[shorter]--
            }
        }
        var last = MAX_LENGTH
        while (count[last] == 0) last--
        count[last]-- // of the symbol 256
        for (length in 1..MAX_LENGTH) lengths[length] = count[length]
    }

    private fun assign() {
        var code = 0
        var at = 0
        for (length in 1..MAX_LENGTH) {
            repeat(lengths[length]) {
                codes[symbols[at]] = code++
                sizes[symbols[at]] = length
                at++
            }
            code = code shl 1
        }
    }
}
