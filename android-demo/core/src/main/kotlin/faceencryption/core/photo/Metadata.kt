package faceencryption.core.photo

import faceencryption.core.Message
import faceencryption.core.MessageKind

/**
 * What travels with a photo's pixels. The colour profile and the resolution belong to the picture and stay. EXIF, XMP,
 * comments, previews and second pictures are removed: they tell where, when and by whom the photo was taken, or show
 * the face before protection.
 *
 * @param profile the ICC profile to write; empty for none.
 * @param colour PNG chunks to write, name and body.
 * @param density dots per inch to write; null for none.
 * @param notes what was removed; none where nothing was.
 */
internal class Metadata(
    val profile: ByteArray,
    val colour: List<Pair<String, ByteArray>>,
    val density: Pair<Double, Double>?,
    val notes: List<Message>,
)

/** Decide what is written back of a file; [isGrey]: the picture is stored as grey. */
internal fun metadata(parts: Parts, isGrey: Boolean, codec: Codec): Metadata {
    val lost = ArrayList<MessageKind>()
    val exif = Exif.read(parts.exif)
    var profile = validProfile(parts.profile, codec)
    if (profile.isNotEmpty()) {
        val rest = parts.profile.part(profile.size, parts.profile.size)
        if (rest.any { it.toInt() != 0 }) lost.add(MessageKind.DATA_BEHIND_PROFILE)
    } else {
        if (parts.profile.isNotEmpty()) lost.add(MessageKind.DAMAGED_PROFILE)
        if (!isGrey && parts.colour.isEmpty() && exif?.isAdobeRgb == true) profile = adobeRgb()
    }
    val facts = xmpFacts(parts.xmp)
    if (parts.exif.isNotEmpty()) lost.add(MessageKind.EXIF)
    lost += exif?.facts.orEmpty()
    if (parts.xmp.isNotEmpty()) lost.add(MessageKind.XMP)
    lost += facts - MessageKind.PREVIEW
    if (parts.comments.isNotEmpty()) lost.add(MessageKind.COMMENTS)
    if (exif?.holdsPreview == true || MessageKind.PREVIEW in facts) lost.add(MessageKind.PREVIEW)
    if (exif?.hasThumbnail == true) lost.add(MessageKind.THUMBNAIL)
    lost += parts.others
    val notes = if (lost.isEmpty()) emptyList() else listOf(Message(MessageKind.REMOVED, lost.distinct()))
    return Metadata(profile, parts.colour, density(parts.density ?: exif?.density), notes)
}

private fun density(density: Pair<Double, Double>?): Pair<Double, Double>? =
    density?.takeIf { it.first >= 1 && it.first < 65535 && it.second >= 1 && it.second < 65535 }
