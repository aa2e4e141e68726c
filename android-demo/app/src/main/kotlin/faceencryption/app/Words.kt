package faceencryption.app

import android.content.Context
import faceencryption.core.Detection
import faceencryption.core.FaceResult
import faceencryption.core.isCut
import faceencryption.core.isSmall

/** What the screen says of photos and faces, in the user's language. */
class Words(private val context: Context) {
    /** The headline of one photo. */
    fun status(item: Item, session: Session): String = when (val state = item.state) {
        is State.Waiting -> text(if (session.isProtecting) R.string.starting else R.string.reading)
        is State.Looking -> looking(session)
        is State.Ready -> found(item)
        is State.Working -> text(R.string.working, state.face, state.faces)
        is State.Done -> text(if (state.faces.any { it.isMatch }) R.string.done_bad else R.string.done_good)
        is State.Failed -> text(R.string.failed_title)
    }

    /** What lies below it: what can be done, or what came of each face. */
    fun detail(item: Item, session: Session): String = when (val state = item.state) {
        is State.Waiting, is State.Looking -> ""
        is State.Ready -> hints(item).joinToString("\n")
        is State.Working -> if (state.attempt > 1) text(R.string.attempt, state.attempt) else ""
        is State.Done -> {
            val changes = item.changes[state.metadata].orEmpty().map { context.say(it) }
            (state.faces.map { result(it) } + advice(state, session) + changes).joinToString("\n")
        }
        is State.Failed -> state.line
    }

    /** The headline of several photos. */
    fun status(session: Session): String {
        val done = session.items.count { it.state is State.Done }
        val failed = session.items.count { it.state is State.Failed }
        if (session.isProtecting) {
            val now = session.items.indexOfFirst { it.state is State.Working || it.state is State.Waiting } + 1
            return text(R.string.working_photo, maxOf(1, now), session.items.size)
        }
        if (session.isBusy) return looking(session)
        if (done == 0) return count(R.plurals.photos, session.items.size)
        val failures = if (failed > 0) count(R.plurals.failed_photos, failed) else null
        return listOfNotNull(count(R.plurals.done_photos, done), failures).joinToString(", ")
    }

    /** What lies below it: how many faces there are, or are still a match. */
    fun detail(session: Session): String {
        val results = session.items.mapNotNull { it.state as? State.Done }
        val matches = results.sumOf { done -> done.faces.count { it.isMatch } }
        if (matches > 0) return count(R.plurals.matches, matches)
        if (results.isNotEmpty()) return text(R.string.done_good)
        val faces = session.items.sumOf { it.detection?.faces?.size ?: 0 }
        return if (session.isBusy || faces == 0) "" else count(R.plurals.faces, faces)
    }

    /** The line of one of several photos. */
    fun line(item: Item): String = when (val state = item.state) {
        is State.Waiting -> text(R.string.waiting)
        is State.Looking -> text(R.string.looking)
        is State.Ready -> found(item)
        is State.Working -> text(R.string.working, state.face, state.faces)
        is State.Done -> {
            val matches = state.faces.count { it.isMatch }
            if (matches > 0) count(R.plurals.matches, matches) else text(R.string.done_good)
        }
        is State.Failed -> state.line
    }

    /** How much of all photos is done, of 1000; null while that is not known. */
    fun part(session: Session): Int? {
        if (!session.isProtecting && !session.isLookingCloser) return null
        val items = if (session.isLookingCloser) session.large else session.items
        val parts = items.sumOf { item ->
            when (val state = item.state) {
                is State.Done, is State.Failed, is State.Ready -> 1000
                is State.Working -> state.part
                is State.Looking -> state.part
                is State.Waiting -> 0
            }
        }
        return parts / items.size
    }

    /** The faces as they are marked in the photo. */
    fun marks(item: Item, seen: Detection): List<Mark> {
        val faces = seen.faces.mapIndexed { at, face ->
            val isChosen = !item.isLeftOut(face)
            val words = text(if (isChosen) R.string.face_box else R.string.face_left_out, at + 1)
            Mark(face, at + 1, isChosen, false, words)
        }
        return faces + seen.unsure.map { Mark(it, 0, false, true, text(R.string.face_unsure)) }
    }

    /** The photo for those who cannot see it. */
    fun describe(item: Item): String {
        if (item.result != null) return text(R.string.photo_of_protected)
        val marks = item.detection?.let { marks(item, it) }.orEmpty()
        return (listOf(text(R.string.photo_of_original)) + marks.map { it.words }).joinToString("; ")
    }

    private fun looking(session: Session) =
        text(if (session.isLookingCloser) R.string.looking_closer else R.string.looking)

    private fun found(item: Item): String =
        item.detection!!.faces.size.let { if (it == 0) text(R.string.no_face) else count(R.plurals.faces, it) }

    private fun hints(item: Item): List<String> {
        val seen = item.detection!!
        val hard = seen.faces.mapIndexedNotNull { at, face ->
            if (isSmall(face) || isCut(face, seen)) text(R.string.hard_face, at + 1) else null
        }
        return listOfNotNull(
            if (seen.faces.isEmpty()) text(R.string.draw_face) else text(R.string.tap_faces),
            if (seen.unsure.isNotEmpty()) text(R.string.tap_unsure) else null,
            if (seen.faces.isNotEmpty() && item.chosen.isEmpty()) text(R.string.none_chosen) else null,
        ) + hard
    }

    private fun result(face: FaceResult): String {
        val by = face.surrogates.firstOrNull { it.isMatch }
        return when {
            face.similarity >= face.threshold -> text(R.string.face_bad, face.number, face.similarity, face.threshold)
            by != null -> text(R.string.face_bad_by, face.number, by.name, by.similarity, by.threshold)
            else -> text(R.string.face_good, face.number, face.similarity, face.threshold)
        }
    }

    private fun advice(state: State.Done, session: Session): List<String> = listOfNotNull(
        if (state.faces.any { it.isMatch } && session.strength != "high") text(R.string.try_more) else null,
        text(R.string.press_original),
    )

    private fun text(id: Int, vararg values: Any) = context.getString(id, *values)

    private fun count(id: Int, number: Int) = context.resources.getQuantityString(id, number, number)
}
