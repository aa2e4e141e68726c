package faceencryption.app

import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Matrix
import android.graphics.Paint
import android.graphics.RectF
import android.os.Bundle
import android.util.AttributeSet
import android.view.GestureDetector
import android.view.MotionEvent
import android.view.ScaleGestureDetector
import android.view.View
import android.view.accessibility.AccessibilityNodeInfo
import android.view.accessibility.AccessibilityNodeInfo.AccessibilityAction
import faceencryption.core.Box

/**
 * A photo with its faces marked. A tap on a face calls [onTap], holding and dragging draws a box for [onDraw]; where
 * there is a [result], pressing shows the original. Two fingers zoom, a double tap goes to 100 % and back.
 */
class PhotoView(context: Context, attributes: AttributeSet?) : View(context, attributes) {
    var original: Bitmap? = null
        set(value) {
            if (field !== value) field = value.also { reset() }
        }
    var result: Bitmap? = null
        set(value) {
            field = value
            invalidate()
        }

    /** The photo's width in pixels, which may be more than the bitmap's. */
    var photoWidth = 0
    var marks: List<Mark> = emptyList()
        set(value) {
            field = value
            invalidate()
        }
    var onTap: ((Mark) -> Unit)? = null
    var onDraw: ((Box) -> Unit)? = null

    private val density = resources.displayMetrics.density
    private val painter = MarkPainter(context)
    private val picture = Paint(Paint.FILTER_BITMAP_FLAG)
    private val matrix = Matrix()
    private var zoom = 1f
    private var panX = 0f
    private var panY = 0f
    private var isPressed = false
    private var drawn: RectF? = null

    private val scales = ScaleGestureDetector(context, object : ScaleGestureDetector.SimpleOnScaleGestureListener() {
        override fun onScale(detector: ScaleGestureDetector): Boolean {
            zoomTo(zoom * detector.scaleFactor, detector.focusX, detector.focusY)
            return true
        }
    })
    private val gestures = GestureDetector(context, object : GestureDetector.SimpleOnGestureListener() {
        override fun onDown(event: MotionEvent) = true

        override fun onSingleTapConfirmed(event: MotionEvent): Boolean = tap(event.x, event.y)

        override fun onDoubleTap(event: MotionEvent): Boolean {
            zoomTo(if (zoom > 1.01f) 1f else 1f / fit().coerceAtMost(1f) * bitmapScale(), event.x, event.y)
            return true
        }

        override fun onLongPress(event: MotionEvent) {
            if (onDraw != null) drawn = RectF(event.x, event.y, event.x, event.y) else press(true)
        }

        override fun onScroll(first: MotionEvent?, event: MotionEvent, x: Float, y: Float): Boolean {
            if (zoom > 1f && event.pointerCount == 1) pan(panX - x, panY - y)
            return true
        }
    })

    override fun onDraw(canvas: Canvas) {
        val bitmap = (if (isPressed) original else result ?: original) ?: return
        place()
        canvas.save()
        canvas.concat(matrix)
        canvas.drawBitmap(bitmap, 0f, 0f, picture)
        canvas.restore()
        if (result == null) marks.forEach { painter.draw(canvas, it, onScreen(it.face.box)) }
        drawn?.let { painter.drawBox(canvas, RectF(it).apply { sort() }) }
    }

    @Suppress("ClickableViewAccessibility") // performAccessibilityAction does what a tap does
    override fun onTouchEvent(event: MotionEvent): Boolean {
        parent.requestDisallowInterceptTouchEvent(true)
        scales.onTouchEvent(event)
        if (!scales.isInProgress) gestures.onTouchEvent(event)
        when (event.actionMasked) {
            MotionEvent.ACTION_MOVE -> drawn?.let {
                it.right = event.x
                it.bottom = event.y
                invalidate()
            }
            MotionEvent.ACTION_UP -> {
                press(false)
                drawn?.let { finish(it) }
                drawn = null
                invalidate()
            }
            MotionEvent.ACTION_CANCEL, MotionEvent.ACTION_POINTER_DOWN -> {
                press(false)
                drawn = null
            }
        }
        return true
    }

