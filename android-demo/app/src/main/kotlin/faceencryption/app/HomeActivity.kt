package faceencryption.app

import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.ClipData
import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.provider.MediaStore
import android.view.View
import java.io.File

/** Where the app begins: choose photos, or take one. */
class HomeActivity : Activity() {
    private var camera: File? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        setContentView(R.layout.home)
        camera = state?.getString(CAMERA)?.let { File(it) }
        findViewById<View>(R.id.pick).setOnClickListener { pick() }
        findViewById<View>(R.id.take).setOnClickListener { take() }
    }

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        state.putString(CAMERA, camera?.path)
    }

    private fun pick() {
        val picker = if (Build.VERSION.SDK_INT >= 33) {
            Intent(MediaStore.ACTION_PICK_IMAGES).setType("image/*")
                .putExtra(MediaStore.EXTRA_PICK_IMAGES_MAX, minOf(MOST, MediaStore.getPickImagesMaxLimit()))
        } else {
            Intent(Intent.ACTION_OPEN_DOCUMENT).setType("image/*").addCategory(Intent.CATEGORY_OPENABLE)
                .putExtra(Intent.EXTRA_ALLOW_MULTIPLE, true)
        }
        ask(picker, PICK)
    }

    private fun take() {
        val folder = File(cacheDir, ShareProvider.CAMERA).apply { mkdirs() }
        // Of processes that were killed while a photo of the camera was open.
        val oldest = System.currentTimeMillis() - HOUR
        folder.listFiles().orEmpty().filter { it.lastModified() < oldest }.forEach { it.delete() }
        val file = File(folder, "photo-${System.currentTimeMillis()}.jpg").apply { createNewFile() }
        camera = file
        val address = ShareProvider.address(this, file)
        val capture = Intent(MediaStore.ACTION_IMAGE_CAPTURE).putExtra(MediaStore.EXTRA_OUTPUT, address)
            .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION or Intent.FLAG_GRANT_WRITE_URI_PERMISSION)
        capture.clipData = ClipData.newRawUri("", address)
        ask(capture, TAKE)
    }

    private fun ask(intent: Intent, code: Int) = try {
        startActivityForResult(intent, code)
    } catch (error: ActivityNotFoundException) {
        android.widget.Toast.makeText(this, R.string.no_app, android.widget.Toast.LENGTH_LONG).show()
    }

    override fun onActivityResult(code: Int, result: Int, data: Intent?) {
        super.onActivityResult(code, result, data)
        if (code == TAKE) return taken(result)
        if (result != RESULT_OK || data == null) return
        val clip = data.clipData
        val addresses = if (clip == null) listOfNotNull(data.data)
        else (0 until clip.itemCount).mapNotNull { clip.getItemAt(it).uri }
        if (addresses.isEmpty()) return
        val protect = Intent(this, ProtectActivity::class.java)
            .setAction(if (addresses.size == 1) Intent.ACTION_SEND else Intent.ACTION_SEND_MULTIPLE)
            .addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        protect.clipData = clip(addresses)
        startActivity(protect)
    }

    /** A photo from the camera lies in this app's own cache, and only until its session is closed. */
    private fun taken(result: Int) {
        val file = camera ?: return
        camera = null
        if (result != RESULT_OK || file.length() == 0L) {
            file.delete()
            return
        }
        val session = App.of(this).sessions.begin(emptyList(), file)
        session.start()
        startActivity(Intent(this, ProtectActivity::class.java).putExtra(ProtectActivity.SESSION, session.id))
    }

    private companion object {
        const val PICK = 1
        const val TAKE = 2
        const val MOST = 50
        const val HOUR = 3_600_000L
        const val CAMERA = "camera"
    }
}
