package faceencryption.core

import com.eclipsesource.json.Json
import com.eclipsesource.json.JsonObject
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder

class ManifestTest {
    @get:Rule
    val folder = TemporaryFolder()

    private fun whole(): JsonObject = Json.parse(File(artifacts(), Manifest.MANIFEST).readText()).asObject()

    private fun refusal(text: String): String =
        assertThrows(ArtifactsError::class.java) { Manifest.parse(text) }.message!!

    @Test
    fun `a key that is missing is named`() {
        for (key in listOf("version", "files", "graphs", "recognizer", "surrogates", "match", "detector", "cloak")) {
            assertEquals("manifest.json lacks \"$key\"; export again", refusal(whole().remove(key).toString()))
        }
        val inner = whole().apply { this["recognizer"].asObject().remove("crop_margin") }
        assertEquals("manifest.json lacks \"recognizer.crop_margin\"; export again", refusal(inner.toString()))
    }

    @Test
    fun `a value of another type is named`() {
        val text = whole().apply { this["match"].asObject()["margin"] = "a lot" }.toString()
        assertEquals("manifest.json: \"match.margin\" is no number; export again", refusal(text))
    }

    @Test
    fun `another format and what is no JSON are refused`() {
        val text = whole().apply { this["format"] = 6 }.toString()
        assertEquals("manifest.json: format 6, this program reads 8; export again with this version", refusal(text))
        assertTrue(refusal("{").startsWith("manifest.json cannot be read ("))
        assertTrue(refusal("[1]").startsWith("manifest.json: \"\" is no object"))
    }

    @Test
    fun `a file that was changed or is missing is named`() {
        artifacts().listFiles()!!.forEach { it.copyTo(File(folder.root, it.name)) }
        Artifacts(folder.root).use { it.verify() }
        val graph = File(folder.root, "cloak-reference.onnx")
        graph.writeBytes(graph.readBytes().apply { this[size / 2]++ })
        val error = assertThrows(ArtifactsError::class.java) { Artifacts(folder.root).verify() }
        assertEquals("cloak-reference.onnx is not the file that manifest.json names; export again", error.message)
        graph.delete()
        val missing = assertThrows(ArtifactsError::class.java) { Artifacts(folder.root).verify() }
        assertEquals("cloak-reference.onnx: no such file; export again", missing.message)
    }

    @Test
    fun `a ladder begins with the effort's steps and goes on with the most of any`() {
        val manifest = Manifest.parse(whole().toString())
        val rungs = manifest.strengths.getValue("medium")
        val most = manifest.efforts.values.fold(0, ::maxOf)
        val plans = plans(manifest, Settings(effort = "fast"))
        assertEquals(Plan(rungs[0].budget, rungs[0].clamp, manifest.efforts.getValue("fast")), plans[0])
        assertEquals(rungs.map { Plan(it.budget, it.clamp, most) }, plans.drop(1))
        assertEquals(rungs.size, plans(manifest, Settings(effort = "thorough")).size)
        assertTrue(plans(manifest, Settings(steps = 3)).all { it.steps == 3 })
        val error = assertThrows(SettingError::class.java) { plans(manifest, Settings(strength = "huge")) }
        assertEquals("no strength huge; there are low, medium, high", error.message)
    }

    private operator fun JsonObject.set(name: String, value: String) { this.set(name, value) }

    private operator fun JsonObject.set(name: String, value: Int) { this.set(name, value) }
}
