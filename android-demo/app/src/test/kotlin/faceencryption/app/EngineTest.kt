package faceencryption.app

import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNotNull
import org.junit.Test
import org.robolectric.annotation.Config

@Config(application = App::class)
class EngineTest : AppTest() {
    private fun unpacked(): List<File> = app.noBackupFilesDir.listFiles().orEmpty().toList()

    @Test
    fun `the graphs are unpacked once, and those of an earlier version removed`() {
        val old = File(app.noBackupFilesDir, "artifacts-0123").apply { mkdirs() }
        val part = File(app.noBackupFilesDir, "artifacts-part").apply { mkdirs() } // of a process that was killed
        File(part, "weights.bin").writeText("half")
        assertNotNull(app.engine.protector())
        val folder = unpacked().single()
        assertEquals(false, old.exists() || part.exists())
        val time = File(folder, "weights.bin").lastModified()
        assertNotNull(Engine(app).protector())
        assertEquals(time, File(unpacked().single(), "weights.bin").lastModified())
    }
}
