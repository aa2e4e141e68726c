package faceencryption.core

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import java.nio.ByteBuffer
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

// Faces in a photo: finding them, and the square around each. Boxes are in pixels of the upright photo; x grows to the
// right and y downwards. A box may leave the image. Every client must cut the same square to give the same bytes.

/** Boxes with a greater overlap, intersection over union, show the same face. */
private const val SAME_FACE = 0.3

/** A face of a few pixels still gets a square that the recognizer's resampling can work with. */
private const val MIN_SIDE = 16

private const val MAX_FACES = 100L

/** A rectangle in pixels of the upright photo. */
data class Box(val left: Double, val top: Double, val right: Double, val bottom: Double) {
    val width: Double get() = right - left
    val height: Double get() = bottom - top

    /** Intersection over union, 0 to 1. */
    fun sharedPart(other: Box): Double {
        val width = min(right, other.right) - max(left, other.left)
        val height = min(bottom, other.bottom) - max(top, other.top)
        if (width <= 0 || height <= 0) return 0.0
        return width * height / (this.width * this.height + other.width * other.height - width * height)
    }
}

/**
 * One face.
 *
 * @param box may leave the image.
 * @param score the detector's confidence, 0 to 1.
 * @param keypoints [6, 2], x and y in pixels: right eye, left eye, nose tip, mouth, right ear, left ear.
 */
class Face(val box: Box, val score: Float, val keypoints: FloatArray) {
    companion object {
        /** The face in a box that a person drew: certain, and upright, as keypoints in one place say. */
        fun byHand(box: Box): Face {
            val x = ((box.left + box.right) / 2).toFloat()
            val y = ((box.top + box.bottom) / 2).toFloat()
            return Face(box, 1f, FloatArray(12) { if (it % 2 == 0) x else y })
        }
    }
}

/**
 * What was found in a photo.
 *
 * @param faces from left to right, those of boxes given by hand among them.
 * @param unsure what may be a face but scores below the threshold, from left to right; none overlaps a face.
 */
class Detection(val faces: List<Face>, val unsure: List<Face>, val width: Int, val height: Int)

/** A square in a photo: its upper left corner, which may be outside, and its side. */
data class Square(val x: Int, val y: Int, val side: Int) {
    companion object {
        /** The square around a box; `docs/artifacts.md` has the arithmetic. */
        fun around(box: Box, margin: Double): Square {
            val side = max(MIN_SIDE, roundHalfUp((1 + 2 * margin) * max(box.width, box.height)))
            return Square(
                roundHalfUp((box.left + box.right - side) / 2),
                roundHalfUp((box.top + box.bottom - side) / 2),
                side,
            )
        }
    }
}

/** Is told during a closer look how many [parts] of the photo there are, and how many are [done]. */
fun interface LookProgress {
    fun at(done: Int, parts: Int)
}

/**
 * Find the faces in a picture, and say where the detector is unsure.
 *
 * @param minScore from this score on a box counts as a face.
 * @param boxes faces given by hand, each in place of what was found there.
 * @param small look closer, for faces too small for one look at a large photo.
 * @throws SettingError a box lies outside of the picture.
 */
fun findFaces(
    artifacts: Artifacts,
    picture: Picture,
    minScore: Double = artifacts.manifest.score,
    boxes: List<Box> = emptyList(),
    small: Boolean = false,
    cancel: Cancel = Cancel(),
    progress: LookProgress = LookProgress { _, _ -> },
): Detection {
    for (box in boxes) {
        val inside = min(box.right, picture.width.toDouble()) > max(box.left, 0.0) &&
            min(box.bottom, picture.height.toDouble()) > max(box.top, 0.0)
        if (!inside) {
            val edges = listOf(box.left, box.top, box.right, box.bottom).joinToString(",") { plain(it) }
            throw SettingError("the box $edges is not in the photo of ${picture.width}x${picture.height}")
        }
    }
    val score = min(minScore, artifacts.manifest.unsure)
    val large = detect(artifacts, picture, score, cancel)
    val closer = if (small) detectSmall(artifacts, picture, score, cancel, progress) else emptyList()
    val candidates = large + closer.filterNot { shownBy(it, large) }
    val byHand = boxes.map { Face.byHand(it) }
    val faces = byHand + candidates.filter { it.score >= minScore && !shownBy(it, byHand) }
    val unsure = candidates.filter { it.score < minScore && !shownBy(it, faces) }
    return Detection(sorted(faces), sorted(unsure), picture.width, picture.height)
}

/** A number without a fraction where it has none, at most six digits. */
internal fun plain(value: Double): String =
    if (value == floor(value)) value.toLong().toString() else "%.6g".format(java.util.Locale.ROOT, value)

internal fun detect(artifacts: Artifacts, picture: Picture, score: Double, cancel: Cancel): List<Face> {
    val environment = OrtEnvironment.getEnvironment()
    val shape = longArrayOf(picture.height.toLong(), picture.width.toLong(), 3)
    OnnxTensor.createTensor(environment, ByteBuffer.wrap(picture.rgb), shape, OnnxJavaType.UINT8).use { image ->
        OnnxTensor.createTensor(environment, score.toFloat()).use { threshold ->
            OnnxTensor.createTensor(environment, MAX_FACES).use { most ->
                val inputs = mapOf("image" to image, "score_threshold" to threshold, "max_faces" to most)
                artifacts.detector.run(inputs, setOf("boxes", "scores", "keypoints"), cancel).use { found ->
                    val boxes = tensor(found, "boxes").floatBuffer
                    val scores = tensor(found, "scores").floatBuffer
                    val keypoints = tensor(found, "keypoints").floatBuffer
                    return List(scores.remaining()) { at ->
                        val edges = List(4) { boxes[4 * at + it].toDouble() }
                        Face(
                            Box(edges[0], edges[1], edges[2], edges[3]),
                            scores[at],
                            FloatArray(12) { keypoints[12 * at + it] },
                        )
                    }
                }
            }
        }
    }
}

internal fun shownBy(face: Face, others: List<Face>) = others.any { face.box.sharedPart(it.box) > SAME_FACE }

private fun sorted(faces: List<Face>) = faces.sortedWith(
    compareBy<Face> { it.box.left }.thenBy { it.box.top }.thenBy { it.box.right }.thenBy { it.box.bottom },
)

private fun roundHalfUp(value: Double) = floor(value + 0.5).toInt()
