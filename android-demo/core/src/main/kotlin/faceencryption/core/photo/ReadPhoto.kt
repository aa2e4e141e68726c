package faceencryption.core.photo

import faceencryption.core.Message
import faceencryption.core.MessageKind
import faceencryption.core.PhotoError
import faceencryption.core.Picture
import java.util.zip.CRC32

private val OTHER_FORMATS = mapOf(
    "GIF8" to "GIF", "II*\u0000" to "TIFF", "MM\u0000*" to "TIFF", "BM" to "BMP", "%PDF" to "PDF", "8BPS" to "PSD",
)

/** The largest photos, in megapixels, by the name that the refusal gives. */
val MAX_MEGAPIXELS = mapOf("JPEG" to 80, "progressive JPEG" to 60, "PNG" to 60, "WebP" to 40, "lossless WebP" to 20)

/** The memory that a photo takes here, in bytes a pixel: its pixels, the detector's copy, what the coder holds. */
private const val BYTES_A_PIXEL = 12L

/**
 * Decode a JPEG, PNG or WebP file, upright as browsers turn it: by EXIF, ahead of the pixels in a PNG; not by XMP.
 *
 * @throws PhotoError the bytes are not such a photo, or one that is damaged, animated, 16-bit or too large.
 */
fun readPhoto(data: ByteArray, codec: Codec): Photo {
    val format = recognize(data)
    val parts = partsOf(data, format)
    checkSize(format, parts, size(format, parts))
    val isGrey = when (format) {
        Format.JPEG -> parts.channels == 1
        Format.PNG -> data.u8(25) == 0 || data.u8(25) == 4
        Format.WEBP -> false
    }
    val raster = decode(format, parts, codec)
    val orientation = if (parts.exifTurns) Exif.orientation(parts.exif) else 1
    val picture = turned(raster, orientation, isGrey)
    val conversions = listOfNotNull(
        MessageKind.FROM_CMYK.takeIf { format == Format.JPEG && parts.channels == 4 },
        MessageKind.FULL_COLOURS.takeIf { format == Format.PNG && data.u8(25) == 3 },
        MessageKind.EIGHT_BIT_GREY.takeIf { format == Format.PNG && data.u8(25) == 0 && data.u8(24) == 1 },
    )
    return Photo(format, picture, parts, orientation != 1, conversions.map { Message(it) }, codec)
}

internal fun partsOf(data: ByteArray, format: Format): Parts = when (format) {
    Format.JPEG -> takeJpegApart(data)
    Format.PNG -> takePngApart(data)
    Format.WEBP -> takeWebpApart(data)
}

/** The format by the first bytes; what the header already rules out is refused. */
private fun recognize(data: ByteArray): Format {
    if (data.isEmpty()) throw PhotoError(MessageKind.EMPTY_FILE)
    if (data.startsWith("\u00ff\u00d8\u00ff")) return Format.JPEG
    if (data.startsWith(PNG_SIGNATURE)) {
        val (width, height) = data.u32(16) to data.u32(20)
        if (data.size >= 25 && (width == 0L || height == 0L)) throw PhotoError(MessageKind.NO_PIXELS, width, height)
        if (data.u8(24) == 16) throw PhotoError(MessageKind.DEEP_PNG)
        return Format.PNG
    }
    if (data.startsWith("RIFF") && data.holdsAt(8, "WEBP")) return Format.WEBP
    if (data.holdsAt(4, "ftyp")) throw PhotoError(MessageKind.HEIC_OR_VIDEO)
    val other = OTHER_FORMATS.entries.firstOrNull { data.startsWith(it.key) }?.value
    throw if (other != null) PhotoError(MessageKind.OTHER_FORMAT, other) else PhotoError(MessageKind.NOT_AN_IMAGE)
}

/** Width and height as the file declares them; 0 where that is damaged. */
private fun size(format: Format, parts: Parts): Pair<Int, Int> {
    val picture = parts.picture
    return when (format) {
        Format.JPEG -> parts.width to parts.height
        Format.PNG -> picture.u32(16).coerceAtMost(1 shl 24).toInt() to picture.u32(20).coerceAtMost(1 shl 24).toInt()
        Format.WEBP -> webpSize(picture)
    }
}

private fun checkSize(format: Format, parts: Parts, size: Pair<Int, Int>) {
    val (width, height) = size
    if (width == 0 || height == 0) throw damaged(format, "it declares no size")
    if (format == Format.JPEG && parts.tables.isEmpty()) throw damaged(format, "it has no quantization tables")
    val name = when {
        parts.isProgressive -> "progressive JPEG"
        format == Format.WEBP -> if (isLosslessWebp(parts.picture)) "lossless WebP" else "WebP"
        else -> format.word
    }
    val most = MAX_MEGAPIXELS.getValue(name)
    if (width.toLong() * height > most * 1_000_000L) {
        throw PhotoError(MessageKind.TOO_LARGE, width, height, most, name)
    }
    if (width.toLong() * height * BYTES_A_PIXEL > Runtime.getRuntime().maxMemory()) {
        throw PhotoError(MessageKind.NO_MEMORY)
    }
}

/** The picture as it is stored. Platforms fill up in silence what is missing, so that has to be found out here. */
private fun decode(format: Format, parts: Parts, codec: Codec): Raster {
    if (format == Format.WEBP && !parts.hasEnd) throw damaged(format, "it is shorter than it says")
    if (format == Format.PNG && !isWholePng(parts.picture)) throw damaged(format, "its pixels are not whole")
    var expected: Long? = null
    if (format == Format.JPEG && !parts.hasEnd) {
        // Other bits behind the data change nothing when none of them are missing.
        val end = parts.picture.size - 2
        val longer = parts.picture.part(0, end) + FILLER + parts.picture.part(end, end + 2)
        expected = codec.decode(longer, format)?.let { checksum(it) }
    }
    val raster = codec.decode(parts.picture, format) ?: throw damaged(format, "it cannot be decoded")
    if (expected != null && checksum(raster) != expected) {
        throw PhotoError(MessageKind.CUT_OFF)
    }
    return raster
}

private fun damaged(format: Format, reason: String) =
    PhotoError(MessageKind.DAMAGED, format.word, reason)

private fun checksum(raster: Raster): Long = CRC32().apply { update(raster.rgb) }.value

/** A picture upright that was stored under an EXIF orientation, 1 to 8. */
private fun turned(raster: Raster, orientation: Int, isGrey: Boolean): Picture {
    if (orientation == 1) return Picture(raster.width, raster.height, raster.rgb, raster.alpha, isGrey)
    val swaps = orientation >= 5
    val width = if (swaps) raster.height else raster.width
    val height = if (swaps) raster.width else raster.height
    val rgb = ByteArray(raster.rgb.size)
    val alpha = raster.alpha?.let { ByteArray(it.size) }
    for (y in 0 until height) {
        for (x in 0 until width) {
            // Where the pixel was stored that is upright at x, y.
            val column = when (orientation) {
                2, 3 -> raster.width - 1 - x
                4 -> x
                5, 6 -> y
                else -> raster.width - 1 - y
            }
            val row = when (orientation) {
                2 -> y
                3, 4 -> raster.height - 1 - y
                5, 8 -> x
                else -> raster.height - 1 - x
            }
            val from = row * raster.width + column
            val to = y * width + x
            raster.rgb.copyInto(rgb, 3 * to, 3 * from, 3 * from + 3)
            if (alpha != null) alpha[to] = raster.alpha!![from]
        }
    }
    return Picture(width, height, rgb, alpha, isGrey)
}
