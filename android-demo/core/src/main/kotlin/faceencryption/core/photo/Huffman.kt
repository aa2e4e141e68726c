package faceencryption.core.photo

private const val MAX_LENGTH = 16

/**
 * A Huffman code for symbols of a byte.
 *
 * @param lengths how many symbols have a code of each length, 1 to 16; the first number means nothing.
 * @param symbols the symbols, shortest code first.
 */
internal class Huffman private constructor(val lengths: IntArray, val symbols: IntArray) {
    private val codes = IntArray(256)
    private val sizes = IntArray(256)

    init {
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

    fun code(symbol: Int): Int = codes[symbol]

    fun size(symbol: Int): Int = sizes[symbol]

    companion object {
        /** Return the best code for how often each symbol occurs, as libjpeg makes it. */
        fun best(counts: LongArray): Huffman {
            val long = codeLengths(counts)
            val used = (0 until 256).filter { long[it] > 0 }
            return Huffman(shorten(long), used.sortedWith(compareBy<Int> { long[it] }.thenBy { it }).toIntArray())
        }

        /** The codes of section K.3 of the standard: first and other coefficients of the brightness, of the colours. */
        val STANDARD: List<Huffman> = listOf(
            standard("00010501010101010100000000000000", "000102030405060708090a0b"),
            standard(
                "0002010303020403050504040000017d",
                "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728" +
                "292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a83848586878889" +
                "8a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2" +
                "e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa",
            ),
            standard("00030101010101010101010000000000", "000102030405060708090a0b"),
            standard(
                "00020102040403040705040400010277",
                "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a26" +
                "2728292a35363738393a434445464748494a535455565758595a636465666768696a737475767778797a828384858687" +
                "88898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9da" +
                "e2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa",
            ),
        )

        private fun standard(lengths: String, symbols: String) =
            Huffman(intArrayOf(0) + bytes(lengths), bytes(symbols))

        private fun bytes(hex: String) = hex.chunked(2).map { it.toInt(16) }.toIntArray()
    }
}

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

/** Return how many codes each length has, and make those longer than 16 shorter, as annex K.2 of the standard has it. */
private fun shorten(long: IntArray): IntArray {
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
    return count.copyOf(MAX_LENGTH + 1)
}
