package faceencryption.core

import com.eclipsesource.json.Json
import com.eclipsesource.json.JsonObject
import faceencryption.core.photo.Exif
import faceencryption.core.photo.MetadataPolicy
import faceencryption.core.photo.partsOf
import faceencryption.core.photo.readPhoto
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assert.fail
import org.junit.Assume.assumeTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.junit.runners.Parameterized

/** The same words as the Python runtime about files of many kinds: what is removed, and why one is refused. */
@RunWith(Parameterized::class)
class FilesTest(private val name: String) {
    private val data get() = File(folder, "files/$name").readBytes()

    @Test
    fun `is read or refused in the same words`() {
        val expected = said[name].asObject()
        if (expected["message"] != null) {
            refuse(expected.getString("message", null))
            return
        }
        val photo = readPhoto(data, ImageIoCodec)
        assertEquals(expected["notes"].asArray().map { it.asString() }.filterNot { "CMYK" in it }, photo.notes)
        assertEquals(expected["shape"].asArray().map { it.asInt() }, listOf(photo.picture.height, photo.picture.width))
        assertEquals(expected.getBoolean("grey", false), photo.picture.isGrey)
    }

    @Test
    fun `what is kept of the metadata is the same`() {
        val expected = said[name].asObject()
        assumeTrue("refused", expected["message"] == null)
        val photo = readPhoto(data, ImageIoCodec)
        assertEquals(strings(expected, "kept"), photo.messages(MetadataPolicy.KEEP).map { words(it.toString()) })
        val written = photo.encode(MetadataPolicy.KEEP)
        assertEquals(strings(expected, "again"), readPhoto(written, ImageIoCodec).notes.map { words(it) })
        val exif = Exif.read(partsOf(written, photo.format).exif)
        val tags = listOf(exif?.main, exif?.details, exif?.gps).map { it.orEmpty().keys - POINTERS }
        val wanted = expected["tags"].asArray().map { part -> part.asArray().map { it.asInt() } }
        assertEquals(wanted, tags.map { it.sorted() })
        assertEquals(1, exif?.orientation ?: 1)
    }

    private fun strings(expected: JsonObject, name: String) =
        expected[name].asArray().map { it.asString() }.filterNot { "CMYK" in it }.map { words(it) }

    /** What a line lists; Python has the tags of a directory in no order. */
    private fun words(line: String) = line.split(": ", ", ").toSet()

    private fun refuse(message: String) {
        try {
            readPhoto(data, ImageIoCodec)
        } catch (error: PhotoError) {
            // What a decoder says, in brackets, is its own.
            assertEquals(message.replace(Regex(" \\(.*\\)"), ""), error.message!!.replace(Regex(" \\(.*\\)"), ""))
            assertTrue('\n' !in error.message!!)
            return
        }
        fail("read, where Python says: $message")
    }

    companion object {
        private val POINTERS = setOf(Exif.DETAILS, Exif.GPS, Exif.INTEROP)
        private val folder = File(System.getProperty("cases"))
        private val said: JsonObject by lazy { Json.parse(File(folder, "files.json").readText()).asObject() }

        @JvmStatic
        @Parameterized.Parameters(name = "{0}")
        fun names(): List<String> {
            assumeTrue("no cases", File(folder, "files.json").isFile)
            // The JVM decodes neither WebP nor CMYK; the app's tests read WebP.
            return said.names().filterNot { it.endsWith(".webp") || it.startsWith("cmyk") }
        }
    }
}
