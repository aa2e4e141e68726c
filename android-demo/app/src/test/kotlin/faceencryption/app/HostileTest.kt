package faceencryption.app

import android.content.ClipData
import android.content.Intent
import android.net.Uri
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.annotation.Config

/** Senders that lie, fail or attack: each gets one line, nothing is written, nothing crashes. */
@Config(sdk = [29, 34])
class HostileTest : AppTest() {
    /** The line that the screen shows for what was sent. */
    private fun line(intent: Intent): String {
        val screen = open(intent)
        await("a refusal") { screen.text(R.id.status) == "This photo is not protected" }
        val line = screen.text(R.id.detail)
        assertFalse(line, '\n' in line || line.isEmpty())
        screen.get().finish()
        screen.pause().stop().destroy()
        await("an empty cache") { leftovers().isEmpty() }
        return line
    }

    private fun line(address: String) = line(send(Uri.parse(address)))

    @Test
    fun `addresses that would give away files are refused`() {
        val secret = File(app.filesDir, "secret").apply { writeText("secret") }
        fun refused(kind: String) = "an address of the kind \"$kind\" is not read; share the photo from your gallery"
        assertEquals(refused("file"), line("file://${secret.path}"))
        val own = "an address of this app is not read; share the photo from your gallery"
        assertEquals(own, line("content://faceencryption.app.share/sessions/x/results/y.jpg"))
        assertEquals(own, line("content://0@faceencryption.app.share/camera/y.jpg")) // a user's number ahead
        for (kind in listOf("http", "javascript", "android.resource")) {
            assertEquals(refused(kind), line("$kind://x/y"))
        }
    }

    @Test
    fun `a message without a photo is refused`() {
        val none = "the other app shared no photo; share one from your gallery"
        val send = Intent(Intent.ACTION_SEND).setClass(app, ProtectActivity::class.java)
        assertEquals(none, line(Intent(send)))
        assertEquals(none, line(Intent(send).putExtra(Intent.EXTRA_STREAM, "content://a/text")))
        assertEquals(none, line(Intent(send).setAction(Intent.ACTION_SEND_MULTIPLE).putExtra(Intent.EXTRA_STREAM, 7)))
        assertEquals(none, line(Intent(send).setAction(Intent.ACTION_EDIT)))
        assertEquals(none, line(Intent(send).putExtra("session", "guessed")))
    }

    @Test
    fun `more photos than any person shares are refused`() {
        val many = Array(101) { Gallery.address("$it.jpg") }
        assertEquals("101 photos are more than 100 at once; share fewer", line(send(*many)))
    }

    @Test
    fun `owners that fail are refused`() {
        val fetch = "the photo cannot be fetched from the other app; share it from your gallery"
        assertEquals(fetch, line(send(Gallery.address("missing.jpg"))))
        Gallery.failures["dies.jpg"] = { IllegalStateException("a bug") }
        assertEquals(fetch, line(send(Gallery.address("dies.jpg"))))
        Gallery.failures["denied.jpg"] = { SecurityException("no permission") }
        val denied = "the other app does not allow the photo to be read; share it from your gallery"
        assertEquals(denied, line(send(Gallery.address("denied.jpg"))))
    }

    @Test
    fun `an owner that dies half way leaves nothing`() {
        Gallery.put("half.jpg", person().copyOf(2000))
        assertTrue(line(send(Gallery.address("half.jpg"))).endsWith("fetch the photo again"))
        assertEquals("the file is empty; fetch the photo again", line(send(Gallery.put("none.jpg", ByteArray(0)))))
    }

    @Test
    fun `what is no photo is refused by its bytes, whatever it is called`() {
        Gallery.lies.addAll(listOf("text.jpg", "moving.jpg", "big.jpg"))
        fun bytes(text: String) = text.toByteArray(Charsets.ISO_8859_1)
        val text = line(send(Gallery.put("text.jpg", bytes("<html>"))))
        assertEquals("not an image; JPEG, PNG and WebP photos are read", text)
        val moving = line(send(Gallery.put("moving.jpg", bytes("GIF89a"))))
        assertEquals("GIF is not supported; save the photo as one of JPEG, PNG and WebP", moving)
        val size = "\u0000\u0001\u0000\u0000"
        val huge = bytes("\u0089PNG\r\n\u001a\n\u0000\u0000\u0000\u000dIHDR$size$size\u0008\u0002")
        assertEquals(
            "65536 x 65536 pixels are more than 60 megapixels, the most for a PNG; make the photo smaller",
            line(send(Gallery.put("big.jpg", huge))),
        )
    }

    @Test
    fun `a stream without an end is stopped`() {
        val file = File(folder.root, "endless.jpg")
        java.io.RandomAccessFile(file, "rw").use { it.setLength((128L shl 20) + 1) }
        val line = line(send(Gallery.address("endless.jpg")))
        assertEquals("the file is larger than 128 MB; make the photo smaller", line)
    }

    @Test
    fun `a name that is a path stays a name`() {
        Gallery.names["a.jpg"] = "../../files/secret\u0000.jpg"
        val screen = openReady(send(Gallery.put("a.jpg", person())))
        assertEquals("secret_", screen.get().session.items.single().name)
        screen.protect()
        val done = screen.get().session.items.single().state as State.Done
        assertEquals(ShareProvider.RESULTS, done.file.parentFile!!.name)
    }

    @Test
    fun `the same photo is taken once, from the extra and from the clip`() {
        val photo = Gallery.put("a.jpg", person())
        val clip = ClipData.newRawUri("", photo).apply { addItem(ClipData.Item("text")) }
        val intent = send(photo).apply { clipData = clip }
        assertEquals(1, openReady(intent).get().session.items.size)
    }
}
