package faceencryption.core

import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Test

class FacesTest {
    @Test
    fun `a square has the box's centre and is rounded half up`() {
        assertEquals(Square(-1, -1, 24), Square.around(Box(1.0, 1.0, 21.0, 21.0), 0.1))
        assertEquals(Square(1, 1, 17), Square.around(Box(2.0, 2.0, 17.0, 17.0), 0.05)) // 16.5, and 1 for .5
        assertEquals(16, Square.around(Box(5.0, 5.0, 7.0, 7.0), 0.1).side)
    }

    @Test
    fun `outside of the photo a square is black and is not pasted`() {
        val picture = picture(20, 10, 100)
        val square = Square(-8, -8, 16)
        val pixels = picture.cut(square)
        assertEquals(0, level(pixels, 0))
        assertEquals(100, level(pixels, 3 * (8 * 16 + 8)))
        picture.paste(ByteArray(pixels.size) { if (it % 3 == 0) 0 else 9 }, square)
        assertEquals(0, level(picture.rgb, 0))
        assertEquals(100, level(picture.rgb, 3 * 8))
        picture.paste(ByteArray(pixels.size), Square(50, 50, 16)) // beside it: nothing
        assertEquals(120, level(picture.rgb, picture.rgb.size - 1))
    }

    @Test
    fun `where squares overlap the changes together stay within the bound`() {
        val picture = picture(40, 20, 100)
        val squares = listOf(Square(0, 0, 20), Square(10, 0, 20))
        val face = Face.byHand(Box(0.0, 0.0, 9.0, 9.0))
        val parts = squares.mapIndexed { at, it -> Part(at + 1, face, it, picture.cut(it)) }
        for (part in parts) {
            val changed = picture.cut(part.square).map { (it + 9).toByte() }.toByteArray()
            part.limit(changed, 12.9, picture.width, picture.height)
            picture.paste(changed, part.square)
        }
        assertEquals(listOf(109, 112, 109, 100), listOf(5, 15, 25, 35).map { level(picture.rgb, 3 * it) })
    }

    @Test
    fun `a photo of nearly grey pixels keeps the distance of its channels`() {
        val picture = Picture(1, 1, byteArrayOf(100, 102, 104))
        assertTrue(picture.isGrey)
        picture.paste(byteArrayOf(110, 110, 110), Square(0, 0, 1))
        assertArrayEquals(byteArrayOf(108, 110, 112), picture.rgb)
    }

    @Test
    fun `only faces that are small, cut or unsure are noted`() {
        fun face(left: Double, size: Double, score: Float) =
            Face(Box(left, 10.0, left + size, 10 + size), score, FloatArray(12))
        val faces = listOf(face(-30.0, 60.0, 1f), face(50.0, 60.0, 1f), face(200.0, 20.0, 1f))
        val seen = Detection(faces, listOf(face(300.0, 40.0, .456f)), 400, 300)
        assertEquals(
            listOf(
                "perhaps a face at 300,10 to 340,50 (score 0.46): if so, add --min-score 0.45 or --box 300,10,340,50",
                "face 1 at -30,10 to 30,70 is cut by the photo's border and may stay recognizable:" +
                    " look at it, cover it, or leave it out by --faces",
                "face 3 at 200,10 to 220,30 is only 20 pixels large and may stay recognizable:" +
                    " look at it, cover it, or leave it out by --faces",
            ),
            detectionNotes(seen),
        )
    }

    @Test
    fun `numbers out of range are refused in Python's words`() {
        fun refusal(make: () -> Settings) = assertThrows(SettingError::class.java) { make() }.message
        assertEquals("steps is 0; it is from 1 to 1000", refusal { Settings(steps = 0) })
        assertEquals("seed is -1; it is from 0 to 2147483647", refusal { Settings(seed = -1) })
        assertEquals("faces are numbered from 1", refusal { Settings(faces = setOf(0)) })
        assertEquals(
            "the box 5,5,5,9 has no size; it is left, top, right, bottom in pixels",
            refusal { Settings(boxes = listOf(Box(5.0, 5.0, 5.0, 9.0))) },
        )
    }

    private fun picture(width: Int, height: Int, level: Int): Picture =
        // red and green differ, so that it is no grey one
        Picture(width, height, ByteArray(3 * width * height) { at ->
            (if (at % 3 == 0) level else level + 20 * (at % 3 - 1)).toByte()
        })
}
