package faceencryption.core

import faceencryption.core.photo.Codec
import faceencryption.core.photo.Format
import faceencryption.core.photo.Raster
import java.awt.image.BufferedImage
import java.awt.image.DataBufferByte
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
        val count = image.width * image.height
        val rgb = ByteArray(3 * count)
        val bytes = (image.raster.dataBuffer as? DataBufferByte)?.data
        when {
            // getRGB would take grey levels for linear light
            image.type == BufferedImage.TYPE_BYTE_GRAY && bytes != null ->
                for (at in 0 until count) rgb.fill(bytes[at], 3 * at, 3 * at + 3)
            image.type == BufferedImage.TYPE_3BYTE_BGR && bytes != null ->
                for (at in rgb.indices step 3) {
                    rgb[at] = bytes[at + 2]
                    rgb[at + 1] = bytes[at + 1]
                    rgb[at + 2] = bytes[at]
                }
            else -> return colours(image, rgb)
        }
        return Raster(image.width, image.height, rgb, null)
    }

    private fun colours(image: BufferedImage, rgb: ByteArray): Raster {
        val alpha = if (image.colorModel.hasAlpha()) ByteArray(image.width * image.height) else null
        for (y in 0 until image.height) {
            for (x in 0 until image.width) {
                val pixel = image.getRGB(x, y)
                val at = y * image.width + x
                for (channel in 0 until 3) rgb[3 * at + channel] = (pixel shr 16 - 8 * channel).toByte()
                alpha?.set(at, (pixel ushr 24).toByte())
            }
        }
        return Raster(image.width, image.height, rgb, alpha)
    }
}
