package faceencryption.core.photo

import faceencryption.core.MessageKind

// EXIF: which way up a photo is, and what the block tells. A flaw in it costs the block, never the photo.

private const val INTEROP_INDEX = 0x0001
private const val COLOUR_SPACE = 0xa001
private val SERIAL_NUMBERS = setOf(0xa431, 0xa435) // of the camera body and of the lens
private val AUTHORS = setOf(0x013b, 0x8298, 0x9c9d) // artist, copyright, Windows' author
private val THUMBNAIL = setOf(0x0201, 0x0111, 0x0100)
private val SIZES = intArrayOf(0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)
private const val MAX_TAGS = 1000

/** Longer ones that are not text are no camera setting, and could be pixels. */
private const val MAX_BINARY = 1024

internal class Tag(val type: Int, val count: Long, val value: ByteArray)

/** The tags of a block. */
internal class Exif private constructor(private val block: ByteArray) {
    val isLittle = block.startsWith("II")
    private var second = 0L
    val main: Map<Int, Tag>
    val details: Map<Int, Tag>
    val gps: Map<Int, Tag>
    val interop: Map<Int, Tag>

    init {
        require(block.startsWith("II*\u0000") || block.startsWith("MM\u0000*")) { "no TIFF header" }
        main = directory(u32(4)) { second = it }
        details = below(main, DETAILS)
        gps = below(main, GPS)
        interop = below(details, INTEROP)
    }

    /** 1 to 8; 1, upright, where the block says none. */
    val orientation: Int get() = main[ORIENTATION]?.let { number(it) }?.takeIf { it in 1L..8L }?.toInt() ?: 1

    /** The colours are Adobe RGB: by DCF's R03, or by the value that some write. */
    val isAdobeRgb: Boolean
        get() {
            val index = interop[INTEROP_INDEX]?.let { text(it.value).trimEnd('\u0000', ' ') }
            val space = details[COLOUR_SPACE]?.let { number(it) }
            return space == 2L || (index == "R03" && space != 1L)
        }

    val hasThumbnail: Boolean
        get() = second != 0L && runCatching { directory(second) {}.keys.any { it in THUMBNAIL } }.getOrDefault(false)

    /** What the block tells. */
    val facts: List<MessageKind>
        get() {
            val found = ArrayList<MessageKind>()
            if (gps.isNotEmpty()) found.add(MessageKind.GPS_POSITION)
            if (details.keys.any { it in SERIAL_NUMBERS }) found.add(MessageKind.SERIAL_NUMBERS)
            if (main.keys.any { it in AUTHORS }) found.add(MessageKind.AUTHOR)
            return found
        }

    val holdsPreview: Boolean
        get() = listOf(main, details, gps, interop).any { tags -> tags.values.any { isPicture(it) } }

    /** Dots per inch; null where the block states none. */
    val density: Pair<Double, Double>?
        get() {
            val unit = if (main[0x0128]?.let { number(it) } == 3L) 2.54 else 1.0
            val x = main[0x011a]?.let { fraction(it) } ?: return null
            val y = main[0x011b]?.let { fraction(it) } ?: return null
            return x * unit to y * unit
        }

    private fun below(tags: Map<Int, Tag>, name: Int): Map<Int, Tag> =
        tags[name]?.let { tag -> number(tag) }?.let { directory(it) {} } ?: emptyMap()

    private fun directory(offset: Long, next: (Long) -> Unit): Map<Int, Tag> {
        require(offset in 8 until block.size.toLong() - 1) { "a directory outside of the block" }
        val start = offset.toInt()
        val count = minOf(u16(start), MAX_TAGS)
        val tags = LinkedHashMap<Int, Tag>()
        for (at in 0 until count) {
            val entry = start + 2 + 12 * at
            if (entry + 12 > block.size) break
            val type = u16(entry + 2)
            if (type !in 1 until SIZES.size) continue
            val number = u32(entry + 4)
            val length = SIZES[type] * number
            val from = if (length <= 4) entry + 8L else u32(entry + 8)
            if (from + length > block.size) continue
            tags[u16(entry)] = Tag(type, number, block.part(from.toInt(), (from + length).toInt()))
        }
        next(u32(start + 2 + 12 * count))
        return tags
    }

    private fun number(tag: Tag): Long? = when (tag.type) {
        3 -> u16(tag.value, 0).toLong()
        4, 13 -> u32(tag.value, 0)
        else -> null
    }

    private fun fraction(tag: Tag): Double? {
        if (tag.type != 5 || tag.value.size < 8 || u32(tag.value, 4) == 0L) return null
        return u32(tag.value, 0).toDouble() / u32(tag.value, 4)
    }

    fun isPicture(tag: Tag): Boolean = when (tag.type) {
        2 -> holdsPicture(tag.value)
        1, 6, 7 -> holdsPicture(tag.value) || (tag.value.size > MAX_BINARY && !isText(tag.value))
        else -> tag.count > MAX_BINARY
    }

    private fun u16(at: Int) = u16(block, at)

    private fun u32(at: Int) = u32(block, at)

    private fun u16(data: ByteArray, at: Int) = if (isLittle) data.u8(at) or (data.u8(at + 1) shl 8) else data.u16(at)

    private fun u32(data: ByteArray, at: Int) = if (isLittle) data.u32Little(at) else data.u32(at)

    /** A number in the order of this block's bytes. */
    fun bytes(value: Long, count: Int): ByteArray =
        ByteArray(count) { at -> (value shr 8 * if (isLittle) at else count - 1 - at).toByte() }

    companion object {
        const val ORIENTATION = 0x0112

        /** Tags that point to other directories. */
        const val DETAILS = 0x8769
        const val GPS = 0x8825
        const val INTEROP = 0xa005

        /** The tags of a block, or null where there are none or it cannot be read. */
        fun read(block: ByteArray): Exif? = try {
            Exif(block).takeIf { it.main.isNotEmpty() }
        } catch (error: IllegalArgumentException) {
            null
        }

        /** The orientation, 1 to 8, also of a block of which the rest cannot be read. */
        fun orientation(block: ByteArray): Int = read(block)?.orientation ?: 1
    }
}

private fun isText(value: ByteArray): Boolean {
    // eight bytes ahead of a user's comment name its encoding
    val readings = listOf(
        0 to Charsets.UTF_8, 8 to Charsets.UTF_8,
        8 to Charsets.UTF_16LE, 8 to Charsets.UTF_16BE, 0 to Charsets.UTF_16LE,
    )
    return readings.any { (start, encoding) ->
        val text = String(value.part(start, value.size), encoding).trimEnd('\u0000')
        '\ufffd' !in text && text.count { !it.isISOControl() || it.isWhitespace() } > 0.98 * text.length
    }
}
