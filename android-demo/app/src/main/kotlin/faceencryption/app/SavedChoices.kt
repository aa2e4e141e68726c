package faceencryption.app

import android.os.Bundle
import faceencryption.core.photo.MetadataPolicy

// What the user chose, to survive the process.

private const val STRENGTH = "strength"
private const val EFFORT = "effort"
private const val KEEP = "keep"
private const val CLOSER = "closer"
private const val BOXES = "boxes"
private const val LEFT_OUT = "left-out"

/** Write what was chosen in a session. */
fun save(session: Session, state: Bundle) {
    state.putString(STRENGTH, session.strength)
    state.putString(EFFORT, session.effort)
    state.putBoolean(KEEP, session.metadata == MetadataPolicy.KEEP)
    session.items.forEachIndexed { at, item ->
        state.putBoolean("$CLOSER$at", item.isCloser)
        state.putDoubleArray("$BOXES$at", item.choices.first)
        state.putDoubleArray("$LEFT_OUT$at", item.choices.second)
    }
}

/** Choose the same in a session of the same photos. */
fun restore(session: Session, state: Bundle) {
    session.strength = state.getString(STRENGTH) ?: session.strength
    session.effort = state.getString(EFFORT) ?: session.effort
    if (state.getBoolean(KEEP)) session.metadata = MetadataPolicy.KEEP
    session.items.forEachIndexed { at, item ->
        item.isCloser = state.getBoolean("$CLOSER$at")
        val boxes = state.getDoubleArray("$BOXES$at") ?: return@forEachIndexed
        item.choices = boxes to (state.getDoubleArray("$LEFT_OUT$at") ?: DoubleArray(0))
    }
}
