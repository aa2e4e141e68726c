package faceencryption.app

import android.view.View
import android.widget.RadioGroup
import android.widget.Switch
import faceencryption.core.photo.MetadataPolicy

/** What the user chooses ahead of protecting, in the view of `layout/choices.xml`. */
class Choices(private val view: View, private val session: Session) {
    init {
        choice(R.id.strength, STRENGTHS, session.strength) { session.strength = it }
        choice(R.id.effort, EFFORTS, session.effort) { session.effort = it }
        view.findViewById<Switch>(R.id.keep).apply {
            isChecked = session.metadata == MetadataPolicy.KEEP
            setOnCheckedChangeListener { _, isOn ->
                session.metadata = if (isOn) MetadataPolicy.KEEP else MetadataPolicy.STRIP
            }
        }
        view.findViewById<Switch>(R.id.closer).setOnCheckedChangeListener { _, isOn -> session.look(closer = isOn) }
    }

    /** Show what can be chosen now. A closer look that is under way, or was cancelled, is no choice made. */
    fun show(canChoose: Boolean) {
        view.visibility = if (canChoose) View.VISIBLE else View.GONE
        view.findViewById<Switch>(R.id.closer).apply {
            visibility = if (session.large.isNotEmpty()) View.VISIBLE else View.GONE
            isEnabled = !session.isBusy
            if (isEnabled) isChecked = session.isCloser
        }
    }

    private fun choice(group: Int, names: Map<Int, String>, chosen: String, choose: (String) -> Unit) {
        view.findViewById<RadioGroup>(group).apply {
            check(names.entries.first { it.value == chosen }.key)
            setOnCheckedChangeListener { _, id -> names[id]?.let { choose(it) } }
        }
    }

    private companion object {
        val STRENGTHS = mapOf(R.id.low to "low", R.id.medium to "medium", R.id.high to "high")
        val EFFORTS = mapOf(R.id.fast to "fast", R.id.normal to "normal", R.id.thorough to "thorough")
    }
}