    /** Show the original for as long as the photo is pressed. */
    fun press(isDown: Boolean) {
        isPressed = isDown && result != null
        invalidate()
    }

    private fun tap(x: Float, y: Float): Boolean {
        val reach = 8 * density
        val hit = marks.filter { onScreen(it.face.box).apply { inset(-reach, -reach) }.contains(x, y) }
            .minByOrNull { it.face.box.width }
        hit?.let { onTap?.invoke(it) }
        return hit != null
    }

    private fun finish(area: RectF) {
        area.sort()
        val inverse = Matrix().also { matrix.invert(it) }
        inverse.mapRect(area)
        val bitmap = original ?: return
        if (!area.intersect(0f, 0f, bitmap.width.toFloat(), bitmap.height.toFloat())) return
        val scale = photoScale()
        if (area.width() * scale < SMALLEST || area.height() * scale < SMALLEST) return
        fun edge(value: Float) = Math.rint((value * scale).toDouble())
        onDraw?.invoke(Box(edge(area.left), edge(area.top), edge(area.right), edge(area.bottom)))
    }

    override fun onInitializeAccessibilityNodeInfo(info: AccessibilityNodeInfo) {
        super.onInitializeAccessibilityNodeInfo(info)
        if (onTap != null && result == null) {
            marks.forEachIndexed { at, mark -> info.addAction(AccessibilityAction(ACTIONS + at, mark.words)) }
        }
    }

    override fun performAccessibilityAction(action: Int, arguments: Bundle?): Boolean {
        val mark = marks.getOrNull(action - ACTIONS) ?: return super.performAccessibilityAction(action, arguments)
        onTap?.invoke(mark)
        return true
    }

    private fun reset() {
        zoom = 1f
        panX = 0f
        panY = 0f
        invalidate()
    }

    private fun fit(): Float {
        val bitmap = original ?: return 1f
        return minOf(width.toFloat() / bitmap.width, height.toFloat() / bitmap.height)
    }

    private fun bitmapScale() = photoScale()

    private fun photoScale(): Float {
        val bitmap = original ?: return 1f
        return if (photoWidth == 0) 1f else photoWidth.toFloat() / bitmap.width
    }

    private fun zoomTo(value: Float, x: Float, y: Float) {
        val most = maxOf(4f, 2f / fit() * photoScale())
        val next = value.coerceIn(1f, most)
        val factor = next / zoom
        zoom = next
        pan(x - width / 2f - (x - width / 2f - panX) * factor, y - height / 2f - (y - height / 2f - panY) * factor)
    }

    private fun pan(x: Float, y: Float) {
        val bitmap = original ?: return
        val scale = fit() * zoom
        val rangeX = ((bitmap.width * scale - width) / 2).coerceAtLeast(0f)
        val rangeY = ((bitmap.height * scale - height) / 2).coerceAtLeast(0f)
        panX = x.coerceIn(-rangeX, rangeX)
        panY = y.coerceIn(-rangeY, rangeY)
        invalidate()
    }

    private fun place() {
        val bitmap = original ?: return
        val scale = fit() * zoom
        matrix.setScale(scale, scale)
        matrix.postTranslate((width - bitmap.width * scale) / 2 + panX, (height - bitmap.height * scale) / 2 + panY)
    }

    /** Where a box of the photo is on the screen. */
    fun onScreen(box: Box): RectF {
        place()
        val scale = photoScale()
        val area = RectF(
            (box.left / scale).toFloat(), (box.top / scale).toFloat(),
            (box.right / scale).toFloat(), (box.bottom / scale).toFloat(),
        )
        matrix.mapRect(area)
        return area
    }

    private companion object {
        const val ACTIONS = 0x1000000

        /** The smallest box that can be drawn, in pixels of the photo. */
        const val SMALLEST = 12
    }
}
