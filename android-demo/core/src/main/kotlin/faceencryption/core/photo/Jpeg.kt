package faceencryption.core.photo

import faceencryption.core.MessageKind
import faceencryption.core.PhotoError
import java.io.ByteArrayOutputStream

// A JPEG file taken apart: its segments by their markers, and what lies behind its end.

private const val SCAN = 0xda
private const val END = 0xd9
private const val MAX_SCANS = 100 // more than a coder writes; each takes a pass over the picture
private const val MAX_SEGMENTS = 10_000
private const val MAX_COMMENTS = 20
private const val MAX_METADATA = 1 shl 20
private val PROGRESSIVE = setOf(0xc2, 0xc6, 0xca, 0xce)

/** Frames, tables and restart intervals: all that a decoder needs beside the scans. */
private val NEEDED = (0xc0..0xcf).toSet() + setOf(0xdb, 0xdc, 0xdd, 0xde, 0xdf)
private val ALONE = setOf(0x00, 0x01) + (0xd0..0xd8)
private const val EXIF = "Exif\u0000\u0000"
private const val XMP = "http://ns.adobe.com/xap/1.0/\u0000"
private const val MORE_XMP = "http://ns.adobe.com/xmp/extension/\u0000"
private const val ICC = "ICC_PROFILE\u0000"
private val THUMBNAILS = listOf("8BIM\u0004\u0009", "8BIM\u0004\u000c")

/** Bits to put behind a scan: a decoder that has had all it needed does not look at them. */
internal val FILLER = ByteArray(64) { 0x5a }

private class Segment(val marker: Int, val start: Int, val body: Int, val end: Int)

/**
 * Take a JPEG file apart. Where it is damaged, the picture is what a decoder can be asked about.
 *
 * @throws PhotoError there are more scans than any coder writes.
 */
internal fun takeJpegApart(data: ByteArray): Parts {
    val parts = Parts()
    val picture = ByteArrayOutputStream(data.size)
    picture.write(byteArrayOf(-1, 0xd8.toByte()))
    val profile = java.util.TreeMap<Int, ByteArray>()
    var scan = data.size
    for (segment in segments(data)) {
        val content = data.part(segment.body, segment.end)
        when {
            segment.marker == SCAN -> scan = segment.start
            segment.marker in NEEDED -> {
                picture.write(data.part(segment.start, segment.end))
                frame(parts, segment.marker, content)
            }
            segment.marker == 0xe0 && content.startsWith("JFIF\u0000") && content.size >= 14 -> {
                picture.write(byteArrayOf(-1, 0xe0.toByte(), 0, 16))
                picture.write(content, 0, 12)
                picture.write(ByteArray(2)) // without its thumbnail
                if (content.size > 14) parts.others.add(MessageKind.THUMBNAIL)
                parts.density = density(content)
            }
            // says what the channels are
            segment.marker == 0xee && content.startsWith("Adobe") && content.size >= 12 ->
                picture.write(data.part(segment.start, segment.end))
            segment.marker == 0xe2 && content.startsWith(ICC) && content.size > 14 ->
                profile[content.u8(12)] = content.part(14, content.size)
            else -> metadata(parts, segment.marker, content)
        }
    }
    parts.profile = profile.values.fold(ByteArray(0)) { whole, each -> whole + each }
    val end = endOfScans(data, scan, parts)
    var last = end
    if (!parts.hasEnd) while (last > scan && data.u8(last - 1) == 0xff) last--
    picture.write(data.part(scan, last))
    if (!parts.hasEnd) picture.write(byteArrayOf(-1, END.toByte()))
    parts.picture = picture.toByteArray()
    parts.others += trailing(data, end, data.part(2, minOf(scan, MAX_METADATA)))
    return parts
}

/** Markers and contents of the segments that hold what is kept of EXIF, XMP and comments. */
internal fun jpegSegments(metadata: Metadata): List<Pair<Int, ByteArray>> = listOfNotNull(
    if (metadata.exif.isEmpty()) null else 0xe1 to EXIF.toByteArray() + metadata.exif,
    if (metadata.xmp.isEmpty()) null else 0xe1 to XMP.toByteArray() + metadata.xmp,
) + metadata.comments.map { 0xfe to it.second.toByteArray(Charsets.ISO_8859_1) }

