package faceencryption.core.photo

import faceencryption.core.MessageKind
import java.io.ByteArrayOutputStream
import java.util.TreeMap

// EXIF written back: without pictures, and true of the picture as it is written; as in `runtime/photo/exif.py`.

private const val HEAD = 8L // bytes, ahead of the first directory

/** Width and height: of the picture, by EXIF, of interoperability. */
private val SIZE_TAGS = listOf(0x0100 to 0x0101, 0xa002 to 0xa003, 0x1001 to 0x1002)

/** Where in the picture the subject is. */
private val SUBJECT = listOf(0x9214, 0xa214)

/**
 * Tags that hold another file or point to one: sub-directories, strips and tiles of pixels, JPEG data, XMP, IPTC,
 * Photoshop's resources, an ICC profile, private data of a raw converter, a maker note.
 */
private val OTHER_FILES = setOf(
    0x014a, 0x0111, 0x0117, 0x0144, 0x0145, 0x015b, 0x0201, 0x0202, 0x0207, 0x0208, 0x0209, 0x02bc,
    0x83bb, 0x8649, 0x8773, 0xc634, 0x927c,
)
private val NAMES = mapOf(
    0x927c to MessageKind.MAKER_NOTE,
    0x02bc to MessageKind.XMP_IN_EXIF,
    0x83bb to MessageKind.IPTC,
    0x8649 to MessageKind.PHOTOSHOP_DATA,
)

/** A block to write, what it tells, and what is not in it any more. */
internal class KeptExif(val block: ByteArray, val facts: List<MessageKind>, val removed: List<MessageKind>)

/**
 * The tags to write back for an upright photo of this size, which was not stored upright where it [isTurned].
 *
 * @return null where a picture would be left in the block.
 */
internal fun Exif.kept(width: Int, height: Int, isTurned: Boolean): KeptExif? {
    val removed = ArrayList<MessageKind>()
    fun cleaned(tags: Map<Int, Tag>): TreeMap<Int, Tag> {
        val kept = TreeMap(tags)
        for ((number, tag) in tags) {
            val isPicture = isPicture(tag)
            if (isPicture) removed.add(MessageKind.PREVIEW)
            if (!isPicture && number !in OTHER_FILES) continue
            NAMES[number]?.let { removed.add(it) }
            kept.remove(number)
        }
        for ((across, down) in SIZE_TAGS) {
            if (across !in kept && down !in kept) continue
            kept[across] = Tag(4, 1, bytes(width.toLong(), 4))
            kept[down] = Tag(4, 1, bytes(height.toLong(), 4))
        }
        if (isTurned) SUBJECT.forEach { kept.remove(it) }
        return kept
    }
    val tags = cleaned(main).also { it[Exif.ORIENTATION] = Tag(3, 1, bytes(1, 2)) }
    val (inDetails, inGps, inInterop) = listOf(details, gps, interop).map { cleaned(it) }
    val below = if (inInterop.isEmpty()) emptyMap() else mapOf(Exif.INTEROP to Directory(inInterop))
    val pointed = mapOf(Exif.DETAILS to Directory(inDetails, below), Exif.GPS to Directory(inGps))
    val whole = Directory(tags, pointed.filterValues { !it.isEmpty })
    val head = (if (isLittle) "II*\u0000" else "MM\u0000*").toByteArray() + bytes(HEAD, 4)
    val block = head + whole.write(this, HEAD.toInt())
    return if (holdsPicture(block)) null else KeptExif(block, Exif.read(block)?.facts.orEmpty(), removed)
}

/** Tags by their numbers, and the directories that some of them point to. */
private class Directory(tags: Map<Int, Tag>, private val below: Map<Int, Directory> = emptyMap()) {
    private val tags = TreeMap(tags - POINTERS)
    val isEmpty get() = tags.isEmpty() && below.isEmpty()

    /** The bytes from the offset [at] on: the entries, no next directory, and behind them what does not fit in. */
    fun write(exif: Exif, at: Int): ByteArray {
        val entries = ByteArrayOutputStream()
        val data = ByteArrayOutputStream()
        val numbers = (tags.keys + below.keys).sorted()
        val start = at + 2 + 12 * numbers.size + 4
        entries.write(exif.bytes(numbers.size.toLong(), 2))
        for (number in numbers) {
            val place = start + data.size()
            val directory = below[number]?.write(exif, place)
            val tag = if (directory != null) Tag(4, 1, exif.bytes(place.toLong(), 4)) else tags.getValue(number)
            val apart = directory ?: if (tag.value.size > 4) tag.value else ByteArray(0)
            entries.write(exif.bytes(number.toLong(), 2) + exif.bytes(tag.type.toLong(), 2) + exif.bytes(tag.count, 4))
            if (tag.value.size > 4) entries.write(exif.bytes(place.toLong(), 4))
            else entries.write(tag.value + ByteArray(4 - tag.value.size))
            data.write(apart)
            if (apart.size % 2 == 1) data.write(0)
        }
        entries.write(ByteArray(4))
        return entries.toByteArray() + data.toByteArray()
    }

    private companion object {
        val POINTERS = setOf(Exif.DETAILS, Exif.GPS, Exif.INTEROP)
    }
}
