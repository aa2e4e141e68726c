package faceencryption.core

import java.util.Locale
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

/** Smaller faces, in pixels, and faces of which less than this part lies in the photo, are hard to protect. */
private const val SMALL = 24
private const val CUT = 0.6

/** The one line that says what became of a face; [stronger] is what to try where it is still a match. */
fun resultLine(photo: String, result: FaceResult, stronger: String = ""): String {
    val tryThis = if (stronger.isEmpty()) "" else ", try $stronger"
    val verdict = if (result.isMatch) "STILL A MATCH$tryThis" else "no longer matches"
    val others = result.surrogates
        .joinToString("") { format("; by %s %.2f, threshold %.2f", it.name, it.similarity, it.threshold) }
    val psnr = if (result.psnr.isInfinite()) "inf" else format("%.1f", result.psnr)
    return format(
        "%s face %d: %s (similarity %.2f, threshold %.2f%s), change <= %d levels, %s dB, %.1f s",
        photo, result.number, verdict, result.similarity, result.threshold, others,
        result.change, psnr, result.seconds,
    )
}

/** What to try after these settings left a face a match, or "" where there is nothing stronger. */
fun suggestStronger(settings: Settings): String = when {
    settings.strength == "low" -> "--strength medium"
    settings.strength == "medium" -> "--strength high"
    settings.steps != null -> "more --steps"
    else -> ""
}

/** What the user may want to know about the faces in a photo: where to look, and what to do, a line each. */
fun detectionNotes(seen: Detection): List<String> =
    seen.unsure.map { unsureNote(it) } + seen.faces.mapIndexedNotNull { at, face -> hardNote(at + 1, face, seen) }

private fun hardNote(number: Int, face: Face, seen: Detection): String? {
    val size = max(face.box.width, face.box.height)
    val flaw = when {
        isSmall(face) -> format("only %.0f pixels large", size)
        isCut(face, seen) -> "cut by the photo's border"
        else -> null
    }
    return flaw?.let {
        format(
            "face %d at %.0f,%.0f to %.0f,%.0f is %s and may stay recognizable: look at it, cover it, or leave it" +
                " out by --faces",
            number, face.box.left, face.box.top, face.box.right, face.box.bottom, it,
        )
    }
}

/** The face is so small that a cloak may not protect it. */
fun isSmall(face: Face): Boolean = max(face.box.width, face.box.height) < SMALL

/** So much of the face lies outside the photo that a cloak may not protect it. */
fun isCut(face: Face, seen: Detection): Boolean {
    val box = face.box
    val width = min(box.right, seen.width.toDouble()) - max(box.left, 0.0)
    val height = min(box.bottom, seen.height.toDouble()) - max(box.top, 0.0)
    return max(width, 0.0) * max(height, 0.0) / max(box.width * box.height, 1e-9) < CUT
}

private fun unsureNote(face: Face): String {
    val edges = listOf(face.box.left, face.box.top, face.box.right, face.box.bottom).map { Math.rint(it).toInt() }
    val score = floor(100.0 * face.score) / 100 // rounded up it would leave this face out
    return format(
        "perhaps a face at %d,%d to %d,%d (score %.2f): if so, add --min-score %.2f or --box %s",
        edges[0], edges[1], edges[2], edges[3], face.score, score, edges.joinToString(","),
    )
}

private fun format(text: String, vararg values: Any) = String.format(Locale.ROOT, text, *values)
