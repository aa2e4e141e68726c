package faceencryption.core

import com.eclipsesource.json.Json
import com.eclipsesource.json.JsonObject
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
