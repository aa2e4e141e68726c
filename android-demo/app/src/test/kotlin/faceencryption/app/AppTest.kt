package faceencryption.app

import android.content.Intent
import android.graphics.Bitmap
import android.graphics.Canvas
import android.net.Uri
import android.os.Looper
import android.view.View
import android.widget.Button
import android.widget.TextView
import java.io.ByteArrayOutputStream
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.fail
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Rule
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.android.controller.ActivityController
import org.robolectric.annotation.Config

/** What the tests of screens share: photos, another app that gives them, and waiting for the thread for photos. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [29, 34], qualifiers = "w411dp-h731dp-420dpi", application = TestApp::class)
abstract class AppTest {
    @get:Rule
    val folder = TemporaryFolder()
    protected val app: App get() = RuntimeEnvironment.getApplication() as App

    @Before
    fun prepare() {
        assumeTrue("no cases", File(cases, "profile/photo.jpg").isFile)
        assumeTrue("no artifacts", File(System.getProperty("artifacts")!!, "manifest.json").isFile)
        Gallery.folder = folder.root
        Gallery.failures.clear()
        Gallery.names.clear()
        Robolectric.buildContentProvider(Gallery::class.java).create(Gallery.AUTHORITY)
        Robolectric.buildContentProvider(ShareProvider::class.java).create("faceencryption.app.share")
    }

    /** A photo of one person, of two people, or of nobody. */
    protected fun person(): ByteArray = File(cases, "profile/photo.jpg").readBytes()

    protected fun twins(): ByteArray = File(cases, "twins/photo.jpg").readBytes()

    /** A photo of more than one part, with faces that one look misses. */
    protected fun crowd(): ByteArray = File(cases, "crowd/photo.jpg").readBytes()

    protected fun nobody(): ByteArray {
        val bitmap = Bitmap.createBitmap(120, 80, Bitmap.Config.ARGB_8888).apply { eraseColor(0xff206040.toInt()) }
        return ByteArrayOutputStream().also { bitmap.compress(Bitmap.CompressFormat.JPEG, 90, it) }.toByteArray()
    }

    protected fun send(vararg photos: Uri): Intent = Intent(app, ProtectActivity::class.java).apply {
        type = "image/jpeg"
        if (photos.size == 1) setAction(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, photos[0])
        else setAction(Intent.ACTION_SEND_MULTIPLE)
            .putParcelableArrayListExtra(Intent.EXTRA_STREAM, ArrayList(photos.toList()))
    }

    protected fun open(intent: Intent): ActivityController<ProtectActivity> =
        Robolectric.buildActivity(ProtectActivity::class.java, intent).setup()

    /** Open, and wait until the faces are known. */
    protected fun openReady(intent: Intent) = open(intent).also { opened ->
        await("faces") { !opened.get().session.isBusy }
        opened.get().findViewById<View>(R.id.fast).performClick()
    }

    protected fun await(what: String, isSo: () -> Boolean) {
        val end = System.nanoTime() + 120_000_000_000L
        while (System.nanoTime() < end) {
            shadowOf(Looper.getMainLooper()).idle()
            if (isSo()) return
            Thread.sleep(5)
        }
        fail("waited in vain for $what")
    }

    protected fun ActivityController<*>.text(id: Int): String = get().findViewById<TextView>(id).text.toString()

    /** Press a button by its words, as a person does. */
    protected fun ActivityController<*>.press(words: Int) {
        val button = listOf(R.id.first, R.id.second).map { get().findViewById<Button>(it) }
            .firstOrNull { it.visibility == View.VISIBLE && it.text == app.getString(words) }
            ?: throw AssertionError("no button ${app.getString(words)}")
        assertEquals("${button.text} is disabled", true, button.isEnabled)
        button.performClick()
    }

    protected fun ActivityController<ProtectActivity>.protect() {
        press(R.string.protect)
        await("the end") { !get().session.isBusy }
    }

    protected fun done(session: Session) = session.items.map { it.state }.filterIsInstance<State.Done>()

    /** A picture of the screen, in target/screens. */
    protected fun ActivityController<*>.shoot(name: String) {
        shadowOf(Looper.getMainLooper()).idle()
        val view = get().window.decorView
        val screen = Bitmap.createBitmap(view.width, view.height, Bitmap.Config.ARGB_8888)
        view.draw(Canvas(screen))
        val out = File(System.getProperty("screens")!!).apply { mkdirs() }
        File(out, "$name.png").outputStream().use { screen.compress(Bitmap.CompressFormat.PNG, 100, it) }
    }

    /** What of photos lies in this app's own folders. */
    protected fun leftovers(): List<File> = app.cacheDir.walk().filter { it.isFile }.toList()

    companion object {
        val cases = File(System.getProperty("cases")!!)
    }
}
