package faceencryption.app

import android.content.Context
import android.content.res.Configuration
import faceencryption.core.Message
import faceencryption.core.MessageKind
import java.util.Locale
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.annotation.Config

/** What the core says, in each language of the app. */
class MessagesTest : AppTest() {
    private fun speaking(language: String): Context =
        app.createConfigurationContext(Configuration().apply { setLocale(Locale.forLanguageTag(language)) })

    /** Every message, with values of the kinds that its English words have room for. */
    private fun all(): List<Message> = MessageKind.values().map { kind ->
        val values = Regex("%([ds])").findAll(kind.english).map { if (it.groupValues[1] == "d") 1234 else "PNG" }
        if (kind.english.endsWith("file: %s")) Message(kind, listOf(MessageKind.GPS_POSITION, MessageKind.AUTHOR))
        else Message(kind, *values.toList().toTypedArray())
    }

    @Test
    fun `English is as the core has it`() {
        for (message in all()) assertEquals(message.toString(), speaking("en").say(message))
    }

    @Test
    fun `every other language has words and room for the values`() {
        for (language in listOf("de", "fr")) {
            for (message in all()) {
                val words = speaking(language).say(message)
                if (' ' in message.kind.english) assertFalse(words, words == message.toString())
                assertFalse(words, '%' in words)
                if (1234 in message.values) assertTrue(words, "1234" in words)
            }
        }
    }

    @Test
    @Config(qualifiers = "de-w411dp-h731dp-420dpi")
    fun `a refusal and what was removed are said in the user's language`() {
        val refused = open(send(Gallery.put("text.jpg", "<html>".toByteArray())))
        await("a refusal") { refused.text(R.id.status) == "Dieses Foto ist nicht geschützt" }
        assertEquals("Kein Bild; gelesen werden Fotos in JPEG, PNG und WebP", refused.text(R.id.detail))
        val commented = person().let { it.copyOf(2) + byteArrayOf(-1, 0xfe.toByte(), 0, 4, 65, 65) + it.drop(2) }
        val screen = openReady(send(Gallery.put("holiday.jpg", commented)))
        screen.protect()
        val lines = screen.text(R.id.detail).lines()
        assertTrue("$lines", "Aus der Datei entfernt: Kommentare" in lines)
    }
}
