package faceencryption.app

import android.net.Uri
import java.io.File
import java.util.UUID

/** What users are working on, by its number, as long as the process lives. */
class Sessions(private val app: App) {
    private val open = HashMap<String, Session>()

    /** One whose photos are being protected. */
    val working: Session? get() = open.values.firstOrNull { it.isProtecting }

    /** Is told on the main thread that something changed in one of them. */
    var watcher: (() -> Unit)? = null

    operator fun get(id: String?): Session? = open[id]

    /** Begin with photos of other apps, or with [file], a photo from the camera. */
    fun begin(addresses: List<Uri>, file: File? = null): Session {
        val id = UUID.randomUUID().toString()
        val folder = File(app.cacheDir, "$FOLDER/$id").apply { File(this, ShareProvider.RESULTS).mkdirs() }
        return Session(app, id, folder, addresses, file) { open.remove(id) }.also { open[id] = it }
    }

    companion object {
        const val FOLDER = "sessions"
    }
}
