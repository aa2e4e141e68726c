package faceencryption.app

import android.os.Bundle
import android.view.View
import android.widget.ProgressBar
import android.widget.Switch
import faceencryption.core.Box
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment

/** Work on photos: drawn, cancelled, begun again, and going on whatever becomes of the screen. */
class WorkTest : AppTest() {
    @Test
    fun `work can be cancelled and begun again`() {
        val screen = openReady(send(Gallery.put("a.jpg", twins())))
        screen.get().findViewById<View>(R.id.thorough).performClick()
        screen.press(R.string.protect)
        await("work") { screen.get().session.items[0].state.let { it is State.Working && it.part > 0 } }
        screen.press(R.string.cancel)
        await("the end") { !screen.get().session.isBusy }
        assertTrue(screen.get().session.items[0].state is State.Ready)
        assertTrue(leftovers().none { it.parentFile.name == ShareProvider.RESULTS })
        screen.get().findViewById<PhotoView>(R.id.photo).onDraw!!(Box(150.0, 10.0, 210.0, 70.0))
        assertEquals("Close", screen.text(R.id.second))
        await("faces") { !screen.get().session.isBusy }
        assertEquals("3 faces", screen.text(R.id.status))
        screen.get().findViewById<View>(R.id.fast).performClick()
        screen.protect()
        assertEquals(3, done(screen.get().session).single().faces.size)
    }

    @Test
    fun `work goes on through rotation, and when the user leaves and comes back`() {
        val screen = openReady(send(Gallery.put("a.jpg", person())))
        val session = screen.get().session
        screen.press(R.string.protect)
        await("work") { session.items[0].state is State.Working }
        RuntimeEnvironment.setQualifiers("+land")
        screen.configurationChange().visible()
        assertEquals(session, screen.get().session)
        screen.pause().stop()
        await("the end") { !session.isBusy }
        screen.restart().start().resume()
        assertEquals("No face matches any more", screen.text(R.id.status))
        assertNotNull(screen.get().findViewById<PhotoView>(R.id.photo).result)
    }

    @Test
    fun `what was chosen is there again after the process was killed`() {
        val intent = send(Gallery.put("a.jpg", twins()))
        val screen = openReady(intent)
        screen.get().findViewById<View>(R.id.high).performClick()
        assertEquals("high", screen.get().session.strength)
        val view = screen.get().findViewById<PhotoView>(R.id.photo)
        view.onTap!!(view.marks[0])
        assertEquals(setOf(2), screen.get().session.items[0].chosen)
        val state = Bundle().also { screen.saveInstanceState(it) }
        state.putString("session", "of a process that is gone")
        val again = Robolectric.buildActivity(ProtectActivity::class.java, intent).setup(state)
        await("faces") { !again.get().session.isBusy }
        assertEquals("high", again.get().session.strength)
        assertEquals(setOf(2), again.get().session.items[0].chosen)
    }

    @Test
    fun `what was protected can be changed and protected again`() {
        val screen = openReady(send(Gallery.put("a.jpg", person())))
        screen.protect()
        val first = done(screen.get().session).single().file.readBytes()
        screen.get().findViewById<View>(R.id.again).performClick()
        assertEquals("1 face", screen.text(R.id.status))
        screen.get().findViewById<View>(R.id.high).performClick()
        screen.protect()
        assertFalse(first.contentEquals(done(screen.get().session).single().file.readBytes()))
    }

    @Test
    fun `a box drawn by hand becomes a face`() {
        val screen = openReady(send(Gallery.put("a.jpg", nobody())))
        assertEquals("No face found", screen.text(R.id.status))
        screen.get().findViewById<PhotoView>(R.id.photo).onDraw!!(Box(20.0, 10.0, 70.0, 60.0))
        await("faces") { !screen.get().session.isBusy }
        assertEquals("1 face", screen.text(R.id.status))
        screen.protect()
        assertEquals(1, done(screen.get().session).single().faces.size)
    }

    @Test
    fun `a closer look at a large photo finds small faces, and they are protected`() {
        val screen = openReady(send(Gallery.put("a.jpg", crowd())))
        val closer = screen.get().findViewById<Switch>(R.id.closer)
        assertEquals(View.VISIBLE, closer.visibility)
        assertEquals("3 faces", screen.text(R.id.status))
        closer.performClick()
        assertEquals("Cancel", screen.text(R.id.first))
        await("a closer look") { screen.get().session.items[0].state.let { it is State.Looking && it.part > 0 } }
        assertEquals("Looking for small faces…", screen.text(R.id.status))
        assertFalse(screen.get().findViewById<ProgressBar>(R.id.progress).isIndeterminate)
        await("faces") { !screen.get().session.isBusy }
        assertEquals("6 faces", screen.text(R.id.status))
        assertTrue(closer.isChecked && closer.isEnabled)
        val view = screen.get().findViewById<PhotoView>(R.id.photo)
        for (at in listOf(0, 2, 3, 4, 5)) view.onTap!!(view.marks[at])
        screen.protect()
        assertEquals(listOf(2), done(screen.get().session).single().faces.map { it.number })
    }

    @Test
    fun `a closer look can be cancelled, undone, and is taken again after the process was killed`() {
        val intent = send(Gallery.put("a.jpg", crowd()))
        val screen = openReady(intent)
        val closer = screen.get().findViewById<Switch>(R.id.closer)
        closer.performClick()
        screen.press(R.string.cancel)
        await("the end") { !screen.get().session.isBusy }
        assertFalse(closer.isChecked)
        assertEquals("3 faces", screen.text(R.id.status))
        closer.performClick()
        await("faces") { !screen.get().session.isBusy }
        val state = Bundle().also { screen.saveInstanceState(it) }
        state.putString("session", "of a process that is gone")
        closer.performClick()
        await("faces") { !screen.get().session.isBusy }
        assertEquals("3 faces", screen.text(R.id.status))
        val again = Robolectric.buildActivity(ProtectActivity::class.java, intent).setup(state)
        await("faces") { !again.get().session.isBusy }
        assertEquals("6 faces", again.text(R.id.status))
        assertTrue(again.get().findViewById<Switch>(R.id.closer).isChecked)
    }

    @Test
    fun `a photo that one look sees whole is not looked at closer`() {
        val screen = openReady(send(Gallery.put("a.jpg", person())))
        assertEquals(View.GONE, screen.get().findViewById<View>(R.id.closer).visibility)
    }
}
