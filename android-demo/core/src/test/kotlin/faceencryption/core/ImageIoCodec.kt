package faceencryption.core

import faceencryption.core.photo.Codec
import faceencryption.core.photo.Format
import faceencryption.core.photo.Raster
import java.awt.image.BufferedImage
import java.io.ByteArrayInputStream
import java.io.IOException
import javax.imageio.ImageIO

/** Decodes JPEG and PNG by what the JVM has. It has no WebP. */
object ImageIoCodec : Codec {
    init {
        ImageIO.setUseCache(false)
    }

    override fun decode(picture: ByteArray, format: Format): Raster? {
        val image = try {
            ImageIO.read(ByteArrayInputStream(picture)) ?: return null
        } catch (error: IOException) {
            return null
        }
        return raster(image)
    }

    override fun encodeWebp(raster: Raster, quality: Int?): ByteArray? = null

    private fun raster(image: BufferedImage): Raster {
        val rgb = ByteArray(3 * image.width * image.height)
        val alpha = if (image.colorModel.hasAlpha()) ByteArray(image.width * image.height) else null
        val isGrey = image.type == BufferedImage.TYPE_BYTE_GRAY
        val row = IntArray(image.width)
        val levels = IntArray(image.width)
        for (y in 0 until image.height) {
            image.getRGB(0, y, image.width, 1, row, 0, image.width)
            // getRGB would take grey levels for linear light
            if (isGrey) image.raster.getSamples(0, y, image.width, 1, 0, levels)
            for (x in 0 until image.width) {
                val at = y * image.width + x
                for (channel in 0 until 3) {
                    val level = if (isGrey) levels[x] else row[x] shr 16 - 8 * channel
                    rgb[3 * at + channel] = level.toByte()
                }
                alpha?.set(at, (row[x] ushr 24).toByte())
            }
        }
        return Raster(image.width, image.height, rgb, alpha)
    }
}
