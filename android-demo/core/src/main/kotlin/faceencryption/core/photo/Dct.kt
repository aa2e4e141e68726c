package faceencryption.core.photo

/** Natural index of each coefficient in the order in which a JPEG file has them. */
internal val ZIGZAG = intArrayOf(
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
)

/** Transform 8 x 8 levels around 0 in place, as libjpeg's accurate integer DCT does; eight times too large. */
internal fun transform(block: IntArray) {
    for (row in 0 until 8) pass(block, 8 * row, 1, 2, 11)
    for (column in 0 until 8) pass(block, column, 8, -2, 15)
}

/**
 * Transform eight numbers, [stride] apart, by the algorithm of Loeffler, Ligtenberg and Moschytz with 13 bits behind
 * the point. [raise] is how many bits the sums gain (or lose, rounded), [drop] how many the products lose.
 */
private fun pass(d: IntArray, at: Int, stride: Int, raise: Int, drop: Int) {
    val i1 = at + stride
    val i2 = i1 + stride
    val i3 = i2 + stride
    val i4 = i3 + stride
    val i5 = i4 + stride
    val i6 = i5 + stride
    val i7 = i6 + stride
    val s0 = d[at] + d[i7]
    val s7 = d[at] - d[i7]
    val s1 = d[i1] + d[i6]
    val s6 = d[i1] - d[i6]
    val s2 = d[i2] + d[i5]
    val s5 = d[i2] - d[i5]
    val s3 = d[i3] + d[i4]
    val s4 = d[i3] - d[i4]
    val e0 = s0 + s3
    val e3 = s0 - s3
    val e1 = s1 + s2
    val e2 = s1 - s2
    val half = 1 shl drop - 1
    if (raise > 0) {
        d[at] = e0 + e1 shl raise
        d[i4] = e0 - e1 shl raise
    } else {
        d[at] = e0 + e1 + 2 shr 2
        d[i4] = e0 - e1 + 2 shr 2
    }
    val even = (e2 + e3) * 4433
    d[i2] = even + e3 * 6270 + half shr drop
    d[i6] = even - e2 * 15137 + half shr drop
    val z5 = (s4 + s6 + s5 + s7) * 9633
    val z1 = (s4 + s7) * -7373
    val z2 = (s5 + s6) * -20995
    val z3 = (s4 + s6) * -16069 + z5
    val z4 = (s5 + s7) * -3196 + z5
    d[i7] = s4 * 2446 + z1 + z3 + half shr drop
    d[i5] = s5 * 16819 + z2 + z4 + half shr drop
    d[i3] = s6 * 25172 + z2 + z3 + half shr drop
    d[i1] = s7 * 12299 + z1 + z4 + half shr drop
}
