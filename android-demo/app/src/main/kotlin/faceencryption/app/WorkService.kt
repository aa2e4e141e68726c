package faceencryption.app

import android.app.Notification
import android.app.NotificationChannel
import android.app.NotificationManager
import android.app.PendingIntent
import android.app.Service
import android.content.Intent
import android.content.pm.ServiceInfo
import android.os.IBinder

/**
 * Lets photos be protected while the user is elsewhere, and says so in a notification with progress and Cancel. Without
 * it Android 11 and later may freeze the process seconds after its last screen is left, until the user comes back:
 * https://source.android.com/docs/core/perf/cached-apps-freezer
 */
class WorkService : Service() {
    private val sessions get() = App.of(this).sessions
    private val notifications get() = getSystemService(NotificationManager::class.java)
    private var start = 0

    /** The line and the per cent of the notification: the system drops what is renewed too often. */
    private var said: Pair<String, Int>? = null

    override fun onBind(intent: Intent?): IBinder? = null

    override fun onStartCommand(intent: Intent?, flags: Int, id: Int): Int {
        start = id
        if (intent?.action == CANCEL) sessions.working?.cancel()
        val name = getString(R.string.protect_label)
        notifications.createNotificationChannel(NotificationChannel(CHANNEL, name, NotificationManager.IMPORTANCE_LOW))
        startForeground(NUMBER, notification("", 0), ServiceInfo.FOREGROUND_SERVICE_TYPE_DATA_SYNC)
        sessions.watcher = { watch() }
        watch()
        return START_NOT_STICKY
    }

    override fun onDestroy() {
        sessions.watcher = null
    }

    private fun watch() {
        val session = sessions.working
        if (session == null) {
            stopForeground(STOP_FOREGROUND_REMOVE)
            stopSelf(start) // unless it is started again just now
            return
        }
        val words = Words(this)
        val now = words.status(session) to (words.part(session) ?: 0) / 10
        if (now != said) notifications.notify(NUMBER, notification(now.first, now.second))
        said = now
    }

    private fun notification(line: String, done: Int): Notification {
        val cancel = Intent(this, javaClass).setAction(CANCEL)
        val action = PendingIntent.getService(this, 0, cancel, PendingIntent.FLAG_IMMUTABLE)
        return Notification.Builder(this, CHANNEL).setSmallIcon(R.drawable.badge).setOnlyAlertOnce(true)
            .setContentTitle(getString(R.string.protect_label)).setContentText(line).setProgress(100, done, false)
            .addAction(Notification.Action.Builder(null, getString(R.string.cancel), action).build()).build()
    }

    private companion object {
        const val CHANNEL = "work"
        const val CANCEL = "cancel"
        const val NUMBER = 1
    }
}
