package faceencryption.core.photo

import faceencryption.core.MessageKind
import java.util.regex.Pattern

// Pictures that hide in other data: previews, second pictures, videos. `runtime/photo/embedded.py` has the same rules.

/** How files of pictures and videos begin. TIFF is left out: every EXIF block begins so. */
private val START = Pattern.compile(
    "\u00ff\u00d8\u00ff[\u00c0-\u00fe]|\u0089PNG\r\n\u001a\n|RIFF....WEBP|GIF8[79]a" +
        "|....ftyp(?:heic|heix|mif1|msf1|avif|avis)|\u00ff\n|\u0000\u0000\u0000\u000cJXL " +
        "|\u0000\u0000\u0000\u000cjP  |\u00ffO\u00ffQ",
    Pattern.DOTALL,
)

/** Of JPEG XL: a start of two bytes says nothing in the midst of data. */
private const val JXL = "\u00ff\n"
private val BASE64 = Pattern.compile("[A-Za-z0-9+/\\s]{40,}={0,2}")
private val HEX = Pattern.compile("[0-9A-Fa-f\\s]{40,}")
private val GAIN_MAP = listOf("hdrgm:Version", "GainMap", "hdrgainmap", "urn:iso:std:iso:ts:21496")
private val PADDING = setOf(0, 0xff, 0x0d, 0x0a, 0x09, 0x20)

/** Whether data hold what looks like the start of a picture, as it is, in base64 or in hexadecimal digits. */
internal fun holdsPicture(data: ByteArray): Boolean {
    val text = text(data)
    return starts(text) || decoded(text).any { starts(it) }
}

/** What lies behind a picture that ends here; [hints] may say that a gain map follows. */
internal fun trailing(data: ByteArray, end: Int, hints: ByteArray): List<MessageKind> {
    if ((end until data.size).all { data.u8(it) in PADDING }) return emptyList()
    val found = ArrayList<MessageKind>()
    val video = data.find("ftyp", end)
    if (findJpeg(data, end, if (video >= 0) video else data.size)) {
        val isGainMap = GAIN_MAP.any { data.find(it, end) >= 0 || hints.find(it) >= 0 }
        found.add(if (isGainMap) MessageKind.GAIN_MAP else MessageKind.SECOND_PICTURE)
    }
    if (video >= 0) found.add(MessageKind.VIDEO)
    return found.ifEmpty { listOf(MessageKind.DATA_BEHIND_PICTURE) }
}

private fun findJpeg(data: ByteArray, from: Int, until: Int): Boolean {
    var at = data.find("\u00ff\u00d8\u00ff", from, until)
    while (at >= 0) {
        if (at + 3 < until && data.u8(at + 3) in 0xc0..0xfe) return true
        at = data.find("\u00ff\u00d8\u00ff", at + 1, until)
    }
    return false
}

private fun starts(text: String): Boolean {
    val matcher = START.matcher(text)
    while (matcher.find()) if (matcher.group() != JXL || matcher.start() == 0) return true
    return false
}

private fun decoded(text: String): List<String> {
    val found = ArrayList<String>()
    val hex = HEX.matcher(text)
    while (hex.find()) {
        val digits = hex.group().filterNot { isSpace(it) }
        found.add(text(ByteArray(digits.length / 2) { digits.substring(2 * it, 2 * it + 2).toInt(16).toByte() }))
    }
    val base64 = BASE64.matcher(text)
    while (base64.find()) {
        val digits = base64.group().filter { !isSpace(it) && it != '=' }
        // Text ahead of it may run into the digits, so try each of the four places where a group of them may begin.
        for (at in 0 until minOf(4, digits.length)) {
            val whole = digits.substring(at, at + (digits.length - at) / 4 * 4)
            found.add(text(java.util.Base64.getDecoder().decode(whole)))
        }
    }
    return found
}

private fun isSpace(character: Char) = character in " \t\n\r\u000b\u000c"
