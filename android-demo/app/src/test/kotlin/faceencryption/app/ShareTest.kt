package faceencryption.app

import android.app.Activity
import android.content.ClipData
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.provider.MediaStore
import android.view.View
import faceencryption.core.Box
import java.io.File
import java.io.FileNotFoundException
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf

class ShareTest : AppTest() {
    private fun done(session: Session) = session.items.map { it.state }.filterIsInstance<State.Done>()

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
    fun `work can be cancelled and begun again`() {
        val screen = openReady(send(Gallery.put("a.jpg", twins())))
        screen.get().findViewById<View>(R.id.thorough).performClick()
        screen.press(R.string.protect)
        await("work") { screen.get().session.items[0].state.let { it is State.Working && it.part > 0 } }
        screen.press(R.string.cancel)
        await("the end") { !screen.get().session.isBusy }
        assertTrue(screen.get().session.items[0].state is State.Ready)
        assertTrue(leftovers().none { it.parentFile.name == ShareProvider.RESULTS })
        screen.get().findViewById<PhotoView>(R.id.photo).onDraw!!(Box(150.0, 10.0, 210.0, 70.0))
        assertEquals("Close", screen.text(R.id.second))
        await("faces") { !screen.get().session.isBusy }
        assertEquals("3 faces", screen.text(R.id.status))
        screen.get().findViewById<View>(R.id.fast).performClick()
        screen.protect()
        assertEquals(3, done(screen.get().session).single().faces.size)
    }

    @Test
    fun `work goes on through rotation, and when the user leaves and comes back`() {
        val screen = openReady(send(Gallery.put("a.jpg", person())))
        val session = screen.get().session
        screen.press(R.string.protect)
        await("work") { session.items[0].state is State.Working }
        RuntimeEnvironment.setQualifiers("+land")
        screen.configurationChange().visible()
        assertEquals(session, screen.get().session)
        screen.pause().stop()
        await("the end") { !session.isBusy }
        screen.restart().start().resume()
        assertEquals("No face matches any more", screen.text(R.id.status))
        assertNotNull(screen.get().findViewById<PhotoView>(R.id.photo).result)
    }

    @Test
    fun `what was chosen is there again after the process was killed`() {
        val intent = send(Gallery.put("a.jpg", twins()))
        val screen = openReady(intent)
        screen.get().findViewById<View>(R.id.high).performClick()
        assertEquals("high", screen.get().session.strength)
        val view = screen.get().findViewById<PhotoView>(R.id.photo)
        view.onTap!!(view.marks[0])
        assertEquals(setOf(2), screen.get().session.items[0].chosen)
        val state = Bundle().also { screen.saveInstanceState(it) }
        state.putString("session", "of a process that is gone")
        val again = org.robolectric.Robolectric.buildActivity(ProtectActivity::class.java, intent).setup(state)
        await("faces") { !again.get().session.isBusy }
        assertEquals("high", again.get().session.strength)
        assertEquals(setOf(2), again.get().session.items[0].chosen)
    }

    @Test
    fun `what else is in the file stays where the user wants it`() {
        val commented = person().let { it.copyOf(2) + byteArrayOf(-1, 0xfe.toByte(), 0, 5, 65, 66, 67) + it.drop(2) }
        val screen = openReady(send(Gallery.put("a.jpg", commented)))
        screen.protect()
        assertTrue("removed from the file: comments" in screen.text(R.id.detail).lines())
        assertFalse(String(done(screen.get().session).single().file.readBytes(), Charsets.ISO_8859_1).contains("ABC"))
        screen.get().findViewById<View>(R.id.again).performClick()
        screen.get().findViewById<View>(R.id.keep).performClick()
        screen.protect()
        assertTrue("still in the file: comments" in screen.text(R.id.detail).lines())
        assertTrue(String(done(screen.get().session).single().file.readBytes(), Charsets.ISO_8859_1).contains("ABC"))
    }

    @Test
    fun `what was protected can be changed and protected again`() {
        val screen = openReady(send(Gallery.put("a.jpg", person())))
        screen.protect()
        val first = done(screen.get().session).single().file.readBytes()
        screen.get().findViewById<View>(R.id.again).performClick()
        assertEquals("1 face", screen.text(R.id.status))
        screen.get().findViewById<View>(R.id.high).performClick()
        screen.protect()
        assertFalse(first.contentEquals(done(screen.get().session).single().file.readBytes()))
    }

