package faceencryption.core.photo

import faceencryption.core.MessageKind

/** A photo file taken apart. */
internal class Parts {
    /** A file of the same kind with the picture alone. */
    var picture = ByteArray(0)

    /** The picture's data have an end; without it the last of them may be missing. */
    var hasEnd = true
    var isProgressive = false

    /** Of a JPEG: size as stored, number of channels; quantization tables by their numbers, in natural order. */
    var width = 0
    var height = 0
    var channels = 3
    val tables = java.util.TreeMap<Int, IntArray>()

    /** Dots per inch, across and down. */
    var density: Pair<Double, Double>? = null

    /** The EXIF block, a TIFF file, without "Exif" ahead of it; whether the orientation in it counts. */
    var exif = ByteArray(0)
    var exifTurns = true
    var xmp = ByteArray(0)

    /** The ICC profile, not checked. */
    var profile = ByteArray(0)

    /** PNG chunks, name and body, that say what the numbers mean as colours. */
    val colour = ArrayList<Pair<String, ByteArray>>()

    /** Name and text of each comment. */
    val comments = ArrayList<Pair<String, String>>()

    /** What else was in the file; it is never written back. */
    val others = ArrayList<MessageKind>()
}

internal fun ByteArray.u8(at: Int): Int = if (at in indices) this[at].toInt() and 255 else 0

internal fun ByteArray.u16(at: Int): Int = u8(at) shl 8 or u8(at + 1)

internal fun ByteArray.u32(at: Int): Long = u16(at).toLong() shl 16 or u16(at + 2).toLong()

internal fun ByteArray.u32Little(at: Int): Long =
    u8(at).toLong() or (u8(at + 1).toLong() shl 8) or (u8(at + 2).toLong() shl 16) or (u8(at + 3).toLong() shl 24)

/** Whether these characters, one a byte, stand here. */
internal fun ByteArray.holdsAt(at: Int, text: String): Boolean =
    at >= 0 && at + text.length <= size && text.indices.all { u8(at + it) == text[it].code }

internal fun ByteArray.startsWith(text: String): Boolean = holdsAt(0, text)

/** Where these characters, one a byte, stand first from here on; -1 for nowhere. */
internal fun ByteArray.find(text: String, from: Int = 0, until: Int = size): Int {
    val first = text[0].code.toByte()
    for (at in from..until - text.length) if (this[at] == first && holdsAt(at, text)) return at
    return -1
}

internal fun ByteArray.part(from: Int, until: Int): ByteArray =
    if (from >= minOf(until, size)) ByteArray(0) else copyOfRange(from, minOf(until, size))

internal fun text(bytes: ByteArray): String = String(bytes, Charsets.ISO_8859_1)
