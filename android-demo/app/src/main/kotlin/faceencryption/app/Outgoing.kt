package faceencryption.app

import android.content.ClipData
import android.content.Context
import android.content.Intent
import android.net.Uri
import android.os.Build
import android.provider.MediaStore

/** A message to another app with these photos, which it may read. */
fun sendIntent(context: Context, photos: List<State.Done>): Intent {
    val addresses = ArrayList(photos.map { ShareProvider.address(context, it.file) })
    return Intent(if (addresses.size == 1) Intent.ACTION_SEND else Intent.ACTION_SEND_MULTIPLE).apply {
        type = photos.map { it.format.mime }.distinct().singleOrNull() ?: "image/*"
        if (addresses.size == 1) putExtra(Intent.EXTRA_STREAM, addresses[0])
        else putParcelableArrayListExtra(Intent.EXTRA_STREAM, addresses)
        clipData = clip(addresses)
        addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
    }
}

/** Where an editor's caller wants the result to be written; null where it does not say, or asks for no edit. */
fun output(intent: Intent): Uri? = when {
    intent.action != Intent.ACTION_EDIT -> null
    Build.VERSION.SDK_INT >= 33 -> intent.getParcelableExtra(MediaStore.EXTRA_OUTPUT, Uri::class.java)
    else -> @Suppress("DEPRECATION") intent.getParcelableExtra(MediaStore.EXTRA_OUTPUT)
}

/** Addresses, one or more, as another part of the system may be given the right to read them. */
fun clip(addresses: List<Uri>): ClipData =
    ClipData.newRawUri("", addresses[0]).apply { addresses.drop(1).forEach { addItem(ClipData.Item(it)) } }
