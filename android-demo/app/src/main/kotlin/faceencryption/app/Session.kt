package faceencryption.app

import android.net.Uri
import faceencryption.core.Box
import faceencryption.core.Cancel
import faceencryption.core.Cancelled
import faceencryption.core.FaceEncryptionError
import faceencryption.core.Settings
import faceencryption.core.photo.MetadataPolicy
import faceencryption.core.mayHoldSmallFaces
import faceencryption.core.photo.readPhoto
import java.io.File
import java.io.IOException

/**
 * Photos on their way: read, looked at, protected, one after the other on the thread for photos. All else happens on
 * the main thread.
 */
class Session(
    private val app: App,
    val id: String,
    private val folder: File,
    addresses: List<Uri>,
    camera: File?,
    private val closed: () -> Unit,
) {
    val items: List<Item> =
        if (camera != null) listOf(Item(null, camera).apply { name = camera.nameWithoutExtension })
        else addresses.mapIndexed { at, address -> Item(address, File(folder, "source-$at")) }
    var strength = "medium"
    var effort = "normal"
    var metadata = MetadataPolicy.STRIP

    /** Which photo is shown large; null for the list. */
    var shown: Int? = if (items.size == 1) 0 else null
        private set

    /** Is told on the main thread that something changed. */
    var listener: (() -> Unit)? = null
    private var cancel = Cancel()
    private val incoming = Incoming(app)

    private val isWorking: Boolean get() = items.any { it.state is State.Working || it.state is State.Waiting }
    val isBusy: Boolean get() = isWorking || items.any { it.state is State.Looking }
    val isProtecting: Boolean get() = isWorking && aim == Aim.PROTECT
    val isLookingCloser: Boolean get() = isBusy && aim == Aim.CLOSER
    private var aim = Aim.LOOK

    /** Photos that are large enough to hold faces that one look misses. */
    val large: List<Item> get() = items.filter { it.detection?.mayHoldSmallFaces == true }
    val isCloser: Boolean get() = large.isNotEmpty() && large.all { it.isCloser }

    private enum class Aim { LOOK, CLOSER, PROTECT }

    /** Read all photos and look for their faces. */
    fun start() = items.forEach { look(it, it.isCloser, fetch = it.address != null) }

    /** Look at all large photos closer, for small faces, or at one look again. */
    fun look(closer: Boolean) {
        if (isBusy || closer == isCloser) return
        begin(if (closer) Aim.CLOSER else Aim.LOOK)
        large.filter { it.isCloser != closer }.forEach { look(it, closer, fetch = false) }
    }

    /** Take a box that the user drew, and look again. */
    fun add(item: Item, box: Box) {
        if (isBusy) return
        begin(Aim.LOOK)
        item.boxes.add(box)
        look(item, item.isCloser, fetch = false)
    }

    private fun look(item: Item, closer: Boolean, fetch: Boolean) {
        item.state = State.Waiting
        changed()
        val boxes = item.boxes.toList()
        work(item) { token ->
            set(item, State.Looking())
            if (fetch) {
                val data = incoming.read(item.address!!)
                item.source.writeBytes(data)
                val name = incoming.name(item.address)
                app.engine.show { item.name = name }
            }
            val photo = readPhoto(item.source.readBytes(), AndroidCodec)
            val settings = Settings(boxes = boxes, smallFaces = closer)
            val seen = app.engine.protector().look(photo, settings, token) { done, parts ->
                set(item, State.Looking(1000 * done / parts))
            }
            val small = Thumbnails.of(photo.picture)
            val large = if (isShown(item)) AndroidCodec.shown(photo.picture) else null
            app.engine.show {
                item.detection = seen
                item.isCloser = closer
                item.changes = MetadataPolicy.values().associateWith { photo.messages(it) }
                item.thumbnail = small
                if (large != null) item.original = large
                item.state = State.Ready
                changed()
            }
        }
    }

    /** Protect all photos that have a face, and say of the others why not. */
    fun protect() {
        begin(Aim.PROTECT)
        for (item in items) {
            if (item.state is State.Failed && item.detection == null) continue
            val chosen = item.chosen
            when {
                item.detection?.faces.isNullOrEmpty() -> item.state = State.Failed(app.getString(R.string.said_no_face))
                chosen.isEmpty() -> item.state = State.Failed(app.getString(R.string.none_chosen))
                else -> {
                    val boxes = item.boxes.toList()
                    protect(item, Settings(strength, effort, faces = chosen, boxes = boxes, metadata = metadata))
                }
            }
        }
        changed()
    }

    private fun protect(item: Item, settings: Settings) {
        item.state = State.Waiting
        item.result = null
        val seen = item.detection
        work(item) { token ->
            val faces = settings.faces.orEmpty().size
            set(item, State.Working(1, faces, 1, 0))
            val protector = app.engine.protector()
            val data = item.source.readBytes()
            val protected = protector.protect(data, settings, token, seen) { face, count, step, steps, attempt ->
                val part = 1000 * (face - 1) / count + 1000 * step / steps / count
                set(item, State.Working(face, count, attempt, part))
            }
            val format = protected.format
            val name = "${item.name.ifEmpty { "photo" }}_protected-${items.indexOf(item) + 1}.${format.suffix}"
            val file = File(folder, "${ShareProvider.RESULTS}/$name")
            file.writeBytes(protected.data)
            val large = if (isShown(item)) AndroidCodec.shown(file) else null
            app.engine.show {
                item.result = large
                item.state = State.Done(file, format, protected.faces, settings.metadata)
                changed()
            }
        }
    }

    /** Stop; photos that are done stay so. */
    fun cancel() {
        cancel.cancel()
        changed()
    }

    /** Go back from what was protected to what can be chosen. */
    fun revise() {
        aim = Aim.LOOK
        for (item in items) {
            if (item.detection == null || item.state is State.Working) continue
            item.state = State.Ready
            item.result = null
        }
        changed()
    }

    /** Show a photo large, or with null the list. */
    fun show(index: Int?) {
        shown?.let { items[it].original = null; items[it].result = null }
        shown = index
        changed()
        val item = items.getOrNull(index ?: return) ?: return
        val done = item.state as? State.Done
        if (item.detection == null) return
        app.engine.run {
            val original = AndroidCodec.shown(item.source)
            val result = done?.let { AndroidCodec.shown(it.file) }
            app.engine.show {
                if (shown == index) {
                    item.original = original
                    item.result = result
                    changed()
                }
            }
        }
    }

    /** The user is done: nothing of the photos stays here. */
    fun close() {
        cancel.cancel()
        listener = null
        closed()
        app.sessions.watcher?.invoke()
        app.engine.run {
            folder.deleteRecursively()
            items.forEach { it.source.delete() }
        }
    }

    private fun begin(next: Aim) {
        cancel = Cancel()
        aim = next
    }

    private fun isShown(item: Item) = shown == items.indexOf(item)

    private fun set(item: Item, state: State) = app.engine.show {
        item.state = state
        changed()
    }

    private fun changed() {
        listener?.invoke()
        app.sessions.watcher?.invoke()
    }

    /** Do this on the thread for photos; a failure becomes the photo's line. */
    private fun work(item: Item, what: (Cancel) -> Unit) {
        val token = cancel
        app.engine.run {
            val failure = try {
                token.check()
                what(token)
                return@run
            } catch (error: Cancelled) {
                null
            } catch (error: FaceEncryptionError) {
                app.say(error)
            } catch (error: IOException) {
                app.getString(R.string.said_no_room, error.message)
            } catch (error: OutOfMemoryError) {
                app.getString(R.string.said_no_memory_left)
            }
            app.engine.show {
                item.state = when {
                    failure != null -> State.Failed(failure)
                    item.detection != null -> State.Ready
                    else -> State.Failed(app.getString(R.string.photo_cancelled))
                }
                changed()
            }
        }
    }
}
