package faceencryption.app

import android.app.Activity
import android.content.ClipData
import android.content.Intent
import android.net.Uri
import android.provider.MediaStore
import android.view.View
import faceencryption.core.photo.Format
import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf

/** Photos that come from elsewhere, and go where they are wanted. */
class ShareTest : AppTest() {
    @Test
    fun `one photo is protected, saved, and leaves nothing behind`() {
        val screen = openReady(send(Gallery.put("holiday.jpg", person())))
        assertEquals("1 face", screen.text(R.id.status))
        screen.protect()
        val session = screen.get().session
        val done = done(session).single()
        assertFalse(done.faces.single().isMatch)
        assertEquals("No face matches any more", screen.text(R.id.status))
        assertTrue(screen.text(R.id.detail).startsWith("Face 1: no longer matches (similarity 0."))
        val written = done.file.readBytes()
        screen.press(R.string.save)
        await("the gallery") { done.saved != null }
        assertEquals("Saved in Pictures/Face Encryption", screen.text(R.id.detail))
        assertArrayEquals(written, app.contentResolver.openInputStream(done.saved!!)!!.use { it.readBytes() })
        val columns = arrayOf("_display_name", "relative_path", "is_pending", "mime_type")
        app.contentResolver.query(done.saved!!, columns, null, null, null)!!.use {
            it.moveToFirst()
            val row = List(4) { at -> it.getString(at).trimEnd('/') }
            assertEquals(listOf("holiday_protected.jpg", "Pictures/Face Encryption", "0", "image/jpeg"), row)
        }
        screen.press(R.string.finish)
        assertTrue(screen.get().isFinishing)
        screen.pause().stop().destroy()
        await("an empty cache") { leftovers().isEmpty() }
    }

    @Test
    fun `of ten photos the broken one and the one without a face are named, and the others protected`() {
        val photos = List(10) { at ->
            Gallery.put("$at.jpg", if (at == 3) person().copyOf(900) else if (at == 6) nobody() else person())
        }
        val screen = openReady(send(*photos.toTypedArray()))
        assertEquals("10 photos", screen.text(R.id.status))
        screen.protect()
        val session = screen.get().session
        assertEquals(8, done(session).size)
        val broken = (session.items[3].state as State.Failed).line
        assertTrue(broken, broken.contains("fetch the photo again"))
        assertEquals("no face found; nothing was written", (session.items[6].state as State.Failed).line)
        assertEquals("8 photos protected, 2 failed", screen.text(R.id.status))
        screen.press(R.string.save)
        await("the gallery") { done(session).all { it.saved != null } }
        assertEquals(8, done(session).mapNotNull { it.saved }.distinct().size)
    }

    @Test
    fun `an editor's caller gets the photo where it wants it`() {
        val output = Gallery.put("edited.jpg", ByteArray(0))
        val original = person()
        val edit = send(Gallery.put("holiday.jpg", original)).setAction(Intent.ACTION_EDIT)
            .setData(Gallery.address("holiday.jpg")).putExtra(MediaStore.EXTRA_OUTPUT, output)
        edit.removeExtra(Intent.EXTRA_STREAM)
        val screen = openReady(edit)
        screen.protect()
        val done = done(screen.get().session).single()
        screen.press(R.string.save)
        await("the output") { done.saved != null }
        assertArrayEquals(done.file.readBytes(), File(folder.root, "edited.jpg").readBytes())
        assertArrayEquals("the original is as it was", original, File(folder.root, "holiday.jpg").readBytes())
        assertEquals(Activity.RESULT_OK, shadowOf(screen.get()).resultCode)
        assertEquals(output, shadowOf(screen.get()).resultIntent.data)
    }

    @Test
    fun `a photo of the camera is protected, and does not stay`() {
        val home = Robolectric.buildActivity(HomeActivity::class.java).setup()
        home.get().findViewById<View>(R.id.take).performClick()
        val capture = shadowOf(home.get()).nextStartedActivityForResult
        @Suppress("DEPRECATION") val address = capture.intent.getParcelableExtra<Uri>(MediaStore.EXTRA_OUTPUT)!!
        app.contentResolver.openOutputStream(address, "w")!!.use { it.write(person()) }
        shadowOf(home.get()).receiveResult(capture.intent, Activity.RESULT_OK, null)
        val screen = openReady(shadowOf(home.get()).nextStartedActivity)
        screen.protect()
        assertEquals(1, done(screen.get().session).single().faces.size)
        screen.get().finish()
        screen.pause().stop().destroy()
        await("an empty cache") { leftovers().isEmpty() }
    }

    @Test
    fun `photos of the picker are opened as shared ones`() {
        val home = Robolectric.buildActivity(HomeActivity::class.java).setup()
        home.get().findViewById<View>(R.id.pick).performClick()
        val picker = shadowOf(home.get()).nextStartedActivityForResult
        val photos = listOf(Gallery.put("a.jpg", person()), Gallery.put("b.jpg", twins()))
        val clip = ClipData.newRawUri("", photos[0]).apply { addItem(ClipData.Item(photos[1])) }
        shadowOf(home.get()).receiveResult(picker.intent, Activity.RESULT_OK, Intent().apply { clipData = clip })
        val screen = openReady(shadowOf(home.get()).nextStartedActivity)
        assertEquals("2 photos", screen.text(R.id.status))
    }

    @Test
    fun `a WebP comes back as one`() {
        val codec = AndroidCodec
        val raster = codec.decode(person(), Format.JPEG)!!
        val webp = codec.encodeWebp(raster, 80)!!
        val screen = openReady(send(Gallery.put("a.webp", webp)))
        screen.protect()
        val done = done(screen.get().session).single()
        assertEquals("webp", done.file.extension)
        val saved = codec.decode(done.file.readBytes(), Format.WEBP)!!
        assertEquals(listOf(raster.width, raster.height), listOf(saved.width, saved.height))
        assertFalse(done.faces.single().isMatch)
    }
}