    @Test
    fun `a photo of the camera is protected, and does not stay`() {
        val home = org.robolectric.Robolectric.buildActivity(HomeActivity::class.java).setup()
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
        val home = org.robolectric.Robolectric.buildActivity(HomeActivity::class.java).setup()
        home.get().findViewById<View>(R.id.pick).performClick()
        val picker = shadowOf(home.get()).nextStartedActivityForResult
        val photos = listOf(Gallery.put("a.jpg", person()), Gallery.put("b.jpg", twins()))
        val clip = ClipData.newRawUri("", photos[0]).apply { addItem(ClipData.Item(photos[1])) }
        shadowOf(home.get()).receiveResult(picker.intent, Activity.RESULT_OK, Intent().apply { clipData = clip })
        val screen = openReady(shadowOf(home.get()).nextStartedActivity)
        assertEquals("2 photos", screen.text(R.id.status))
    }

    @Test
    fun `a box drawn by hand becomes a face`() {
        val screen = openReady(send(Gallery.put("a.jpg", nobody())))
        assertEquals("No face found", screen.text(R.id.status))
        screen.get().findViewById<PhotoView>(R.id.photo).onDraw!!(Box(20.0, 10.0, 70.0, 60.0))
        await("faces") { !screen.get().session.isBusy }
        assertEquals("1 face", screen.text(R.id.status))
        screen.protect()
        assertEquals(1, done(screen.get().session).single().faces.size)
    }

    @Test
    fun `sharing on gives others the protected photo to read, and nothing else, until the user is done`() {
        val screen = openReady(send(Gallery.put("a.jpg", person())))
        screen.protect()
        screen.press(R.string.share)
        val chooser = shadowOf(screen.get()).nextStartedActivity
        @Suppress("DEPRECATION") val send = chooser.getParcelableExtra<Intent>(Intent.EXTRA_INTENT)!!
        @Suppress("DEPRECATION") val address = send.getParcelableExtra<Uri>(Intent.EXTRA_STREAM)!!
        assertEquals(address, send.clipData!!.getItemAt(0).uri)
        assertTrue(send.flags and Intent.FLAG_GRANT_READ_URI_PERMISSION != 0)
        val written = done(screen.get().session).single().file.readBytes()
        assertArrayEquals(written, app.contentResolver.openInputStream(address)!!.use { it.readBytes() })
        assertEquals("image/jpeg", app.contentResolver.getType(address))
        assertThrows(FileNotFoundException::class.java) { app.contentResolver.openOutputStream(address, "w") }
        val session = "content://faceencryption.app.share/sessions/${screen.get().session.id}"
        val outside = "content://faceencryption.app.share/../../x"
        for (other in listOf("$session/source-0", "$session/results/../source-0", outside)) {
            val opened = { app.contentResolver.openInputStream(Uri.parse(other)) }
            assertThrows(other, FileNotFoundException::class.java) { opened() }
        }
        screen.get().finish()
        screen.pause().stop().destroy()
        await("an empty cache") { leftovers().isEmpty() }
        assertThrows(FileNotFoundException::class.java) { app.contentResolver.openInputStream(address) }
    }

    @Test
    fun `a full storage is said in one line, and the photo can still be shared`() {
        Gallery.failures["full.jpg"] = { FileNotFoundException("no space left on device") }
        val edit = send(Gallery.put("a.jpg", person())).setAction(Intent.ACTION_EDIT)
            .putExtra(MediaStore.EXTRA_OUTPUT, Gallery.address("full.jpg"))
        val screen = openReady(edit)
        screen.protect()
        screen.press(R.string.save)
        await("the failure") { "cannot be saved" in screen.text(R.id.detail) }
        assertEquals("cannot be saved (no space left on device); make room, or share it", screen.text(R.id.detail))
        screen.press(R.string.share)
        assertNotNull(shadowOf(screen.get()).nextStartedActivity)
    }

    @Test
    fun `a WebP comes back as one`() {
        val codec = AndroidCodec
        val raster = codec.decode(person(), faceencryption.core.photo.Format.JPEG)!!
        val webp = codec.encodeWebp(raster, 80)!!
        val screen = openReady(send(Gallery.put("a.webp", webp)))
        screen.protect()
        val done = done(screen.get().session).single()
        assertEquals("webp", done.file.extension)
        val saved = codec.decode(done.file.readBytes(), faceencryption.core.photo.Format.WEBP)!!
        assertEquals(listOf(raster.width, raster.height), listOf(saved.width, saved.height))
        assertFalse(done.faces.single().isMatch)
    }
}
