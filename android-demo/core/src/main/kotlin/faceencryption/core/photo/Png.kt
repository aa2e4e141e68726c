package faceencryption.core.photo

import faceencryption.core.MessageKind
import faceencryption.core.PhotoError
import java.io.ByteArrayOutputStream
import java.util.zip.CRC32
import java.util.zip.DataFormatException
import java.util.zip.Inflater

// A PNG file taken apart into its chunks.

internal const val PNG_SIGNATURE = "\u0089PNG\r\n\u001a\n"
private const val END = "\u0000\u0000\u0000\u0000IEND\u00ae\u0042\u0060\u0082"

/** Chunks that say what the numbers of a PNG without an ICC profile mean as colours, and their lengths. */
private val COLOUR = mapOf("cHRM" to 32, "cICP" to 4, "gAMA" to 4, "sRGB" to 1)

/** Known ones that say nothing of the photo's owner, or no longer hold for changed pixels. */
private val DROPPED = setOf(
    "IEND", "bKGD", "hIST", "sBIT", "sPLT", "tIME", "acTL", "fcTL", "fdAT", "pHYs", "tRNS", "iDOT",
)
internal const val XMP_NAME = "XML:com.adobe.xmp"
private const val MAX_PROFILE = 1 shl 23
private const val MAX_TEXT = 1 shl 20 // of all texts together
private const val MAX_CHUNKS = 1_000_000
private val RAW_EXIF = setOf("Raw profile type exif", "Raw profile type APP1") // as ImageMagick writes it

/**
 * Take a PNG file apart. Chunks whose checksum is wrong are dropped where the picture can do without them.
 *
 * @throws PhotoError the file is animated.
 */
internal fun takePngApart(data: ByteArray): Parts {
    val parts = Parts()
    val picture = ByteArrayOutputStream(data.size)
    picture.write(PNG_SIGNATURE.toByteArray(Charsets.ISO_8859_1))
    var pixels = false
    var end = data.size
    var at = PNG_SIGNATURE.length
    parts.hasEnd = false
    for (count in 0 until MAX_CHUNKS) {
        if (at + 8 > data.size) break
        val name = text(data.part(at + 4, at + 8))
        if (!name.all { it in 'a'..'z' || it in 'A'..'Z' }) break
        val stop = minOf(at + 12 + data.u32(at), Int.MAX_VALUE.toLong()).toInt()
        val content = data.part(at + 8, stop - 4)
        val isPicture = name == "IDAT" || name == "IHDR" || name == "PLTE"
        when {
            isPicture -> {
                picture.write(data.part(at, stop))
                pixels = pixels || name == "IDAT"
            }
            !checksumHolds(data, at, stop) -> parts.others.add(MessageKind.DAMAGED_DATA)
            name == "acTL" && content.size >= 4 && content.u32(0) > 1 ->
                throw PhotoError(MessageKind.ANIMATED)
            name == "tRNS" && !pixels -> picture.write(data.part(at, stop))
            name == "pHYs" && content.size == 9 && !pixels -> parts.density = density(content)
            else -> metadata(parts, name, content, pixels)
        }
        at = stop
        if (name == "IEND") {
            parts.hasEnd = true
            end = stop
            break
        }
    }
    picture.write(END.toByteArray(Charsets.ISO_8859_1))
    parts.picture = picture.toByteArray()
    parts.others += trailing(data, end, parts.xmp)
    return parts
}

/** Whether the pixels' data are whole: the decoder of a platform may fill up in silence. */
internal fun isWholePng(data: ByteArray): Boolean {
    val inflater = Inflater()
    val buffer = ByteArray(1 shl 16)
    var at = PNG_SIGNATURE.length
    try {
        while (at + 12 <= data.size && !inflater.finished()) {
            val stop = at + 12 + data.u32(at)
            if (data.holdsAt(at + 4, "IDAT")) {
                if (stop > data.size || !checksumHolds(data, at, stop.toInt())) return false
                inflater.setInput(data, at + 8, stop.toInt() - at - 12)
                while (!inflater.finished() && !inflater.needsInput()) inflater.inflate(buffer)
            }
            if (stop > data.size) break
            at = stop.toInt()
        }
        return inflater.finished()
    } catch (error: DataFormatException) {
        return false
    } finally {
        inflater.end()
    }
}

private fun checksumHolds(data: ByteArray, at: Int, stop: Int): Boolean {
    if (stop > data.size) return false
    val crc = CRC32().apply { update(data, at + 4, stop - at - 8) }
    return crc.value == data.u32(stop - 4)
}

