package faceencryption.core.photo

import faceencryption.core.MessageKind
import faceencryption.core.PhotoError
import java.io.ByteArrayOutputStream
import kotlin.math.exp
import kotlin.math.ln

// A WebP file taken apart into its chunks, and the quality that it was encoded with.

private val PICTURE = setOf("ANIM", "ANMF", "ALPH", "VP8 ", "VP8L")
private const val ANIMATION_AND_ALPHA = 0x12

/** A chunk beside the picture, and the bit by which the header announces it. */
private class Beside(val name: String, val flag: Int, val content: ByteArray)

private class Chunk(val name: String, val body: Int, val stop: Int)

/**
 * Take a WebP file apart. Where it is damaged, the picture is what a decoder can be asked about.
 *
 * @throws PhotoError the file is animated.
 */
internal fun takeWebpApart(data: ByteArray): Parts {
    val parts = Parts()
    val picture = ByteArrayOutputStream(data.size)
    var frames = 0
    val declared = 8 + data.u32Little(4) / 2 * 2
    parts.hasEnd = declared <= data.size
    val end = minOf(data.size.toLong(), declared).toInt()
    for (chunk in chunks(data, 12, maxOf(end, 20))) {
        val content = data.part(chunk.body, chunk.stop)
        when {
            chunk.name == "VP8X" && content.size >= 10 -> {
                picture.write(data.part(chunk.body - 8, chunk.body))
                picture.write(content.u8(0) and ANIMATION_AND_ALPHA)
                picture.write(content.part(1, content.size))
            }
            chunk.name in PICTURE -> {
                picture.write(data.part(chunk.body - 8, chunk.stop))
                if (content.size % 2 == 1) picture.write(0)
                if (chunk.name == "ANMF") frames++
                if (frames > 1) throw PhotoError(MessageKind.ANIMATED)
            }
            chunk.name == "EXIF" ->
                parts.exif = if (content.startsWith("Exif\u0000\u0000")) content.part(6, content.size) else content
            chunk.name == "XMP " -> parts.xmp = content
            chunk.name == "ICCP" -> parts.profile = content
            chunk.name == "C2PA" -> parts.others.add(MessageKind.CONTENT_CREDENTIALS)
            else -> parts.others.add(MessageKind.OTHER_DATA)
        }
    }
    parts.picture = riff(picture.toByteArray())
    parts.others += trailing(data, end, parts.xmp)
    return parts
}

/** Width and height of the picture of a WebP file, as its first chunk says; 0 where that is damaged. */
internal fun webpSize(picture: ByteArray): Pair<Int, Int> {
    if (picture.holdsAt(12, "VP8X")) return u24(picture, 24) + 1 to u24(picture, 27) + 1
    if (picture.holdsAt(12, "VP8L")) {
        val bits = picture.u32Little(21)
        return ((bits and 0x3fff) + 1).toInt() to ((bits shr 14 and 0x3fff) + 1).toInt()
    }
    val wide = picture.u8(26) or (picture.u8(27) shl 8)
    val high = picture.u8(28) or (picture.u8(29) shl 8)
    return (wide and 0x3fff) to (high and 0x3fff)
}

internal fun isLosslessWebp(picture: ByteArray): Boolean = frame(picture, 12, picture.size)?.name == "VP8L"

/** Put a colour profile, EXIF and XMP into a WebP file of one picture, as the platform's coder wrote it. */
internal fun withMetadata(file: ByteArray, metadata: Metadata): ByteArray {
    val beside = listOf(
        Beside("ICCP", 0x20, metadata.profile), Beside("EXIF", 8, metadata.exif), Beside("XMP ", 4, metadata.xmp),
    ).filter { it.content.isNotEmpty() }
    if (beside.isEmpty()) return file
    val (width, height) = webpSize(file)
    val chunks = chunks(file, 12, file.size)
    val alpha = chunks.any { it.name == "ALPH" } ||
        chunks.firstOrNull { it.name == "VP8X" }?.let { file.u8(it.body) and 0x10 != 0 } == true ||
        chunks.firstOrNull { it.name == "VP8L" }?.let { file.u32Little(it.body + 1) shr 28 and 1L == 1L } == true
    val flags = beside.fold(if (alpha) 0x10 else 0) { all, each -> all or each.flag }
    val out = ByteArrayOutputStream(file.size + beside.fold(32) { sum, each -> sum + each.content.size + 8 })
    chunk(out, "VP8X", byteArrayOf(flags.toByte(), 0, 0, 0) + u24(width - 1) + u24(height - 1))
    val (ahead, behind) = beside.partition { it.name == "ICCP" }
    for (each in ahead) chunk(out, each.name, each.content)
    for (each in chunks) if (each.name in PICTURE) chunk(out, each.name, file.part(each.body, each.stop))
    for (each in behind) chunk(out, each.name, each.content)
    return riff(out.toByteArray())
}

private fun chunk(out: ByteArrayOutputStream, name: String, body: ByteArray) {
    out.write(name.toByteArray(Charsets.ISO_8859_1))
    for (shift in 0..24 step 8) out.write(body.size shr shift)
    out.write(body)
    if (body.size % 2 == 1) out.write(0)
}

