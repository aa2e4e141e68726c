package faceencryption.app

import android.graphics.Bitmap
import android.net.Uri
import faceencryption.core.Box
import faceencryption.core.Detection
import faceencryption.core.Face
import faceencryption.core.FaceResult
import faceencryption.core.Message
import faceencryption.core.photo.Format
import faceencryption.core.photo.MetadataPolicy
import java.io.File

/** How far a photo has come. */
sealed class State {
    object Waiting : State()

    /** It is read, and its faces are looked for; [part] of 1000 of a closer look is done. */
    class Looking(val part: Int = 0) : State()

    /** Its faces are known, and it can be protected. */
    object Ready : State()

    /** [face] of [faces] is being cloaked, [part] of 1000 of the photo is done. */
    class Working(val face: Int, val faces: Int, val attempt: Int, val part: Int) : State()

    /** The protected copy lies in [file]; [metadata] says what of the photo's went along. */
    class Done(
        val file: File,
        val format: Format,
        val faces: List<FaceResult>,
        val metadata: MetadataPolicy,
    ) : State() {
        /** Where the user saved it. */
        var saved: Uri? = null
    }

    /** It is not protected; one line says why, and how to mend it. */
    class Failed(val line: String) : State()
}

/** One photo of a session: what is known of it, and what the user chose. Changed on the main thread alone. */
class Item(val address: Uri?, val source: File) {
    var name = ""
    var state: State = State.Waiting
    var detection: Detection? = null

    /** The faces are those of a closer look. */
    var isCloser = false

    /** In what the protected copy differs from the photo's file, but for the faces. */
    var changes: Map<MetadataPolicy, List<Message>> = emptyMap()
    var thumbnail: Bitmap? = null

    /** To look at, while the photo is shown. */
    var original: Bitmap? = null
    var result: Bitmap? = null

    /** Boxes that the user drew, or confirmed. */
    val boxes = ArrayList<Box>()

    /** Boxes of faces that the user leaves out. */
    private val leftOut = ArrayList<Box>()

    /** The numbers of the faces to protect. */
    val chosen: Set<Int>
        get() = detection?.faces.orEmpty().indices.filterNot { isLeftOut(detection!!.faces[it]) }.map { it + 1 }.toSet()

    fun isLeftOut(face: Face): Boolean = leftOut.any { it.sharedPart(face.box) > SAME }

    /** Leave a face out, or take it in again. */
    fun toggle(face: Face) {
        if (!leftOut.removeAll { it.sharedPart(face.box) > SAME }) leftOut.add(face.box)
    }

    /** The user's choices in numbers, to survive the process. */
    var choices: Pair<DoubleArray, DoubleArray>
        get() = numbers(boxes) to numbers(leftOut)
        set(value) {
            boxes.clear()
            boxes.addAll(boxes(value.first))
            leftOut.clear()
            leftOut.addAll(boxes(value.second))
        }

    private fun numbers(boxes: List<Box>) =
        boxes.flatMap { listOf(it.left, it.top, it.right, it.bottom) }.toDoubleArray()

    private fun boxes(numbers: DoubleArray) = numbers.toList().chunked(4).filter { it.size == 4 }
        .map { (left, top, right, bottom) -> Box(left, top, right, bottom) }

    private companion object {
        /** Boxes with a greater overlap show the same face, also when it was found again. */
        const val SAME = 0.5
    }
}
