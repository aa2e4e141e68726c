package faceencryption.app

import android.content.Context
import android.graphics.Canvas
import android.graphics.DashPathEffect
import android.graphics.Paint
import android.graphics.RectF
import android.util.TypedValue
import faceencryption.core.Face

/** A face as it is marked: its number (0 for none), whether it will be protected, and what a screen reader says. */
class Mark(val face: Face, val number: Int, val isChosen: Boolean, val isUnsure: Boolean, val words: String)

/** Draws boxes around faces. */
class MarkPainter(private val context: Context) {
    private val density = context.resources.displayMetrics.density
    private val frame = Paint(Paint.ANTI_ALIAS_FLAG).apply { style = Paint.Style.STROKE }
    private val label = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        textSize = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, 13f, context.resources.displayMetrics)
    }
    private val dashes = DashPathEffect(floatArrayOf(8 * density, 6 * density), 0f)
    private val behind = RectF()

    /** A face, with its number at the corner; one that is left out is crossed. */
    fun draw(canvas: Canvas, mark: Mark, box: RectF) {
        val colour = if (mark.isChosen) R.color.mark else if (mark.isUnsure) R.color.unsure else R.color.left_out
        frame.strokeWidth = 3 * density
        frame.pathEffect = if (mark.isUnsure) dashes else null
        frame.color = context.getColor(colour)
        canvas.drawRoundRect(box, 6 * density, 6 * density, frame)
        val text = if (mark.isUnsure) "?" else "${mark.number}"
        val high = label.textSize + 6 * density
        behind.set(box.left, box.top - high, box.left + label.measureText(text) + 12 * density, box.top)
        if (behind.top < 0) behind.offset(0f, -behind.top)
        label.color = frame.color
        canvas.drawRoundRect(behind, 4 * density, 4 * density, label)
        label.color = context.getColor(R.color.on_mark)
        canvas.drawText(text, behind.left + 6 * density, behind.bottom - 6 * density, label)
        if (!mark.isChosen && !mark.isUnsure) {
            frame.strokeWidth = 2 * density
            canvas.drawLine(box.left, box.top, box.right, box.bottom, frame)
        }
    }

    /** A box that the user is drawing. */
    fun drawBox(canvas: Canvas, box: RectF) {
        frame.color = context.getColor(R.color.mark)
        frame.strokeWidth = 2 * density
        frame.pathEffect = null
        canvas.drawRect(box, frame)
    }
}
