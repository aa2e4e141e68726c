package faceencryption.core

import faceencryption.core.photo.Format
import java.util.concurrent.atomic.AtomicInteger
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Assume.assumeTrue
import org.junit.Before
import org.junit.Test

class ProtectorTest {
    private lateinit var artifacts: Artifacts
    private lateinit var protector: Protector
    private lateinit var photo: ByteArray
    private val quick = Settings(steps = 3)

    @Before
    fun load() {
        val case = Case.all().firstOrNull { "$it" == "twins" }
        assumeTrue("no cases", case != null)
        artifacts = Artifacts(artifacts())
        protector = Protector(artifacts, ImageIoCodec)
        photo = case!!.photo
    }

    @After
    fun close() {
        if (::artifacts.isInitialized) artifacts.close()
    }

    @Test
    fun `the same seed gives the same bytes, another seed others`() {
        val first = protector.protect(photo, quick).data
        assertArrayEquals(first, protector.protect(photo, quick).data)
        assertFalse(first.contentEquals(protector.protect(photo, Settings(steps = 3, seed = 1)).data))
    }

    @Test
    fun `the n-th face takes seed + n - 1`() {
        val second = protector.protect(photo, Settings(steps = 2, faces = setOf(2), seed = 4))
        val box = second.faces.single().face.box
        val other = protector.look(protector.read(photo)).faces[0].box
        assertTrue("the faces overlap", box.sharedPart(other) == 0.0)
        val both = protector.protect(photo, Settings(steps = 2, seed = 4))
        val square = Square.around(box, artifacts.manifest.cropMargin)
        assertArrayEquals(inner(second.data, square), inner(both.data, square))
    }

    @Test
    fun `any number of steps is reported step by step`() {
        val seen = ArrayList<String>()
        protector.protect(photo, quick) { face, faces, step, steps, attempt ->
            seen.add("$face/$faces $step/$steps $attempt")
        }
        assertTrue(seen.toString(), seen.containsAll(listOf("1/2 1/3 1", "1/2 2/3 1", "1/2 3/3 1", "2/2 1/3 1")))
    }

    @Test
    fun `work stops at a step when it is cancelled, also from another thread`() {
        val cancel = Cancel()
        val steps = AtomicInteger()
        assertThrows(Cancelled::class.java) {
            protector.protect(photo, Settings(steps = 500), cancel) { _, _, _, _, _ ->
                if (steps.incrementAndGet() == 2) Thread { cancel.cancel() }.apply { start() }.join()
            }
        }
        assertEquals(2, steps.get())
        assertThrows(Cancelled::class.java) { protector.protect(photo, quick, cancel) }
        assertTrue(protector.protect(photo, quick).faces.isNotEmpty()) // the graphs are as good as before
    }

    @Test
    fun `a gallery of the person matches and changes the result`() {
        val gallery = protector.enroll(photo)
        val known = protector.protect(photo, Settings(steps = 2, faces = setOf(1), gallery = gallery))
        assertEquals(gallery.size, known.faces.single().gallery)
        assertNotEquals(0, known.faces.single().gallery)
        val other = listOf(FloatArray(3))
        val error = assertThrows(SettingError::class.java) { protector.protect(photo, Settings(gallery = other)) }
        assertEquals("the gallery is of other artifacts; enroll with these artifacts", error.message)
    }

    @Test
    fun `a face drawn by hand takes the place of what was found there`() {
        val box = protector.look(protector.read(photo)).faces[0].box
        val seen = protector.look(protector.read(photo), Settings(boxes = listOf(box)))
        assertEquals(2, seen.faces.size)
        assertEquals(1f, seen.faces[0].score)
        val outside = Settings(boxes = listOf(Box(5000.0, 0.0, 5010.0, 10.0)))
        val error = assertThrows(SettingError::class.java) { protector.look(protector.read(photo), outside) }
        assertEquals("the box 5000,0,5010,10 is not in the photo of 360x213", error.message)
    }

    @Test
    fun `faces that are not there are refused`() {
        val missing = assertThrows(SettingError::class.java) { protector.protect(photo, Settings(faces = setOf(9))) }
        assertEquals("there is no face 9; the photo has 2, numbered from left to right", missing.message)
        val blank = Picture(64, 64, ByteArray(3 * 64 * 64) { (it * 7 % 90).toByte() })
        val file = faceencryption.core.photo.JpegWriter(listOf(IntArray(64) { 1 }), ByteArray(0), null).write(blank)
        val none = assertThrows(NoFaceError::class.java) { protector.protect(file) }
        assertEquals("no face found; nothing was written", none.message)
    }

    /** The middle of a square, where the change of the face in it lies, as it was saved. */
    private fun inner(data: ByteArray, square: Square): ByteArray {
        val raster = ImageIoCodec.decode(data, Format.JPEG)!!
        val third = square.side / 3
        return Picture(raster.width, raster.height, raster.rgb).cut(Square(square.x + third, square.y + third, third))
    }
}
