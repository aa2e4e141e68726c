package faceencryption.app

import android.content.Context
import android.os.Handler
import android.os.Looper
import faceencryption.core.Artifacts
import faceencryption.core.FaceEncryptionError
import faceencryption.core.Manifest
import faceencryption.core.Protector
import java.io.File
import java.io.IOException
import java.security.MessageDigest
import java.util.concurrent.Executors

/**
 * One thread for all work on photos, which survives every screen, and the graphs, which it alone uses.
 *
 * @param artifacts the graphs; null to unpack those that the app brings.
 */
class Engine(private val context: Context, private var artifacts: Artifacts? = null) {
    private val executor = Executors.newSingleThreadExecutor { Thread(it, "photos") }
    private val main = Handler(Looper.getMainLooper())

    /** Do this on the thread for photos. */
    fun run(work: () -> Unit) = executor.execute(work)

    /** Do this on the main thread. */
    fun show(work: () -> Unit) {
        main.post(work)
    }

    /**
     * The protector; call it on the thread for photos. The first call takes seconds.
     *
     * @throws FaceEncryptionError the graphs cannot be unpacked or read.
     */
    fun protector(): Protector {
        val graphs = artifacts ?: Artifacts(install(), threads()).also { artifacts = it }
        return Protector(graphs, AndroidCodec)
    }

    /** Half of the cores, four at most: the others of a phone are its slow ones. */
    private fun threads() = minOf(4, maxOf(1, Runtime.getRuntime().availableProcessors() / 2))

    /** Copy the graphs once to files, which the weights need; whole or not at all. */
    private fun install(): File {
        try {
            val manifest = context.assets.open("$ASSETS/${Manifest.MANIFEST}").use { it.readBytes() }
            val folder = File(context.noBackupFilesDir, "artifacts-${digest(manifest)}")
            if (folder.isDirectory) return folder
            context.noBackupFilesDir.listFiles().orEmpty().filter { it.name.startsWith("artifacts-") }
                .forEach { it.deleteRecursively() }
            val part = File(context.noBackupFilesDir, "artifacts-part").apply { mkdirs() }
            for (name in context.assets.list(ASSETS).orEmpty()) {
                val file = File(part, name)
                context.assets.open("$ASSETS/$name").use { from -> file.outputStream().use { from.copyTo(it) } }
            }
            Artifacts(part).use { it.verify() }
            if (!part.renameTo(folder)) throw IOException("cannot be renamed")
            return folder
        } catch (error: IOException) {
            throw AppError(context.getString(R.string.said_no_room_for_graphs, error.message), error)
        }
    }

    private fun digest(data: ByteArray) =
        MessageDigest.getInstance("SHA-256").digest(data).take(6).joinToString("") { "%02x".format(it) }

    private companion object {
        const val ASSETS = "artifacts"
    }
}
