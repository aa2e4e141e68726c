package faceencryption.app

import android.content.Context
import android.util.AttributeSet
import android.widget.LinearLayout
import android.widget.ScrollView

/** What lies below a photo: as high as what is in it, but at most its share of the screen, and then it scrolls. */
class Panel(context: Context, attributes: AttributeSet?) : ScrollView(context, attributes) {
    init {
        isFillViewport = false
    }

    override fun onMeasure(width: Int, height: Int) {
        val isBelow = (parent?.parent as? LinearLayout)?.orientation == LinearLayout.VERTICAL
        val most = MeasureSpec.getSize(height) * SHARE / 100
        super.onMeasure(width, if (isBelow) MeasureSpec.makeMeasureSpec(most, MeasureSpec.AT_MOST) else height)
    }

    private companion object {
        const val SHARE = 50
    }
}
