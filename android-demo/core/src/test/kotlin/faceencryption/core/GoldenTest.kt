package faceencryption.core

import ai.onnxruntime.OrtEnvironment
import com.eclipsesource.json.Json
import com.eclipsesource.json.JsonObject
import com.eclipsesource.json.JsonValue
import faceencryption.core.photo.Format
import faceencryption.core.photo.JpegWriter
import java.io.File
import java.security.MessageDigest
import kotlin.math.abs
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Test

/** The vectors of `tests/golden`: what every client makes of one photo, within the tolerance that they state. */
class GoldenTest {
    private val folder = File(System.getProperty("golden"))
    private val golden: JsonObject by lazy { Json.parse(File(folder, "golden.json").readText()).asObject() }
    private val tolerance get() = golden["tolerance"].asObject()
    private val photo by lazy { picture(golden["photo"].asObject()) }
    private val square by lazy {
        golden["square"].asObject().let { Square(it["corner"].at(0), it["corner"].at(1), it["side"].asInt()) }
    }
    private lateinit var artifacts: Artifacts

    @Before
    fun load() {
        assumeTrue("no golden vectors", File(folder, "golden.json").isFile)
        artifacts = Artifacts(artifacts())
        val made = golden["artifacts"].asObject()["surrogates"].asArray().map { it.asString() }
        val ours = artifacts.manifest.surrogates.map { it.name }
        assumeTrue("the golden vectors belong to other artifacts", made == ours)
    }

    @Test
    fun `faces are found`() {
        val seen = findFaces(artifacts, photo)
        val faces = golden["detector"].asObject()["faces"].asArray().map { it.asObject() }
        assertEquals(faces.size, seen.faces.size)
        for ((face, found) in faces.zip(seen.faces)) {
            val edges = listOf(found.box.left, found.box.top, found.box.right, found.box.bottom)
            near(face["box"], edges.map { it.toFloat() }.toFloatArray(), "box")
            near(face["score"], floatArrayOf(found.score), "score")
        }
    }

    @Test
    fun `squares are cut`() {
        for (each in golden["squares"].asArray().map { it.asObject() }) {
            val (left, top, right, bottom) = each["box"].asArray().map { it.asDouble() }
            val margin = golden["square"].asObject()["crop_margin"].asDouble()
            val square = Square.around(Box(left, top, right, bottom), margin)
            assertEquals(Square(each["corner"].at(0), each["corner"].at(1), each["side"].asInt()), square)
            assertEquals(each["sha256"].asString(), digest(photo.cut(square)))
        }
    }

    @Test
    fun `a cloak's steps bring the face as far, and the last is pasted`() {
        val cloak = golden["cloak"].asObject()
        val keypoints = keypoints(cloak)
        val before = reference(photo.cut(square), keypoints)
        near(cloak["reference"], before, "reference")
        val given = cloak["reference"].asArray().map { it.asFloat() }.toFloatArray()
        val plan = Plan(cloak["budget"].asDouble(), cloak["clamp"].asDouble(), cloak["steps"].asInt())
        val pixels = photo.cut(square)
        val inputs = CloakInputs(pixels, keypoints, given, cloak["seed"].asLong(), plan)
        val last = cloak["after"].asArray().last().asObject()
        val protected = cloak(artifacts, inputs, Cancel())
        for (at in protected.indices) {
            assertTrue(abs(level(protected, at) - level(inputs.pixels, at)) <= plan.clamp)
        }
        near(last["similarities"], similarities(before, reference(protected, keypoints)), "similarity")
        photo.paste(picture(last).rgb, square)
        assertEquals(golden["pasted"].asObject()["sha256"].asString(), digest(photo.rgb))
    }

    @Test
    fun `the first step gives nearly the same pixels`() {
        val cloak = golden["cloak"].asObject()
        val keypoints = keypoints(cloak)
        val given = cloak["reference"].asArray().map { it.asFloat() }.toFloatArray()
        val plan = Plan(cloak["budget"].asDouble(), cloak["clamp"].asDouble(), cloak["steps"].asInt())
        val pixels = photo.cut(square)
        val inputs = CloakInputs(pixels, keypoints, given, cloak["seed"].asLong(), plan)
        val first = cloak["after"].asArray()[0].asObject()
        assertEquals(1, first["done"].asInt())
        val expected = picture(first).rgb
        val done = cloak(artifacts, inputs, Cancel(), 1)
        val mean = done.indices.fold(0.0) { sum, at -> sum + abs(level(done, at) - level(expected, at)) } / done.size
        assertTrue("$mean levels", mean <= tolerance["first_step"].asDouble())
    }

    @Test
    fun `JPEG files have the same bytes`() {
        val jpeg = golden["jpeg"].asObject()
        val part = jpeg["part"]
        val width = part.at(2) - part.at(0)
        val height = part.at(3) - part.at(1)
        val rows = (0 until height).map { y ->
            val from = 3 * ((part.at(1) + y) * photo.width + part.at(0))
            photo.rgb.copyOfRange(from, from + 3 * width)
        }
        val picture = Picture(width, height, rows.fold(ByteArray(0)) { all, row -> all + row })
        val tables = jpeg["tables"].asArray().map { table -> table.asArray().map { it.asInt() }.toIntArray() }
        for (file in jpeg["files"].asArray().map { it.asObject() }) {
            val most = if (file["optimized"].asBoolean()) Int.MAX_VALUE else 0
            val writer = JpegWriter(tables, ByteArray(0), null, file["progressive"].asBoolean(), emptyList(), most)
            val written = writer.write(picture)
            assertArrayEquals(file["file"].asString(), File(folder, file["file"].asString()).readBytes(), written)
        }
    }

    private fun keypoints(of: JsonObject) =
        of["keypoints"].asArray().flatMap { point -> point.asArray().map { it.asFloat() } }.toFloatArray()

    private fun reference(pixels: ByteArray, keypoints: FloatArray): FloatArray {
        val environment = OrtEnvironment.getEnvironment()
        faceTensor(environment, pixels).use { face ->
            floats(environment, keypoints, 6, 2).use { points ->
                val inputs = mapOf("face" to face, "keypoints" to points)
                val seen = artifacts.cloakReference.run(inputs, setOf("reference"), Cancel())
                return seen.use { floats(tensor(it, "reference")) }
            }
        }
    }

    private fun similarities(one: FloatArray, other: FloatArray): FloatArray =
        artifacts.manifest.parts.map { part -> dot(one, other, part).toFloat() }.toFloatArray()

    private fun near(expected: JsonValue, values: FloatArray, name: String) {
        val wanted = if (expected.isArray) expected.asArray().map { it.asFloat() } else listOf(expected.asFloat())
        val most = tolerance[name].asDouble()
        for (at in wanted.indices) assertEquals("$name $at", wanted[at].toDouble(), values[at].toDouble(), most)
    }

    private fun picture(said: JsonObject): Picture {
        val raster = ImageIoCodec.decode(File(folder, said["file"].asString()).readBytes(), Format.PNG)!!
        assertEquals(said["sha256"].asString(), digest(raster.rgb))
        return Picture(raster.width, raster.height, raster.rgb)
    }

    private fun digest(pixels: ByteArray) =
        MessageDigest.getInstance("SHA-256").digest(pixels).joinToString("") { "%02x".format(it) }

    private fun JsonValue.at(index: Int) = asArray()[index].asInt()
}
