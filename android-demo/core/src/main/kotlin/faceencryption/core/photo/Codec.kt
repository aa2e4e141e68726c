package faceencryption.core.photo

/** The kind of a photo file. */
enum class Format(val word: String, val mime: String, val suffix: String) {
    JPEG("JPEG", "image/jpeg", "jpg"),
    PNG("PNG", "image/png", "png"),
    WEBP("WEBP", "image/webp", "webp"),
}

/** A decoded picture as it is stored, not turned: [rgb] uint8 [height, width, 3], [alpha] null where it is opaque. */
class Raster(val width: Int, val height: Int, val rgb: ByteArray, val alpha: ByteArray?)

/** What the platform does: pixels of a file that holds a picture alone, and WebP, whose coder is too long to own. */
interface Codec {
    /** Decode a picture and change no value: no colour conversion, alpha not multiplied in. Null where it fails. */
    fun decode(picture: ByteArray, format: Format): Raster?

    /** Encode as WebP; a [quality] of null is lossless. Null where the platform cannot. */
    fun encodeWebp(raster: Raster, quality: Int?): ByteArray?
}
