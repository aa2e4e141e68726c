package faceencryption.core

import com.eclipsesource.json.Json
import com.eclipsesource.json.JsonArray
import com.eclipsesource.json.JsonObject
import org.junit.After
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Test
import java.io.File

/** A closer look at a large photo, against what the Python runtime finds in it. */
class SmallFacesTest {
    private val folder = File(System.getProperty("cases"), "crowd")
    private lateinit var artifacts: Artifacts
    private lateinit var protector: Protector
    private lateinit var photo: ByteArray
    private lateinit var expected: JsonObject

    @Before
    fun load() {
        assumeTrue("no cases", File(folder, "faces.json").isFile)
        artifacts = Artifacts(artifacts())
        protector = Protector(artifacts, ImageIoCodec)
        photo = File(folder, "photo.jpg").readBytes()
        expected = Json.parse(File(folder, "faces.json").readText()).asObject()
    }

    @After
    fun close() {
        if (::artifacts.isInitialized) artifacts.close()
    }

    @Test
    fun `a closer look finds what Python finds, and one look does not`() {
        val once = look()
        val closer = look(small = true)
        same(expected["once"].asObject(), once)
        same(expected["closer"].asObject(), closer)
        assertTrue("${once.faces.size}, ${closer.faces.size}", once.faces.size < closer.faces.size)
    }

    @Test
    fun `progress is told part by part, and a closer look can be stopped`() {
        val told = ArrayList<String>()
        look(small = true) { done, parts -> told.add("$done/$parts") }
        assertEquals(listOf("1/6", "2/6", "3/6", "4/6", "5/6", "6/6"), told)
        val cancel = Cancel()
        assertThrows(Cancelled::class.java) { look(small = true, cancel) { done, _ -> if (done == 2) cancel.cancel() } }
    }

    @Test
    fun `a photo no larger than a part holds no more`() {
        assertTrue(look().mayHoldSmallFaces)
        assertTrue(Detection(emptyList(), emptyList(), 897, 100).mayHoldSmallFaces)
        assertTrue(Detection(emptyList(), emptyList(), 100, 897).mayHoldSmallFaces)
        assertFalse(Detection(emptyList(), emptyList(), 896, 896).mayHoldSmallFaces)
    }

    @Test
    fun `small faces are protected by their numbers, with what was found before or found again`() {
        val settings = Settings(steps = 1, faces = setOf(2, 6), smallFaces = true)
        val again = protector.protect(photo, settings)
        val known = look(small = true)
        assertEquals(listOf(2, 6), again.faces.map { it.number })
        assertEquals(listOf(known.faces[1].box, known.faces[5].box), again.faces.map { it.face.box })
        assertTrue(again.data.contentEquals(protector.protect(photo, settings, known = known).data))
    }

    private fun look(
        small: Boolean = false,
        cancel: Cancel = Cancel(),
        progress: LookProgress = LookProgress { _, _ -> },
    ): Detection = protector.look(protector.read(photo), Settings(smallFaces = small), cancel, progress)

    private fun same(expected: JsonObject, seen: Detection) {
        same(expected["faces"].asArray(), seen.faces)
        same(expected["unsure"].asArray(), seen.unsure)
    }

    /** The same faces; what versions of onnxruntime differ by is less than a twentieth of a pixel. */
    private fun same(expected: JsonArray, faces: List<Face>) {
        assertEquals(expected.size(), faces.size)
        for ((values, face) in expected.zip(faces)) {
            val numbers = values.asArray().map { it.asDouble() }
            val edges = listOf(face.box.left, face.box.top, face.box.right, face.box.bottom)
            for ((theirs, ours) in numbers.zip(edges)) assertEquals(theirs, ours, 0.05)
            assertEquals(numbers[4], face.score.toDouble(), 0.001)
            val keypoints = face.keypoints.map { it.toDouble() }
            for ((theirs, ours) in numbers.drop(5).zip(keypoints)) assertEquals(theirs, ours, 0.05)
        }
    }
}