/** Remember what of the frame and the tables the written file takes over. */
private fun frame(parts: Parts, marker: Int, content: ByteArray) {
    if (marker in 0xc0..0xcf && marker !in setOf(0xc4, 0xc8, 0xcc)) {
        parts.height = content.u16(1)
        parts.width = content.u16(3)
        parts.channels = content.u8(5)
        if (marker in PROGRESSIVE) parts.isProgressive = true
    }
    if (marker != 0xdb) return
    var at = 0
    while (at < content.size) {
        val wide = content.u8(at) shr 4 != 0
        val number = content.u8(at) and 15
        if (at + 1 + (if (wide) 128 else 64) > content.size) return
        val table = IntArray(64)
        for (k in 0 until 64) {
            table[ZIGZAG[k]] = if (wide) content.u16(at + 1 + 2 * k) else content.u8(at + 1 + k)
        }
        parts.tables[number] = table
        at += 1 + if (wide) 128 else 64
    }
}

private fun density(jfif: ByteArray): Pair<Double, Double>? {
    val x = jfif.u16(8).toDouble()
    val y = jfif.u16(10).toDouble()
    return when (jfif.u8(7)) {
        1 -> x to y
        2 -> x * 2.54 to y * 2.54
        else -> null
    }
}

private fun metadata(parts: Parts, marker: Int, content: ByteArray) {
    when {
        marker == 0xe1 && content.startsWith("Exif\u0000") ->
            if (parts.exif.size < MAX_METADATA) parts.exif += content.part(6, content.size) // may go on in the next
        marker == 0xe1 && content.startsWith(XMP) -> parts.xmp = content.part(XMP.length, content.size)
        marker == 0xe1 && content.startsWith(MORE_XMP) -> parts.others.add(MessageKind.EXTENDED_XMP)
        marker == 0xed && content.startsWith("Photoshop 3.0\u0000") -> {
            parts.others.add(MessageKind.IPTC)
            if (THUMBNAILS.any { content.find(it) >= 0 }) parts.others.add(MessageKind.THUMBNAIL)
        }
        marker == 0xfe -> if (parts.comments.size < MAX_COMMENTS) parts.comments.add("comment" to text(content))
        marker == 0xe0 -> if (content.startsWith("JFXX\u0000")) parts.others.add(MessageKind.THUMBNAIL)
        marker == 0xeb && content.startsWith("JP") -> parts.others.add(MessageKind.CONTENT_CREDENTIALS)
        marker in 0xe0..0xef && marker != 0xee &&
            listOf(ICC, "MPF\u0000", "urn:iso").none { content.startsWith(it) } ->
            parts.others.add(MessageKind.OTHER_DATA)
    }
}

/** Where the next marker's second byte is; markers of restarts and stuffed bytes are skipped. -1 for nowhere. */
private fun nextMarker(data: ByteArray, from: Int): Int {
    var at = maxOf(from, 0)
    while (at + 1 < data.size) {
        if (data.u8(at) == 0xff) {
            val marker = data.u8(at + 1)
            if (marker != 0 && marker !in 0xd0..0xd7 && marker != 0xff) return at + 1
        }
        at++
    }
    return -1
}

/** The segments up to the first scan, and the scan's header. */
private fun segments(data: ByteArray): List<Segment> {
    val found = ArrayList<Segment>()
    var at = 2
    while (found.size < MAX_SEGMENTS) {
        val place = nextMarker(data, at)
        if (place < 0) break
        val marker = data.u8(place)
        at = place + 1
        if (marker == END) break
        if (marker in ALONE) continue
        val length = data.u16(at)
        found.add(Segment(marker, place - 1, at + 2, at + length))
        if (marker == SCAN) break
        at += maxOf(2, length)
    }
    return found
}

/** Where the picture ends that has its first scan here; says in [parts] whether an end is marked there. */
private fun endOfScans(data: ByteArray, from: Int, parts: Parts): Int {
    var at = from
    var scans = 0
    while (true) {
        val place = nextMarker(data, at)
        if (place < 0) break
        val marker = data.u8(place)
        at = place + 1
        if (marker == END) return at.also { parts.hasEnd = true }
        if (marker == 0xd8) { // another picture begins; this one's end is missing
            parts.hasEnd = false
            return place - 1
        }
        if (marker in NEEDED || marker == SCAN || marker >= 0xe0) at += data.u16(at)
        if (marker == SCAN) scans++
        if (scans > MAX_SCANS) throw PhotoError(MessageKind.TOO_MANY_SCANS, MAX_SCANS)
    }
    parts.hasEnd = false
    return data.size
}
