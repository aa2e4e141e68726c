package faceencryption.core.photo

/**
 * What travels with a photo's pixels. The colour profile and the resolution belong to the picture and stay. EXIF, XMP,
 * comments, previews and second pictures are removed: they tell where, when and by whom the photo was taken, or show
 * the face before protection.
 *
 * @param profile the ICC profile to write; empty for none.
 * @param colour PNG chunks to write, name and body.
 * @param density dots per inch to write; null for none.
 * @param notes what was removed, one line; none where nothing was.
 */
internal class Metadata(
    val profile: ByteArray,
    val colour: List<Pair<String, ByteArray>>,
    val density: Pair<Double, Double>?,
    val notes: List<String>,
)

/** Decide what is written back of a file; [isGrey]: the picture is stored as grey. */
internal fun metadata(parts: Parts, isGrey: Boolean, codec: Codec): Metadata {
    val lost = ArrayList<String>()
    val exif = Exif.read(parts.exif)
    var profile = validProfile(parts.profile, codec)
    if (profile.isNotEmpty()) {
        val rest = parts.profile.part(profile.size, parts.profile.size)
        if (rest.any { it.toInt() != 0 }) lost.add("data behind the colour profile")
    } else {
        if (parts.profile.isNotEmpty()) lost.add("colour profile, which is damaged")
        if (!isGrey && parts.colour.isEmpty() && exif?.isAdobeRgb == true) profile = adobeRgb()
    }
    val facts = xmpFacts(parts.xmp)
    if (parts.exif.isNotEmpty()) lost.add("EXIF")
    lost += exif?.facts.orEmpty()
    if (parts.xmp.isNotEmpty()) lost.add("XMP")
    lost += facts - "preview"
    if (parts.comments.isNotEmpty()) lost.add("comments")
    if (exif?.holdsPreview == true || "preview" in facts) lost.add("preview")
    if (exif?.hasThumbnail == true) lost.add("thumbnail")
    lost += parts.others
    val notes = if (lost.isEmpty()) emptyList() else listOf("removed from the file: ${lost.distinct().joinToString(", ")}")
    return Metadata(profile, parts.colour, density(parts.density ?: exif?.density), notes)
}

private fun density(density: Pair<Double, Double>?): Pair<Double, Double>? =
    density?.takeIf { it.first >= 1 && it.first < 65535 && it.second >= 1 && it.second < 65535 }
