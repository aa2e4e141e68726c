package faceencryption.app

import android.content.Intent
import android.net.Uri
import android.provider.MediaStore
import android.view.View
import java.io.FileNotFoundException
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Shadows.shadowOf

/** What becomes of protected photos: what is in the file, sharing on, and where it cannot be saved. */
class ResultTest : AppTest() {
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
}
