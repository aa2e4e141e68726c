package faceencryption.app

import android.content.ContentResolver
import android.content.Context
import android.content.Intent
import android.net.Uri
import android.os.Build
import android.os.Parcelable
import android.provider.OpenableColumns
import java.io.ByteArrayOutputStream
import java.io.IOException

/** More than any photo that can be protected has; a stream without an end is stopped here. */
private const val MAX_BYTES = 128 shl 20
private const val MAX_PHOTOS = 100
private const val MAX_NAME = 80

/** What other apps hand over. They may lie about everything, so every failure becomes one line. */
class Incoming(private val context: Context) {
    /**
     * The addresses of the photos that an intent names; the same one only once.
     *
     * @throws AppError it names none, or too many.
     */
    fun addresses(intent: Intent): List<Uri> {
        val found = try {
            val edited = if (intent.action == Intent.ACTION_EDIT) intent.data else null
            listOfNotNull(edited) + streams(intent) + clips(intent)
        } catch (error: RuntimeException) { // of extras that cannot be unpacked: whatever their classes throw
            throw AppError(context.getString(R.string.said_bad_request), error)
        }
        val addresses = found.distinct()
        if (addresses.isEmpty()) throw AppError(context.getString(R.string.said_no_photo))
        if (addresses.size > MAX_PHOTOS) {
            throw AppError(context.getString(R.string.said_too_many_photos, addresses.size, MAX_PHOTOS))
        }
        return addresses
    }

    /**
     * The bytes of a photo.
     *
     * @throws AppError the address is one that no photo of another app has, or its owner does not give the photo.
     */
    fun read(address: Uri): ByteArray {
        check(address)
        try {
            val stream = context.contentResolver.openInputStream(address)
                ?: throw AppError(context.getString(R.string.said_not_given))
            stream.use {
                val bytes = ByteArrayOutputStream()
                val buffer = ByteArray(1 shl 16)
                while (true) {
                    val count = it.read(buffer)
                    if (count < 0) return bytes.toByteArray()
                    bytes.write(buffer, 0, count)
                    if (bytes.size() > MAX_BYTES) {
                        throw AppError(context.getString(R.string.said_too_many_bytes, MAX_BYTES shr 20))
                    }
                }
            }
        } catch (error: SecurityException) {
            throw AppError(context.getString(R.string.said_not_allowed), error)
        } catch (error: IOException) {
            throw AppError(context.getString(R.string.said_not_fetched), error)
        } catch (error: AppError) {
            throw error
        } catch (error: RuntimeException) { // whatever the other app's code throws across
            throw AppError(context.getString(R.string.said_not_fetched), error)
        }
    }

    /** A name to show and to save by: what the owner calls it, without anything that is a path or no letter. */
    fun name(address: Uri): String {
        val told = try {
            context.contentResolver.query(address, arrayOf(OpenableColumns.DISPLAY_NAME), null, null, null)?.use {
                if (it.moveToFirst() && !it.isNull(0)) it.getString(0) else null
            }
        } catch (error: RuntimeException) { // the name is not worth a failure
            null
        }
        val last = (told ?: address.lastPathSegment.orEmpty()).substringAfterLast('/').substringBeforeLast('.')
        val letters = last.map { if (it.isLetterOrDigit() || it in " _-().,") it else '_' }
        return letters.joinToString("").trim(' ', '.').take(MAX_NAME).ifEmpty { "photo" }
    }

    /** Refuse addresses by which this app would read its own files for another. */
    private fun check(address: Uri) {
        if (address.scheme != ContentResolver.SCHEME_CONTENT) {
            throw AppError(context.getString(R.string.said_bad_address, address.scheme))
        }
        // A user's number may stand ahead of the name, as in 0@name.
        val owner = address.authority.orEmpty().substringAfterLast('@')
        if (owner.startsWith(context.packageName)) {
            throw AppError(context.getString(R.string.said_own_address))
        }
    }

    private fun clips(intent: Intent): List<Uri> {
        val clip = intent.clipData ?: return emptyList()
        return (0 until clip.itemCount).mapNotNull { clip.getItemAt(it).uri }
    }

    private fun streams(intent: Intent): List<Uri> = when {
        intent.action == Intent.ACTION_SEND_MULTIPLE && Build.VERSION.SDK_INT >= 33 ->
            intent.getParcelableArrayListExtra(Intent.EXTRA_STREAM, Uri::class.java).orEmpty()
        intent.action == Intent.ACTION_SEND_MULTIPLE -> @Suppress("DEPRECATION")
        intent.getParcelableArrayListExtra<Parcelable>(Intent.EXTRA_STREAM).orEmpty().filterIsInstance<Uri>()
        Build.VERSION.SDK_INT >= 33 -> listOfNotNull(intent.getParcelableExtra(Intent.EXTRA_STREAM, Uri::class.java))
        else -> @Suppress("DEPRECATION")
        listOfNotNull(intent.getParcelableExtra<Parcelable>(Intent.EXTRA_STREAM) as? Uri)
    }
}
