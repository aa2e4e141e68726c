package faceencryption.app

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.ColorSpace
import android.os.Build
import faceencryption.core.FaceEncryptionError
import faceencryption.core.Picture
import faceencryption.core.photo.Codec
import faceencryption.core.photo.Format
import faceencryption.core.photo.Raster
import faceencryption.core.photo.readPhoto
import java.io.ByteArrayOutputStream
import java.io.File
import java.io.IOException
import kotlin.math.ceil
import kotlin.math.sqrt

/** Decodes and encodes by Android's bitmaps. */
object AndroidCodec : Codec {
    /** The most pixels that are shown: a photo of 12 megapixels at 100 %. */
    private const val MAX_SHOWN = 12_500_000.0

    override fun decode(picture: ByteArray, format: Format): Raster? {
        val options = BitmapFactory.Options().apply {
            inScaled = false
            inPremultiplied = false // else values below full opacity are rounded
            inPreferredConfig = Bitmap.Config.ARGB_8888
            inPreferredColorSpace = ColorSpace.get(ColorSpace.Named.SRGB) // the picture has no profile: no conversion
        }
        val bitmap = BitmapFactory.decodeByteArray(picture, 0, picture.size, options) ?: return null
        val rgb = ByteArray(3 * bitmap.width * bitmap.height)
        val alpha = if (bitmap.hasAlpha()) ByteArray(bitmap.width * bitmap.height) else null
        val row = IntArray(bitmap.width)
        for (y in 0 until bitmap.height) {
            bitmap.getPixels(row, 0, bitmap.width, 0, y, bitmap.width, 1)
            for (x in row.indices) {
                val at = y * bitmap.width + x
                rgb[3 * at] = (row[x] shr 16).toByte()
                rgb[3 * at + 1] = (row[x] shr 8).toByte()
                rgb[3 * at + 2] = row[x].toByte()
                alpha?.set(at, (row[x] ushr 24).toByte())
            }
        }
        return Raster(bitmap.width, bitmap.height, rgb, alpha).also { bitmap.recycle() }
    }

    override fun encodeWebp(raster: Raster, quality: Int?): ByteArray? {
        val bitmap = bitmap(raster.width, raster.height, raster.rgb, raster.alpha, 1)
        val out = ByteArrayOutputStream()
        val isWritten = when {
            Build.VERSION.SDK_INT < 30 -> @Suppress("DEPRECATION") // there 100 means lossless
            bitmap.compress(Bitmap.CompressFormat.WEBP, quality?.coerceAtMost(99) ?: 100, out)
            quality == null -> bitmap.compress(Bitmap.CompressFormat.WEBP_LOSSLESS, 50, out)
            else -> bitmap.compress(Bitmap.CompressFormat.WEBP_LOSSY, quality, out)
        }
        bitmap.recycle()
        return if (isWritten) out.toByteArray() else null
    }

    /** A bitmap to show: at its full size, up to 12 megapixels, or of every second, third... pixel. */
    fun shown(picture: Picture): Bitmap {
        val step = ceil(sqrt(picture.width.toDouble() * picture.height / MAX_SHOWN)).toInt().coerceAtLeast(1)
        return bitmap(picture.width, picture.height, picture.rgb, picture.alpha, step)
    }

    /** A photo to look at; null where it is gone, or there is no memory for it. */
    fun shown(file: File): Bitmap? = try {
        shown(readPhoto(file.readBytes(), this).picture)
    } catch (error: FaceEncryptionError) {
        null
    } catch (error: IOException) {
        null
    } catch (error: OutOfMemoryError) {
        null
    }

    private fun bitmap(width: Int, height: Int, rgb: ByteArray, alpha: ByteArray?, step: Int): Bitmap {
        val columns = (width + step - 1) / step
        val rows = (height + step - 1) / step
        val bitmap = Bitmap.createBitmap(columns, rows, Bitmap.Config.ARGB_8888, alpha != null)
        bitmap.isPremultiplied = false
        val row = IntArray(columns)
        for (y in 0 until rows) {
            for (x in 0 until columns) {
                val at = y * step * width + x * step
                val opacity = alpha?.get(at)?.toInt() ?: 255
                row[x] = (opacity shl 24) or (rgb[3 * at].toInt() and 255 shl 16) or
                    (rgb[3 * at + 1].toInt() and 255 shl 8) or (rgb[3 * at + 2].toInt() and 255)
            }
            bitmap.setPixels(row, 0, columns, 0, y, columns, 1)
        }
        if (step > 1 || alpha == null) bitmap.isPremultiplied = true // may be drawn
        return bitmap
    }
}
