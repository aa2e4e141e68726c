package faceencryption.core

import kotlin.math.ceil
import kotlin.math.max

// A closer look at a large photo, one part after the other: for faces too small to be seen at one look at all of it.

/** The side of a part in pixels, and how many pixels two parts have in common: larger faces are found without them. */
private const val TILE = 896
private const val LARGE = 128

/** The photo is larger than one part, so that a closer look may find more in it. */
val Detection.mayHoldSmallFaces: Boolean get() = width > TILE || height > TILE

/**
 * Find small faces in a large picture: the detector looks at one part of it after the other.
 *
 * The parts overlap by more than such a face, so that one of them holds it whole.
 *
 * @param score from this score on something may be a face.
 * @param progress is told after each part how many of how many are done.
 * @return faces of at most 128 pixels, highest score first, each once.
 */
internal fun detectSmall(
    artifacts: Artifacts,
    picture: Picture,
    score: Double,
    cancel: Cancel,
    progress: LookProgress,
): List<Face> {
    val found = ArrayList<Face>()
    val tops = tiles(picture.height)
    val lefts = tiles(picture.width)
    for ((row, top) in tops.withIndex()) {
        for ((column, left) in lefts.withIndex()) {
            val part = picture.part(left, top, TILE, TILE)
            for (face in detect(artifacts, part, score, cancel)) {
                val box = face.box.shifted(left, top)
                if (max(box.width, box.height) > LARGE || isCutByPart(box, left, top, part, picture)) continue
                val keypoints = FloatArray(face.keypoints.size) { face.keypoints[it] + if (it % 2 == 0) left else top }
                found.add(Face(box, face.score, keypoints))
            }
            progress.at(row * lefts.size + column + 1, tops.size * lefts.size)
        }
    }
    val faces = ArrayList<Face>()
    for (face in found.sortedByDescending { it.score }) if (!shownBy(face, faces)) faces.add(face)
    return faces
}

/** Where the parts of a line of pixels begin; halves are rounded to even numbers, as Python does. */
private fun tiles(length: Int): List<Int> {
    val count = max(1, ceil((length - LARGE).toDouble() / (TILE - LARGE)).toInt())
    if (count == 1) return listOf(0)
    return List(count) { Math.rint(it.toDouble() * (length - TILE) / (count - 1)).toInt() }
}

/** A border that a part has in the middle of the picture cuts the box. */
private fun isCutByPart(box: Box, left: Int, top: Int, part: Picture, whole: Picture): Boolean {
    val right = left + part.width
    val bottom = top + part.height
    return (left > 0 && box.left <= left) || (top > 0 && box.top <= top) ||
        (right < whole.width && box.right >= right) || (bottom < whole.height && box.bottom >= bottom)
}

private fun Box.shifted(x: Int, y: Int) = Box(left + x, top + y, right + x, bottom + y)
