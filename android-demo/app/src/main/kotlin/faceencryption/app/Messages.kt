package faceencryption.app

import android.content.Context
import faceencryption.core.ArtifactsError
import faceencryption.core.FaceEncryptionError
import faceencryption.core.Message
import faceencryption.core.MessageKind
import faceencryption.core.NoFaceError
import faceencryption.core.PhotoError

/** A failure of this app's own, in the user's language. */
class AppError(message: String, cause: Throwable? = null) : FaceEncryptionError(message, cause)

/** One line in the user's language: what is wrong, and how to mend it. */
fun Context.say(error: FaceEncryptionError): String = when (error) {
    is PhotoError -> say(error.said)
    is NoFaceError -> getString(R.string.said_no_face)
    is ArtifactsError -> getString(R.string.said_bad_graphs, error.message)
    else -> error.message.orEmpty()
}

/** What the core says, in the user's language. */
fun Context.say(message: Message): String {
    val values = message.values.map { value ->
        if (value is List<*>) value.joinToString(", ") { getString(words(it as MessageKind)) } else value
    }
    return getString(words(message.kind), *values.toTypedArray())
}

private fun words(kind: MessageKind): Int = when (kind) {
    MessageKind.EMPTY_FILE -> R.string.said_empty_file
    MessageKind.NOT_AN_IMAGE -> R.string.said_not_an_image
    MessageKind.OTHER_FORMAT -> R.string.said_other_format
    MessageKind.HEIC_OR_VIDEO -> R.string.said_heic_or_video
    MessageKind.NO_PIXELS -> R.string.said_no_pixels
    MessageKind.DEEP_PNG -> R.string.said_deep_png
    MessageKind.ANIMATED -> R.string.said_animated
    MessageKind.TOO_MANY_SCANS -> R.string.said_too_many_scans
    MessageKind.TOO_LARGE -> R.string.said_too_large
    MessageKind.NO_MEMORY -> R.string.said_no_memory
    MessageKind.CUT_OFF -> R.string.said_cut_off
    MessageKind.DAMAGED -> R.string.said_damaged
    MessageKind.NOT_READ_AGAIN -> R.string.said_not_read_again
    MessageKind.NOT_WRITTEN_AS_WEBP -> R.string.said_not_written_as_webp
    MessageKind.REMOVED -> R.string.said_removed
    MessageKind.KEPT -> R.string.said_kept
    MessageKind.FROM_CMYK -> R.string.said_from_cmyk
    MessageKind.FULL_COLOURS -> R.string.said_full_colours
    MessageKind.EIGHT_BIT_GREY -> R.string.said_eight_bit_grey
    MessageKind.EXIF -> R.string.said_exif
    MessageKind.GPS_POSITION -> R.string.said_gps_position
    MessageKind.SERIAL_NUMBERS -> R.string.said_serial_numbers
    MessageKind.AUTHOR -> R.string.said_author
    MessageKind.XMP -> R.string.said_xmp
    MessageKind.EXTENDED_XMP -> R.string.said_extended_xmp
    MessageKind.PLACES -> R.string.said_places
    MessageKind.NAMES_OF_PEOPLE -> R.string.said_names_of_people
    MessageKind.COMMENTS -> R.string.said_comments
    MessageKind.BAD_COMMENTS -> R.string.said_bad_comments
    MessageKind.LONG_COMMENTS -> R.string.said_long_comments
    MessageKind.BAD_EXIF -> R.string.said_bad_exif
    MessageKind.BAD_XMP -> R.string.said_bad_xmp
    MessageKind.MAKER_NOTE -> R.string.said_maker_note
    MessageKind.XMP_IN_EXIF -> R.string.said_xmp_in_exif
    MessageKind.PHOTOSHOP_DATA -> R.string.said_photoshop_data
    MessageKind.REGIONS_AS_IT_LAY -> R.string.said_regions_as_it_lay
    MessageKind.IPTC -> R.string.said_iptc
    MessageKind.PREVIEW -> R.string.said_preview
    MessageKind.THUMBNAIL -> R.string.said_thumbnail
    MessageKind.SECOND_PICTURE -> R.string.said_second_picture
    MessageKind.GAIN_MAP -> R.string.said_gain_map
    MessageKind.VIDEO -> R.string.said_video
    MessageKind.CONTENT_CREDENTIALS -> R.string.said_content_credentials
    MessageKind.OTHER_DATA -> R.string.said_other_data
    MessageKind.DAMAGED_DATA -> R.string.said_damaged_data
    MessageKind.DATA_BEHIND_PICTURE -> R.string.said_data_behind_picture
    MessageKind.DATA_BEHIND_PROFILE -> R.string.said_data_behind_profile
    MessageKind.DAMAGED_PROFILE -> R.string.said_damaged_profile
}
