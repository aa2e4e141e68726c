package faceencryption.app

import android.view.View
import android.view.ViewGroup
import android.widget.AdapterView
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config

private const val PHONE = "w411dp-h731dp-420dpi"
private const val TABLET = "w1280dp-h800dp-land-xhdpi"

/** The screens as they are drawn: pictures for people in target/screens, and what every one of them must keep to. */
@Config(sdk = [34])
class ScreensTest : AppTest() {
    @Test
    @Config(qualifiers = PHONE)
    fun phone() = shootAll("phone")

    @Test
    @Config(qualifiers = "w411dp-h731dp-night-420dpi")
    fun `phone at night`() = shootAll("phone-night")

    @Test
    @Config(qualifiers = TABLET)
    fun tablet() = shootAll("tablet")

    @Test
    @Config(qualifiers = "w1280dp-h800dp-land-night-xhdpi")
    fun `tablet at night`() = shootAll("tablet-night")

    @Test
    @Config(qualifiers = "de-$PHONE")
    fun german() = shootAll("phone-de")

    @Test
    @Config(qualifiers = "ar-ldrtl-w411dp-h731dp-420dpi", fontScale = 1.6f)
    fun `right to left and large`() = shootAll("phone-rtl")

    private fun shootAll(name: String) {
        val home = Robolectric.buildActivity(HomeActivity::class.java).setup()
        check(home, "$name-1-home")
        val one = openReady(send(Gallery.put("holiday.jpg", twins())))
        check(one, "$name-2-faces")
        one.protect()
        check(one, "$name-3-result")
        val large = openReady(send(Gallery.put("crowd.jpg", crowd())))
        large.get().findViewById<View>(R.id.closer).performClick()
        large.shoot("$name-7-looking")
        await("faces") { !large.get().session.isBusy }
        check(large, "$name-8-small-faces")
        val photos = listOf("a.jpg" to person(), "b.jpg" to ByteArray(9), "c.jpg" to nobody())
        val many = openReady(send(*photos.map { Gallery.put(it.first, it.second) }.toTypedArray()))
        check(many, "$name-4-list")
        many.protect()
        check(many, "$name-5-results")
        check(open(send(Gallery.address("missing.jpg"))).also { screen ->
            await("a refusal") { screen.text(R.id.status) == app.getString(R.string.failed_title) }
        }, "$name-6-refusal")
    }

    /** Draw a screen, and look at everything that can be touched. */
    private fun check(screen: ActivityController<*>, name: String) {
        screen.shoot(name)
        val least = (48 * screen.get().resources.displayMetrics.density).toInt() - 2
        for (view in below(screen.get().window.decorView)) {
            if (!view.isClickable || !view.isShown || view.width == 0 || view is AdapterView<*>) continue
            val isLarge = view.height >= least && view.width >= least
            assertTrue("$name: ${words(view)} is ${view.width} x ${view.height}", isLarge)
            assertTrue("$name: $view says nothing", words(view).isNotEmpty())
        }
    }

    private fun words(view: View): String =
        (view.contentDescription ?: (view as? android.widget.TextView)?.text ?: "").toString()

    private fun below(view: View): List<View> {
        val children = if (view is ViewGroup) List(view.childCount) { view.getChildAt(it) } else emptyList()
        return listOf(view) + children.flatMap { below(it) }
    }
}
