package faceencryption.app

import android.content.ContentProvider
import android.content.ContentValues
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

/** Another app that gives photos, or what a hostile one gives. */
class Gallery : ContentProvider() {
    override fun onCreate() = true

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        failures[uri.lastPathSegment]?.let { throw it() }
        val file = File(folder, uri.lastPathSegment!!)
        if (mode == "r" && !file.isFile) throw FileNotFoundException("no such photo")
        return ParcelFileDescriptor.open(file, ParcelFileDescriptor.parseMode(mode))
    }

    override fun getType(uri: Uri): String? = if (uri.lastPathSegment in lies) "image/jpeg" else "image/*"

    override fun query(
        uri: Uri,
        columns: Array<String>?,
        where: String?,
        arguments: Array<String>?,
        order: String?,
    ): Cursor {
        val told = names[uri.lastPathSegment] ?: uri.lastPathSegment
        val names = arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)
        return MatrixCursor(names).apply { addRow(arrayOf(told, 7)) }
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun update(uri: Uri, values: ContentValues?, where: String?, args: Array<String>?) = 0

    override fun delete(uri: Uri, where: String?, args: Array<String>?) = 0

    companion object {
        const val AUTHORITY = "some.gallery"
        lateinit var folder: File
        val failures = HashMap<String, () -> Exception>()
        val names = HashMap<String, String>()
        val lies = HashSet<String>()

        /** The address of a photo with these bytes. */
        fun put(name: String, data: ByteArray): Uri {
            File(folder, name).writeBytes(data)
            return address(name)
        }

        fun address(name: String): Uri = Uri.parse("content://$AUTHORITY/$name")
    }
}
