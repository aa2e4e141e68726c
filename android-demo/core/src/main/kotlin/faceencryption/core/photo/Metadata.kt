package faceencryption.core.photo

import faceencryption.core.Message
import faceencryption.core.MessageKind
import faceencryption.core.Picture

/** A JPEG segment has a length of 16 bits, part of which the segment's own header takes. */
private const val MAX_SEGMENT = 65_000

/** What becomes of EXIF, XMP and comments. */
enum class MetadataPolicy {
    /** They are removed: they tell where, when and by whom the photo was taken. */
    STRIP,

    /** They stay, without the pictures in them, which show the face before protection. */
    KEEP,
}

/**
 * What is written back beside a photo's pixels. The colour profile and the resolution belong to the picture and stay.
 * Previews and second pictures never do.
 *
 * @param profile the ICC profile to write; empty for none.
 * @param colour PNG chunks to write, name and body.
 * @param density dots per inch to write; null for none.
 * @param exif the EXIF block to write, a TIFF file; empty for none.
 * @param xmp the packet to write; empty for none.
 * @param comments name and text of each comment to write.
 * @param messages what was removed, and what is still there.
 */
internal class Metadata(
    val profile: ByteArray,
    val colour: List<Pair<String, ByteArray>>,
    val density: Pair<Double, Double>?,
    val exif: ByteArray,
    val xmp: ByteArray,
    val comments: List<Pair<String, String>>,
    val messages: List<Message>,
)

/** Decides on it for a file; [picture] is upright, and the file's was not where it [isTurned]. */
internal class MetadataRules(
    private val parts: Parts,
    private val format: Format,
    private val picture: Picture,
    private val isTurned: Boolean,
    private val codec: Codec,
) {
    private val exif = Exif.read(parts.exif)
    private val packet = Xmp.read(parts.xmp)
    private val lost = ArrayList<MessageKind>()
    private val kept = ArrayList<MessageKind>()

    fun decide(policy: MetadataPolicy): Metadata {
        val profile = profile()
        val keeps = policy == MetadataPolicy.KEEP
        val block = if (keeps) keepExif() else ByteArray(0)
        val xmp = if (keeps) keepXmp() else ByteArray(0)
        val comments = if (keeps) keepComments() else emptyList()
        if (!keeps) lost += told()
        if (exif?.hasThumbnail == true) lost.add(MessageKind.THUMBNAIL)
        lost += parts.others
        val messages = listOf(MessageKind.REMOVED to lost, MessageKind.KEPT to kept)
            .filter { it.second.isNotEmpty() }.map { (kind, what) -> Message(kind, what.distinct()) }
        val density = density(parts.density ?: exif?.density)
        return Metadata(profile, parts.colour, density, block, xmp, comments, messages)
    }

    private fun profile(): ByteArray {
        val stored = if (parts.channels == 4) ByteArray(0) else parts.profile // CMYK is converted
        val profile = validProfile(stored, codec)
        if (profile.isNotEmpty()) {
            val rest = stored.part(profile.size, stored.size)
            if (rest.any { it.toInt() != 0 }) lost.add(MessageKind.DATA_BEHIND_PROFILE)
            return profile
        }
        if (stored.isNotEmpty()) lost.add(MessageKind.DAMAGED_PROFILE)
        val isAdobe = !picture.isStoredGrey && parts.colour.isEmpty() && exif?.isAdobeRgb == true
        return if (isAdobe) adobeRgb() else profile
    }

    /** What the file says beside the picture. */
    private fun told(): List<MessageKind> = listOfNotNull(if (parts.exif.isNotEmpty()) MessageKind.EXIF else null) +
        exif?.facts.orEmpty() +
        listOfNotNull(if (parts.xmp.isNotEmpty()) MessageKind.XMP else null) +
        packet?.facts.orEmpty() +
        listOfNotNull(
            if (parts.comments.isNotEmpty()) MessageKind.COMMENTS else null,
            if (exif?.holdsPreview == true || packet?.holdsPreview == true) MessageKind.PREVIEW else null,
        )

    private fun keepExif(): ByteArray {
        if (parts.exif.isEmpty()) return parts.exif
        val cleaned = exif?.kept(picture.width, picture.height, isTurned)
        if (cleaned == null || cleaned.block.size > MAX_SEGMENT) {
            lost.add(MessageKind.BAD_EXIF)
            return ByteArray(0)
        }
        kept.add(MessageKind.EXIF)
        kept += cleaned.facts
        lost += cleaned.removed
        return cleaned.block
    }

    private fun keepXmp(): ByteArray {
        if (parts.xmp.isEmpty()) return parts.xmp
        val removed = packet?.clean(picture.width, picture.height, isTurned).orEmpty()
        val written = packet?.written()
        if (packet == null || written == null || written.size > MAX_SEGMENT) {
            lost.add(MessageKind.BAD_XMP)
            return ByteArray(0)
        }
        kept.add(MessageKind.XMP)
        kept += packet.facts
        lost += removed
        return written
    }

    private fun keepComments(): List<Pair<String, String>> {
        val harmless = parts.comments.filterNot { (name, text) -> isPicture(name + text) }
        if (harmless.size < parts.comments.size) lost.add(MessageKind.PREVIEW)
        if (harmless.isEmpty()) return harmless
        if (format == Format.PNG) {
            kept.add(MessageKind.COMMENTS)
            return harmless.filter { it.first.length in 1 until 80 } // as PNG has it
        }
        val joined = harmless.joinToString("\n") { it.second } // a JPEG's, of which one is written
        if (joined.length > MAX_SEGMENT) {
            lost.add(MessageKind.LONG_COMMENTS)
            return emptyList()
        }
        kept.add(MessageKind.COMMENTS)
        return listOf("comment" to joined)
    }

    private fun isPicture(text: String) =
        holdsPicture(text.toByteArray()) || holdsPicture(text.toByteArray(Charsets.ISO_8859_1))
}

private fun density(density: Pair<Double, Double>?): Pair<Double, Double>? =
    density?.takeIf { it.first >= 1 && it.first < 65535 && it.second >= 1 && it.second < 65535 }
