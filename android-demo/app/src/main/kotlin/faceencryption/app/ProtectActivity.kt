package faceencryption.app

import android.Manifest
import android.app.Activity
import android.content.ComponentName
import android.content.Intent
import android.content.pm.PackageManager
import android.os.Build
import android.os.Bundle
import android.view.View
import android.widget.Button
import android.widget.ListView
import android.widget.ProgressBar
import android.widget.TextView
import faceencryption.core.Face
import faceencryption.core.FaceEncryptionError

/** Photos that another app shares, or wants to have edited: what is found in them, what is done, what came of it. */
class ProtectActivity : Activity() {
    lateinit var session: Session
        private set
    private lateinit var photo: PhotoView
    private lateinit var list: ListView
    private lateinit var rows: Rows
    private lateinit var words: Words
    private lateinit var choices: Choices
    private var message: String? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        words = Words(this)
        val known = App.of(this).sessions[state?.getString(SESSION) ?: intent.getStringExtra(SESSION)]
        val addresses = if (known != null) emptyList() else try {
            Incoming(this).addresses(intent)
        } catch (error: FaceEncryptionError) {
            refuse(error)
            return
        }
        session = known ?: App.of(this).sessions.begin(addresses).also { begin(it, state) }
        build()
        session.listener = { show() }
        show()
    }

    /** Nothing can be done with what the other app sent. */
    private fun refuse(error: FaceEncryptionError) {
        build()
        text(R.id.status).text = getString(R.string.failed_title)
        text(R.id.detail).text = say(error)
        list.visibility = View.GONE
        photo.visibility = View.GONE
        findViewById<View>(R.id.choices).visibility = View.GONE
        button(R.id.first, getString(R.string.close)) { finish() }
        hideSecond()
    }

    /** Begin, after the process was killed with what the user had chosen. */
    private fun begin(session: Session, state: Bundle?) {
        if (state != null) restore(session, state)
        session.start()
    }

    override fun onSaveInstanceState(state: Bundle) {
        super.onSaveInstanceState(state)
        if (!::session.isInitialized) return
        state.putString(SESSION, session.id)
        save(session, state)
    }

    override fun onDestroy() {
        super.onDestroy()
        if (!::session.isInitialized) return
        session.listener = null
        if (isFinishing) session.close()
    }

    @Deprecated("the platform's own way back before API 33")
    @Suppress("DEPRECATION")
    override fun onBackPressed() {
        if (::session.isInitialized && session.items.size > 1 && session.shown != null) session.show(null)
        else super.onBackPressed()
    }

    private fun build() {
        setContentView(R.layout.protect)
        photo = findViewById(R.id.photo)
        list = findViewById(R.id.list)
        if (!::session.isInitialized) return
        rows = Rows(this, session, words)
        list.adapter = rows
        list.setOnItemClickListener { _, _, at, _ -> if (session.items[at].detection != null) session.show(at) }
        choices = Choices(findViewById(R.id.choices), session)
    }

    private fun show() {
        val item = session.shown?.let { session.items[it] }
        list.visibility = if (item == null) View.VISIBLE else View.GONE
        photo.visibility = if (item == null) View.GONE else View.VISIBLE
        if (item == null) rows.notifyDataSetChanged() else show(item)
        val status = if (item != null) words.status(item, session) else words.status(session)
        text(R.id.status).text = status
        text(R.id.detail).apply {
            text = message ?: if (item != null) words.detail(item, session) else words.detail(session)
            visibility = if (text.isEmpty()) View.GONE else View.VISIBLE
        }
        findViewById<ProgressBar>(R.id.progress).apply {
            visibility = if (session.isBusy) View.VISIBLE else View.GONE
            val part = words.part(session)
            isIndeterminate = part == null
            if (part != null) progress = part
        }
        val hasResults = session.items.any { it.state is State.Done }
        val canChoose = !session.isProtecting && !hasResults && session.items.any { it.detection != null }
        choices.show(canChoose)
        buttons(hasResults)
        findViewById<Button>(R.id.again).apply {
            visibility = if (hasResults && !session.isProtecting) View.VISIBLE else View.GONE
            setOnClickListener {
                message = null
                session.revise()
            }
        }
    }

    private fun show(item: Item) {
        photo.original = item.original
        photo.setBackgroundResource(if (item.original != null) R.color.stage else R.color.page)
        photo.result = item.result
        val seen = item.detection
        photo.photoWidth = seen?.width ?: 0
        photo.contentDescription = words.describe(item)
        val isReady = item.state is State.Ready || (item.state is State.Failed && seen != null)
        photo.marks = if (seen == null) emptyList() else words.marks(item, seen)
        photo.onTap = if (!isReady) null else { mark -> tap(item, mark.face, mark.isUnsure) }
        photo.onDraw = if (!isReady) null else { box -> session.add(item, box) }
    }

    private fun tap(item: Item, face: Face, isUnsure: Boolean) {
        if (isUnsure) return session.add(item, face.box)
        item.toggle(face)
        show()
    }

    private fun buttons(hasResults: Boolean) {
        val isAllSaved = session.items.all { (it.state as? State.Done)?.saved != null || it.state !is State.Done }
        val canProtect = session.items.any { it.chosen.isNotEmpty() }
        when {
            session.isProtecting || session.isLookingCloser -> {
                button(R.id.first, getString(R.string.cancel)) { session.cancel() }
                hideSecond()
            }
            hasResults && isAllSaved -> {
                button(R.id.second, getString(R.string.share)) { shareOn() }
                button(R.id.first, getString(R.string.finish)) { done() }
            }
            hasResults -> {
                button(R.id.second, getString(R.string.share)) { shareOn() }
                button(R.id.first, getString(R.string.save)) { save() }
            }
            session.isBusy || canProtect -> {
                button(R.id.second, getString(R.string.close)) { finish() }
                button(R.id.first, getString(R.string.protect)) { protect() }
                findViewById<Button>(R.id.first).apply {
                    isEnabled = canProtect && !session.isBusy
                    alpha = if (isEnabled) 1f else .4f
                }
            }
            else -> {
                button(R.id.first, getString(R.string.close)) { finish() }
                hideSecond()
            }
        }
    }

    private fun protect() {
        message = null
        session.protect()
        if (!session.isProtecting) return
        startForegroundService(Intent(this, WorkService::class.java))
        // Where that is refused the work goes on as well, but without a notification. Of one photo nobody waits long.
        if (Build.VERSION.SDK_INT >= 33 && session.items.size > 1 &&
            checkSelfPermission(Manifest.permission.POST_NOTIFICATIONS) != PackageManager.PERMISSION_GRANTED
        ) {
            requestPermissions(arrayOf(Manifest.permission.POST_NOTIFICATIONS), 0)
        }
    }

    private fun hideSecond() {
        findViewById<View>(R.id.second).visibility = View.GONE
        findViewById<View>(R.id.between).visibility = View.GONE
    }

    private fun button(id: Int, text: String, click: () -> Unit) {
        findViewById<View>(R.id.between).visibility = View.VISIBLE
        findViewById<Button>(id).apply {
            this.text = text
            visibility = View.VISIBLE
            isEnabled = true
            alpha = 1f
            setOnClickListener { click() }
        }
    }

    private fun save() = Saver(App.of(this)).save(session, output(intent)) { failure ->
        message = failure ?: getString(if (output(intent) != null) R.string.saved_caller else R.string.saved)
        val saved = (session.items.firstOrNull()?.state as? State.Done)?.saved
        if (failure == null && intent.action == Intent.ACTION_EDIT) {
            setResult(RESULT_OK, Intent().setData(saved).addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION))
        }
    }

    private fun done() = finish()

    /** Share the protected photos with another app, and never with this one again. */
    private fun shareOn() {
        val send = sendIntent(this, session.items.mapNotNull { it.state as? State.Done })
        val chooser = Intent.createChooser(send, null)
            .putExtra(Intent.EXTRA_EXCLUDE_COMPONENTS, arrayOf(ComponentName(this, javaClass)))
        startActivity(chooser)
    }

    private fun text(id: Int) = findViewById<TextView>(id)

    companion object {
        const val SESSION = "session"
    }
}