private fun density(content: ByteArray): Pair<Double, Double>? {
    if (content.u8(8) != 1) return null
    return content.u32(0) * 0.0254 to content.u32(4) * 0.0254
}

private fun metadata(parts: Parts, name: String, content: ByteArray, pixels: Boolean) {
    when {
        name == "eXIf" -> {
            parts.exif = content
            parts.exifTurns = !pixels // browsers ignore one behind the pixels, and PNG forbids it there
        }
        name == "iCCP" -> if (parts.profile.isEmpty() && MessageKind.DAMAGED_PROFILE !in parts.others) {
            val start = content.find("\u0000") + 2
            parts.profile = if (start < 2) ByteArray(0) else expanded(content.part(start, content.size), MAX_PROFILE)
            if (parts.profile.isEmpty()) parts.others.add(MessageKind.DAMAGED_PROFILE)
        }
        name in COLOUR -> if (content.size == COLOUR[name] && !pixels && parts.colour.none { it.first == name }) {
            parts.colour.add(name to content)
        }
        name == "tEXt" || name == "zTXt" || name == "iTXt" -> text(parts, name, content, pixels)
        name == "caBX" -> parts.others.add(MessageKind.CONTENT_CREDENTIALS)
        name !in DROPPED -> parts.others.add(MessageKind.OTHER_DATA)
    }
}

private fun text(parts: Parts, kind: String, content: ByteArray, pixels: Boolean) {
    val split = content.find("\u0000").let { if (it < 0) content.size else it }
    val name = text(content.part(0, split))
    val rest = content.part(split + 1, content.size)
    val length = parts.comments.fold(0) { sum, each -> sum + each.second.length }
    val room = if (MessageKind.BAD_COMMENTS in parts.others) 0 else MAX_TEXT - length
    var body = rest
    if (kind == "zTXt") body = expanded(rest.part(1, rest.size), room)
    if (kind == "iTXt") {
        val language = rest.find("\u0000", minOf(2, rest.size))
        val translated = if (language < 0) -1 else rest.find("\u0000", language + 1)
        body = if (translated < 0) ByteArray(0) else rest.part(translated + 1, rest.size)
        if (rest.u8(0) == 1) body = expanded(body, room)
    }
    when {
        name == XMP_NAME -> parts.xmp = body
        name in RAW_EXIF -> if (parts.exif.isEmpty()) {
            parts.exif = rawProfile(text(body))
            parts.exifTurns = !pixels
        }
        name.startsWith("Raw profile type") ->
            parts.others.add(if (name.endsWith("iptc")) MessageKind.IPTC else MessageKind.OTHER_DATA)
        (body.isEmpty() && rest.size > 1) || body.size > room -> parts.others.add(MessageKind.BAD_COMMENTS)
        else -> parts.comments.add(name to String(body, if (kind == "iTXt") Charsets.UTF_8 else Charsets.ISO_8859_1))
    }
}

/** What was compressed; nothing where that is damaged or longer than the limit. */
private fun expanded(compressed: ByteArray, limit: Int): ByteArray {
    if (limit <= 0) return ByteArray(0)
    val inflater = Inflater().apply { setInput(compressed) }
    val result = ByteArrayOutputStream()
    val buffer = ByteArray(1 shl 14)
    try {
        while (!inflater.finished()) {
            val count = inflater.inflate(buffer)
            if (count == 0 && !inflater.finished()) return ByteArray(0)
            result.write(buffer, 0, count)
            if (result.size() > limit) return ByteArray(0)
        }
    } catch (error: DataFormatException) {
        return ByteArray(0)
    } finally {
        inflater.end()
    }
    return result.toByteArray()
}

/** The EXIF block of a text of a name, a length and hexadecimal digits; nothing where it is damaged. */
private fun rawProfile(text: String): ByteArray {
    val digits = text.trim().split(' ', '\n', '\t', '\r').filter { it.isNotEmpty() }.drop(2).joinToString("")
    val isHex = digits.all { it in '0'..'9' || it in 'a'..'f' || it in 'A'..'F' }
    if (digits.length % 2 != 0 || !isHex) return ByteArray(0)
    val block = ByteArray(digits.length / 2) { digits.substring(2 * it, 2 * it + 2).toInt(16).toByte() }
    return if (block.startsWith("Exif\u0000\u0000")) block.part(6, block.size) else block
}
