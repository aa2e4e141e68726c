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
 * @param messages what differs from the original file in ways that the user may want to know.
 */
class Photo internal constructor(
    val format: Format,
    val picture: Picture,
    val messages: List<Message>,
    private val parts: Parts,
    private val metadata: Metadata,
    private val codec: Codec,
) {
    /** The messages in English, one line each. */
    val notes: List<String> get() = messages.map { it.toString() }

    /**
     * A file of this photo's kind; a photo stored as grey is written as grey.
     *
     * @throws PhotoError the platform cannot write such a file.
     */
    fun encode(): ByteArray = when (format) {
        Format.JPEG -> {
            val tables = parts.tables.values.toList()
            JpegWriter(tables, metadata.profile, metadata.density, parts.isProgressive).write(picture)
        }
        Format.PNG -> writePng(picture, metadata)
        Format.WEBP -> webp()
    }

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
        val file = codec.encodeWebp(raster, quality)
            ?: throw PhotoError(MessageKind.NOT_WRITTEN_AS_WEBP)
        return if (metadata.profile.isEmpty()) file else withProfile(file, metadata.profile)
    }
}
