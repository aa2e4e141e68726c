package faceencryption.core.photo

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
 * @param notes what differs from the original file in ways that the user may want to know, one line each.
 */
class Photo internal constructor(
    val format: Format,
    val picture: Picture,
    val notes: List<String>,
    private val parts: Parts,
    private val metadata: Metadata,
    private val codec: Codec,
) {
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
            ?: throw PhotoError("the protected photo cannot be read again")
        val saved = Picture(raster.width, raster.height, raster.rgb)
        return squares.map { saved.cut(it) }
    }

    private fun webp(): ByteArray {
        val quality = if (isLosslessWebp(parts.picture)) null else webpQuality(parts.picture) ?: QUALITY
        val raster = Raster(picture.width, picture.height, picture.rgb, picture.alpha)
        val file = codec.encodeWebp(raster, quality)
            ?: throw PhotoError("cannot be written as WEBP; convert it to PNG first")
        return if (metadata.profile.isEmpty()) file else withProfile(file, metadata.profile)
    }
}
