package faceencryption.app

import android.content.ContentValues
import android.content.Context
import android.net.Uri
import android.os.Build
import android.os.Bundle
import android.provider.MediaStore
import android.provider.MediaStore.MediaColumns
import faceencryption.core.FaceEncryptionError
import faceencryption.core.OutputError
import faceencryption.core.photo.Format
import java.io.File
import java.io.IOException

/** Writes photos to the gallery, whole or not at all; nothing that is there is overwritten. */
class Saver(private val context: Context) {
    private val resolver = context.contentResolver

    /**
     * Save those photos of a session that are protected and not yet saved, or hand them to an editor's caller.
     *
     * @param output where that caller wants it.
     * @param then is told on the main thread the line of what failed; what came before it is saved.
     */
    fun save(session: Session, output: Uri?, then: (String?) -> Unit) {
        val engine = App.of(context).engine
        engine.run {
            val failure = try {
                for (item in session.items) {
                    val done = item.state as? State.Done ?: continue
                    if (done.saved != null) continue
                    if (output != null) hand(done.file, output)
                    val address = output ?: save(done.file, "${item.name}_protected", done.format)
                    engine.show { done.saved = address }
                }
                null
            } catch (error: FaceEncryptionError) {
                context.say(error)
            }
            engine.show {
                then(failure)
                session.listener?.invoke()
            }
        }
    }

    /**
     * Save a file under `Pictures/Face Encryption`.
     *
     * @return the address of the new photo.
     * @throws OutputError the system does not let it be written; nothing is left of it.
     */
    fun save(file: File, name: String, format: Format): Uri {
        val values = ContentValues().apply {
            put(MediaColumns.DISPLAY_NAME, "$name.${format.suffix}")
            put(MediaColumns.MIME_TYPE, format.mime)
            put(MediaColumns.RELATIVE_PATH, FOLDER)
            put(MediaColumns.IS_PENDING, 1) // nobody sees it before it is whole
        }
        var address: Uri? = null
        try {
            address = resolver.insert(COLLECTION, values) ?: throw IOException("no place for it")
            copy(file, address, "w")
            val done = ContentValues().apply { put(MediaColumns.IS_PENDING, 0) }
            if (resolver.update(address, done, null, null) != 1) throw IOException("it is gone")
            return address
        } catch (error: Exception) { // the gallery is another app: it may throw anything
            address?.let { runCatching { resolver.delete(it, null, null) } }
            throw failure(error)
        }
    }

    /**
     * Write a file to the address that an editor's caller named.
     *
     * @throws OutputError it cannot be written.
     */
    fun hand(file: File, address: Uri) = try {
        copy(file, address, "rwt")
    } catch (error: Exception) { // as above
        throw failure(error)
    }

    /** Remove what an earlier process began to save and did not finish. */
    fun removeUnfinished() {
        val own = "${MediaColumns.IS_PENDING} = 1 AND ${MediaColumns.RELATIVE_PATH} = '$FOLDER/'"
        runCatching {
            if (Build.VERSION.SDK_INT >= 30) {
                val query = Bundle().apply {
                    putInt(MediaStore.QUERY_ARG_MATCH_PENDING, MediaStore.MATCH_INCLUDE)
                    putString(android.content.ContentResolver.QUERY_ARG_SQL_SELECTION, own)
                }
                resolver.delete(COLLECTION, query)
            } else {
                @Suppress("DEPRECATION")
                resolver.delete(MediaStore.setIncludePending(COLLECTION), own, null)
            }
        }
    }

    private fun copy(file: File, address: Uri, mode: String) {
        val stream = resolver.openOutputStream(address, mode) ?: throw IOException("no place for it")
        stream.use { to -> file.inputStream().use { it.copyTo(to) } }
    }

    private fun failure(error: Exception) =
        OutputError(context.getString(R.string.save_failed, error.message ?: error.javaClass.simpleName), error)

    companion object {
        const val FOLDER = "Pictures/Face Encryption"
        private val COLLECTION = MediaStore.Images.Media.getContentUri(MediaStore.VOLUME_EXTERNAL_PRIMARY)
    }
}
