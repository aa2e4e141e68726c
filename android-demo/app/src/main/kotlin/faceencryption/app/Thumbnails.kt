package faceencryption.app

import android.graphics.Bitmap
import faceencryption.core.Picture

/** Small pictures for the list. */
object Thumbnails {
    private const val EDGE = 168

    /** The middle square of a picture, small. */
    fun of(picture: Picture): Bitmap {
        val side = minOf(picture.width, picture.height)
        val left = (picture.width - side) / 2
        val top = (picture.height - side) / 2
        val colours = IntArray(EDGE * EDGE) {
            val x = left + it % EDGE * side / EDGE
            val y = top + it / EDGE * side / EDGE
            val at = 3 * (y * picture.width + x)
            (255 shl 24) or (picture.rgb[at].toInt() and 255 shl 16) or
                (picture.rgb[at + 1].toInt() and 255 shl 8) or (picture.rgb[at + 2].toInt() and 255)
        }
        return Bitmap.createBitmap(colours, EDGE, EDGE, Bitmap.Config.ARGB_8888)
    }
}
