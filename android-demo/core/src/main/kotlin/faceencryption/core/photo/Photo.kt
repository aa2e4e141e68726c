package faceencryption.core.photo

import faceencryption.core.Message
import faceencryption.core.MessageKind
import faceencryption.core.PhotoError
import faceencryption.core.Picture
import faceencryption.core.Square

/** Of WebPs whose quality cannot be told. */
private const val QUALITY = 95

/**
 * A decoded photo.
 *
 * @param format the kind of file, and the kind that [encode] writes.
 * @param picture upright; its squares may be changed.
 */
class Photo internal constructor(
    val format: Format,
    val picture: Picture,
    private val parts: Parts,
    private val isTurned: Boolean,
    private val conversions: List<Message>,
    private val codec: Codec,
) {
    /** What differs from the original file in ways that the user may want to know; in English, one line each. */
    val notes: List<String> get() = messages().map { it.toString() }

    /** The same for clients that word it themselves, where this becomes of the metadata. */
    fun messages(policy: MetadataPolicy = MetadataPolicy.STRIP): List<Message> = metadata(policy).messages + conversions

    /**
     * A file of this photo's kind; a photo stored as grey is written as grey.
     *
     * @param policy what becomes of EXIF, XMP and comments.
     * @throws PhotoError the platform cannot write such a file.
     */
    fun encode(policy: MetadataPolicy = MetadataPolicy.STRIP): ByteArray {
        val metadata = metadata(policy)
        return when (format) {
            Format.JPEG -> {
                val (tables, segments) = parts.tables.values.toList() to jpegSegments(metadata)
                JpegWriter(tables, metadata.profile, metadata.density, parts.isProgressive, segments).write(picture)
            }
            Format.PNG -> writePng(picture, metadata)
            Format.WEBP -> withMetadata(webp(), metadata)
        }
    }

    private fun metadata(policy: MetadataPolicy) = MetadataRules(parts, format, picture, isTurned, codec).decide(policy)

    /** Decode what [encode] returned, and cut squares from it. */
    fun readSquares(encoded: ByteArray, squares: List<Square>): List<ByteArray> {
        val raster = codec.decode(partsOf(encoded, format).picture, format)
            ?: throw PhotoError(MessageKind.NOT_READ_AGAIN)
        val saved = Picture(raster.width, raster.height, raster.rgb)
        return squares.map { saved.cut(it) }
    }

    private fun webp(): ByteArray {
        val quality = if (isLosslessWebp(parts.picture)) null else webpQuality(parts.picture) ?: QUALITY
        val raster = Raster(picture.width, picture.height, picture.rgb, picture.alpha)
        return codec.encodeWebp(raster, quality) ?: throw PhotoError(MessageKind.NOT_WRITTEN_AS_WEBP)
    }
}
