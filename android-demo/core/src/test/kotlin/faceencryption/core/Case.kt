package faceencryption.core

import com.eclipsesource.json.Json
import com.eclipsesource.json.JsonObject
import faceencryption.core.photo.Format
import java.io.File
import org.junit.Assume.assumeTrue

/** A case of `android-demo/cases.py`: a photo, what another client made of it, and what it measured. */
class Case(private val folder: File) {
    val expected: JsonObject = Json.parse(File(folder, "expected.json").readText()).asObject()
    val photo: ByteArray get() = File(folder, "photo.jpg").readBytes()
    val protected: ByteArray get() = File(folder, "protected.jpg").readBytes()

    /** The photo's pixels as the other client decoded them. */
    val photoPixels: ByteArray get() = png("photo.png")

    /** The protected pixels ahead of the coder. */
    val pixels: ByteArray get() = png("pixels.png")

    val settings: Settings
        get() {
            val chosen = expected["settings"].asObject()
            return Settings(
                strength = chosen.getString("strength", null),
                effort = chosen.getString("effort", null),
                seed = chosen["seed"].asLong(),
                faces = chosen["faces"].takeUnless { it.isNull }?.asArray()?.map { it.asInt() }?.toSet(),
            )
        }

    override fun toString(): String = folder.name

    private fun png(name: String) = ImageIoCodec.decode(File(folder, name).readBytes(), Format.PNG)!!.rgb

    companion object {
        private val folder = File(System.getProperty("cases"))

        fun all(): List<Case> =
            folder.listFiles().orEmpty().filter { File(it, "expected.json").isFile }
                .sortedBy { it.name }.map { Case(it) }
    }
}

/** The exported graphs; tests that need them are skipped where they are missing. */
fun artifacts(): File = File(System.getProperty("artifacts")).also {
    assumeTrue("no $it", File(it, Manifest.MANIFEST).isFile)
}
