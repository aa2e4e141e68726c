package faceencryption.app

import android.app.Notification
import android.app.NotificationManager
import android.os.Build
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Test
import org.robolectric.Robolectric
import org.robolectric.Shadows.shadowOf

/** Work that goes on while the user is elsewhere. */
class WorkServiceTest : AppTest() {
    /** The service that a screen asked for, as the system starts it. */
    private fun begun() = shadowOf(app).nextStartedService.let {
        assertEquals(WorkService::class.java.name, it.component!!.className)
        Robolectric.buildService(WorkService::class.java, it).create().startCommand(0, 1).get()
    }

    private fun posted(): Notification? =
        shadowOf(app.getSystemService(NotificationManager::class.java)).allNotifications.singleOrNull()

    @Test
    fun `of photos that are protected a notification says how many are done, and goes with the work`() {
        val screen = openReady(send(*Array(3) { Gallery.put("$it.jpg", person()) }))
        screen.press(R.string.protect)
        val service = begun()
        screen.pause().stop()
        assertEquals("Photo 1 of 3", posted()!!.extras.getString(Notification.EXTRA_TEXT))
        assertFalse(shadowOf(service).isStoppedBySelf)
        await("progress") { (posted()?.extras?.getInt(Notification.EXTRA_PROGRESS) ?: 0) > 33 }
        assertTrue(posted()!!.extras.getString(Notification.EXTRA_TEXT)!!.matches(Regex("Photo [23] of 3")))
        await("the end") { !screen.get().session.isBusy }
        assertEquals(3, done(screen.get().session).size)
        assertNull(posted())
        assertTrue(shadowOf(service).isStoppedBySelf)
    }

    @Test
    fun `work is cancelled from the notification, and ends with the screen`() {
        val screen = openReady(send(Gallery.put("a.jpg", twins())))
        screen.press(R.string.protect)
        val service = begun()
        val cancel = shadowOf(posted()!!.actions.single().actionIntent).savedIntent
        assertEquals("Cancel", posted()!!.actions.single().title)
        service.onStartCommand(cancel, 0, 2)
        await("the end") { !screen.get().session.isBusy }
        assertTrue(screen.get().session.items[0].state is State.Ready)
        assertNull(posted())
        screen.press(R.string.protect)
        val next = begun()
        screen.get().finish()
        screen.pause().stop().destroy()
        assertTrue(shadowOf(next).isStoppedBySelf)
    }

    @Test
    fun `for several photos the user is asked whether to be notified`() {
        val one = openReady(send(Gallery.put("a.jpg", person())))
        one.protect()
        assertNull(shadowOf(one.get()).lastRequestedPermission)
        val two = openReady(send(Gallery.put("a.jpg", person()), Gallery.put("b.jpg", person())))
        two.protect()
        val asked = shadowOf(two.get()).lastRequestedPermission?.requestedPermissions?.toList()
        val expected = listOf("android.permission.POST_NOTIFICATIONS").takeIf { Build.VERSION.SDK_INT >= 33 }
        assertEquals(expected, asked)
        assertEquals(2, done(two.get().session).size)
    }
}
