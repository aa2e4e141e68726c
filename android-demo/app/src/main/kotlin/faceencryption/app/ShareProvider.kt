package faceencryption.app

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import faceencryption.core.photo.Format
import java.io.File
import java.io.FileNotFoundException

/** Gives protected photos to the app that the user shares them on to, and takes one from the camera; nothing else. */
class ShareProvider : ContentProvider() {
    override fun onCreate() = true

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        val file = file(uri)
        val isCamera = file.parentFile?.name == CAMERA
        if (mode != "r" && !isCamera) throw FileNotFoundException("$uri is there to be read")
        return ParcelFileDescriptor.open(file, ParcelFileDescriptor.parseMode(mode))
    }

    override fun getType(uri: Uri): String? =
        Format.values().firstOrNull { it.suffix == uri.lastPathSegment.orEmpty().substringAfterLast('.') }?.mime

    override fun query(
        uri: Uri,
        columns: Array<String>?,
        where: String?,
        arguments: Array<String>?,
        order: String?,
    ): Cursor {
        val file = file(uri)
        val row = columns ?: arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)
        return MatrixCursor(row).apply {
            val values = mapOf(OpenableColumns.DISPLAY_NAME to file.name, OpenableColumns.SIZE to file.length())
            addRow(row.map { values[it] })
        }
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun update(uri: Uri, values: ContentValues?, where: String?, args: Array<String>?) = 0

    override fun delete(uri: Uri, where: String?, args: Array<String>?) = 0

    /** The file of an address; nothing above the folder of what is shared, whatever the address says. */
    private fun file(uri: Uri): File {
        val root = root(context!!).canonicalFile
        val file = File(root, uri.path.orEmpty()).canonicalFile
        val isBelow = file.path.startsWith(root.path + File.separator)
        val isShared = file.parentFile?.name == CAMERA || file.parentFile?.name == RESULTS
        if (!isBelow || !isShared || !file.isFile) throw FileNotFoundException("$uri is not shared")
        return file
    }

    companion object {
        const val RESULTS = "results"
        const val CAMERA = "camera"
        private const val AUTHORITY = "faceencryption.app.share"

        private fun root(context: Context) = context.cacheDir

        /** The address of a file in a folder for results, or in the one for the camera. */
        fun address(context: Context, file: File): Uri =
            Uri.Builder().scheme("content").authority(AUTHORITY).path(file.relativeTo(root(context)).path).build()
    }
}