private fun riff(chunks: ByteArray): ByteArray {
    val out = ByteArrayOutputStream(chunks.size + 12)
    out.write("RIFF".toByteArray(Charsets.ISO_8859_1))
    for (shift in 0..24 step 8) out.write(chunks.size + 4 shr shift)
    out.write("WEBP".toByteArray(Charsets.ISO_8859_1))
    out.write(chunks)
    return out.toByteArray()
}

private fun u24(data: ByteArray, at: Int) = data.u8(at) or (data.u8(at + 1) shl 8) or (data.u8(at + 2) shl 16)

private fun u24(value: Int) = byteArrayOf(value.toByte(), (value shr 8).toByte(), (value shr 16).toByte())

private fun chunks(data: ByteArray, from: Int, end: Int): List<Chunk> {
    val found = ArrayList<Chunk>()
    var at = from.toLong()
    while (at + 8 <= minOf(end, data.size)) {
        val start = at.toInt()
        val length = data.u32Little(start + 4)
        val stop = minOf(start + 8 + length, data.size.toLong()).toInt()
        found.add(Chunk(text(data.part(start, start + 4)), start + 8, stop))
        at += 8 + length + length % 2
    }
    return found
}

/** The chunk with the pixels, which is in another one in a file made for animations. */
private fun frame(data: ByteArray, from: Int, end: Int): Chunk? {
    for (chunk in chunks(data, from, end)) {
        if (chunk.name == "ANMF") return frame(data, chunk.body + 16, chunk.stop)
        if (chunk.name == "VP8 " || chunk.name == "VP8L") return chunk
    }
    return null
}

/** The quality, 0 to 100, with which libwebp would quantise as the lossy picture of a file is; null for none. */
internal fun webpQuality(picture: ByteArray): Int? {
    val chunk = frame(picture, 12, picture.size) ?: return null
    val frame = picture.part(chunk.body, chunk.stop)
    if (chunk.name != "VP8 " || frame.size < 11 || frame.u8(0) and 1 == 1) return null
    // The inverse of libwebp's QualityToCompression(): the quantiser's index is 127 (1 - compression), rounded down. It
    // spreads the segments around what a single one would have, so that the mean of their logarithms is that.
    val mean = quantisers(Bits(frame, 10)).fold(0.0) { sum, (step, share) ->
        sum + share * ln(maxOf(1 - (step + 0.5) / 127, 0.004))
    }
    val linear = exp(mean).let { it * it * it }
    return Math.rint(100 * if (linear < 0.5) linear * 1.5 else (linear + 1) / 2).toInt()
}

/** The quantiser's index, 0 to 127, of each segment and its share of the picture (RFC 6386, section 9). */
private fun quantisers(bits: Bits): List<Pair<Int, Double>> {
    bits.number(2) // colour space, clamping
    var segments: List<Int> = emptyList()
    var isAbsolute = true
    var tree = listOf(1.0, 1.0, 1.0)
    if (bits.number(1) == 1) {
        val withMap = bits.number(1) == 1
        if (bits.number(1) == 1) {
            isAbsolute = bits.number(1) == 1
            segments = List(4) { bits.signed(7) }
            repeat(4) { bits.signed(6) } // of the loop filter
        }
        if (withMap) tree = List(3) { if (bits.number(1) == 1) bits.number(8) / 255.0 else 1.0 }
    }
    bits.number(10) // of the loop filter
    if (bits.number(1) == 1 && bits.number(1) == 1) repeat(8) { bits.signed(6) }
    bits.number(2) // partitions
    val base = bits.number(7)
    if (segments.isEmpty()) return listOf(base to 1.0)
    // Of a segment below the third, of the first among these, of the third among the others.
    val (low, first, third) = tree
    val shares = listOf(low * first, low * (1 - first), (1 - low) * third, (1 - low) * (1 - third))
    return segments.zip(shares) { step, share -> minOf(127, maxOf(0, if (isAbsolute) step else base + step)) to share }
}

/** The boolean decoder of RFC 6386, section 7, for bits of which either value is as likely. */
private class Bits(private val data: ByteArray, start: Int) {
    private var at = start + 2
    private var value = data.u16(start)
    private var range = 255
    private var shifts = 0

    fun number(length: Int): Int {
        var result = 0
        repeat(length) { result = 2 * result + bit() }
        return result
    }

    /** A flag and, where it is set, a number of so many bits and its sign; 0 without. */
    fun signed(length: Int): Int {
        if (number(1) == 0) return 0
        val number = number(length)
        return if (number(1) == 1) -number else number
    }

    private fun bit(): Int {
        val split = 1 + (range - 1) / 2
        val isSet = value >= split shl 8
        if (isSet) {
            range -= split
            value -= split shl 8
        } else {
            range = split
        }
        while (range < 128) {
            value = value shl 1
            range = range shl 1
            if (++shifts == 8) {
                shifts = 0
                value = value or data.u8(at++)
            }
        }
        return if (isSet) 1 else 0
    }
}
