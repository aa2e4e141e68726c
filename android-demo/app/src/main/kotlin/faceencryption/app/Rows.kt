package faceencryption.app

import android.app.Activity
import android.view.View
import android.view.ViewGroup
import android.widget.BaseAdapter
import android.widget.ImageView
import android.widget.TextView

/** The list of several photos: a small picture, its name, how far it has come. */
class Rows(private val activity: Activity, private val session: Session, private val words: Words) : BaseAdapter() {
    override fun getCount() = session.items.size

    override fun getItem(at: Int): Item = session.items[at]

    override fun getItemId(at: Int) = at.toLong()

    override fun getView(at: Int, old: View?, parent: ViewGroup): View {
        val row = old ?: activity.layoutInflater.inflate(R.layout.row, parent, false)
        val item = session.items[at]
        val state = item.state
        row.findViewById<ImageView>(R.id.thumbnail).setImageBitmap(item.thumbnail)
        row.findViewById<TextView>(R.id.name).text = item.name.ifEmpty { "${at + 1}" }
        row.findViewById<TextView>(R.id.state).apply {
            text = words.line(item)
            val isBad = state is State.Failed || (state is State.Done && state.faces.any { it.isMatch })
            val colour = if (isBad) R.color.bad else if (state is State.Done) R.color.good else R.color.faint
            setTextColor(activity.getColor(colour))
        }
        return row
    }
}
