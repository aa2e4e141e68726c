package faceencryption.core.photo

import java.io.ByteArrayOutputStream
import java.io.DataOutputStream

// ICC profiles: which are kept, and one for photos whose EXIF alone says that their colours are Adobe RGB.

private const val HEADER = 128

/** A profile cut to the length that it declares; nothing where it is not one, or holds a picture. */
internal fun validProfile(profile: ByteArray, codec: Codec): ByteArray {
    val none = ByteArray(0)
    if (profile.size < HEADER + 4 || !profile.holdsAt(36, "acsp")) return none
    val length = profile.u32(0)
    if (length < HEADER + 4 || length > profile.size) return none
    val whole = profile.part(0, length.toInt())
    return if (hasTags(whole) && !holdsWholePicture(whole, codec)) whole else none
}

private fun hasTags(profile: ByteArray): Boolean {
    val count = profile.u32(HEADER)
    if (count !in 1..100 || HEADER + 4 + 12 * count > profile.size) return false
    return (0 until count.toInt()).all {
        val entry = HEADER + 4 + 12 * it
        profile.u32(entry + 4) + profile.u32(entry + 8) <= profile.size
    }
}

/** Whether data hold a picture that can be decoded: in tables of numbers any few bytes may occur. */
private fun holdsWholePicture(data: ByteArray, codec: Codec): Boolean {
    val starts = mapOf("\u00ff\u00d8\u00ff" to Format.JPEG, PNG_SIGNATURE to Format.PNG, "RIFF" to Format.WEBP)
    return starts.any { (start, format) ->
        generateSequence(data.find(start)) { data.find(start, it + 1) }.takeWhile { it >= 0 }
            .any { codec.decode(data.part(it, data.size), format) != null }
    }
}

/**
 * A profile compatible with Adobe RGB (1998), of version 2: three primaries, a white point and a gamma. The primaries
 * are those of the Adobe RGB (1998) encoding, adapted to D50 as its annex has them.
 */
internal fun adobeRgb(): ByteArray {
    val name = "Compatible with Adobe RGB (1998)\u0000"
    val description = bytes {
        writeBytes("desc")
        writeInt(0)
        writeInt(name.length)
        writeBytes(name)
        write(ByteArray(78))
    }
    val gamma = bytes { writeBytes("curv"); writeInt(0); writeInt(1); writeShort(0x0233) } // 563 / 256
    val tags = listOf(
        "desc" to description,
        "cprt" to bytes { writeBytes("text"); writeInt(0); writeBytes("No copyright, use freely\u0000") },
        "wtpt" to xyz(0.95045, 1.0, 1.08905),
        "rXYZ" to xyz(0.60974, 0.31111, 0.01947),
        "gXYZ" to xyz(0.20528, 0.62567, 0.06087),
        "bXYZ" to xyz(0.14919, 0.06322, 0.74457),
        "rTRC" to gamma,
        "gTRC" to gamma,
        "bTRC" to gamma,
    )
    val start = HEADER + 4 + 12 * tags.size
    val body = ByteArrayOutputStream()
    val table = bytes {
        writeInt(tags.size)
        for ((tag, content) in tags) {
            writeBytes(tag)
            writeInt(start + body.size())
            writeInt(content.size)
            body.write(content)
            body.write(ByteArray((4 - content.size % 4) % 4))
        }
    }
    val header = bytes {
        writeInt(start + body.size())
        writeInt(0)
        writeInt(0x02100000)
        writeBytes("mntrRGB XYZ ")
        for (number in intArrayOf(2000, 1, 1, 0, 0, 0)) writeShort(number)
        writeBytes("acsp")
        write(ByteArray(28))
        write(xyz(0.9642, 1.0, 0.82491), 8, 12)
    }
    return header.copyOf(HEADER) + table + body.toByteArray()
}

private fun xyz(vararg values: Double) = bytes {
    writeBytes("XYZ ")
    writeInt(0)
    for (value in values) writeInt(Math.rint(value * 65536).toInt())
}

private fun bytes(write: DataOutputStream.() -> Unit): ByteArray =
    ByteArrayOutputStream().also { DataOutputStream(it).write() }.toByteArray()
