package faceencryption.core

import java.util.Locale

/** What is said of a photo: [kind], for clients that word it in another language, and the [values] in it. */
class Message(val kind: MessageKind, vararg values: Any) {
    val values: List<Any> = values.toList()

    /** In English, in the words of the Python runtime; of a list of kinds the words one after the other. */
    override fun toString(): String {
        val words = values.map { value ->
            if (value is List<*>) value.joinToString(", ") { (it as MessageKind).english } else value
        }
        return String.format(Locale.ROOT, kind.english, *words.toTypedArray())
    }
}

/** All that is said of photos: why one is refused, what was changed in its file, and of what the file tells. */
enum class MessageKind(val english: String) {
    EMPTY_FILE("the file is empty; fetch the photo again"),
    NOT_AN_IMAGE("not an image; JPEG, PNG and WebP photos are read"),
    OTHER_FORMAT("%s is not supported; save the photo as one of JPEG, PNG and WebP"),
    HEIC_OR_VIDEO("HEIC, AVIF or video is not supported; save the photo as one of JPEG, PNG and WebP"),
    NO_PIXELS("the photo is %d x %d pixels, it has none to protect"),
    DEEP_PNG("a PNG of 16 bits a channel is not supported; save it with 8 bits"),
    ANIMATED("an animated picture is not supported; save one frame as a photo"),
    TOO_MANY_SCANS("the JPEG has more than %d scans; save the photo again"),
    /** Width, height, megapixels, name of the kind of file. */
    TOO_LARGE("%d x %d pixels are more than %d megapixels, the most for a %s; make the photo smaller"),
    NO_MEMORY("not enough memory to decode it; make the photo smaller"),
    CUT_OFF("the JPEG data is cut off; fetch the photo again"),
    /** Name of the kind of file, and in English what was found. */
    DAMAGED("the %s data is damaged or cut off (%s); fetch the photo again"),
    NOT_READ_AGAIN("the protected photo cannot be read again"),
    NOT_WRITTEN_AS_WEBP("cannot be written as WEBP; convert it to PNG first"),

    /** A list of kinds. */
    REMOVED("removed from the file: %s"),
    KEPT("still in the file: %s"),
    FROM_CMYK("converted from CMYK to RGB, without the CMYK colour profile"),
    FULL_COLOURS("written with full colours in place of a palette"),
    EIGHT_BIT_GREY("written as 8-bit grey"),

    EXIF("EXIF"),
    GPS_POSITION("GPS position"),
    SERIAL_NUMBERS("serial numbers"),
    AUTHOR("author"),
    XMP("XMP"),
    EXTENDED_XMP("extended XMP"),
    PLACES("places"),
    NAMES_OF_PEOPLE("names of people"),
    COMMENTS("comments"),
    BAD_COMMENTS("comments, which are damaged or too large"),
    LONG_COMMENTS("comments, which are too large"),
    BAD_EXIF("EXIF, which is damaged or too large"),
    BAD_XMP("XMP, which is damaged or too large"),
    MAKER_NOTE("maker note"),
    XMP_IN_EXIF("XMP in EXIF"),
    PHOTOSHOP_DATA("Photoshop's data"),
    REGIONS_AS_IT_LAY("regions of the picture as it lay"),
    IPTC("IPTC"),
    PREVIEW("preview"),
    THUMBNAIL("thumbnail"),
    SECOND_PICTURE("second picture"),
    GAIN_MAP("HDR gain map"),
    VIDEO("video"),
    CONTENT_CREDENTIALS("content credentials"),
    OTHER_DATA("other data"),
    DAMAGED_DATA("damaged data"),
    DATA_BEHIND_PICTURE("data behind the picture"),
    DATA_BEHIND_PROFILE("data behind the colour profile"),
    DAMAGED_PROFILE("colour profile, which is damaged"),
}
