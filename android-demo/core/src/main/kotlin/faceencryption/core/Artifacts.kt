package faceencryption.core

import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtException
import ai.onnxruntime.OrtLoggingLevel
import ai.onnxruntime.OrtSession
import ai.onnxruntime.OrtSession.SessionOptions
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OnnxTensorLike
import java.io.File
import java.io.IOException
import java.security.MessageDigest

/** One graph on the CPU. Close it to free its memory. */
class Graph internal constructor(private val file: File, private val session: OrtSession) : AutoCloseable {
    /**
     * Run the graph.
     *
     * @param inputs a tensor by each name; they stay open.
     * @param outputs the names of what is wanted.
     * @param cancel stops a run that is under way.
     * @return tensors; the caller closes the result.
     * @throws ArtifactsError the graph does not take these inputs, or fails on them.
     * @throws OutOfMemoryError there is too little memory for these inputs.
     * @throws Cancelled it was stopped.
     */
    fun run(inputs: Map<String, OnnxTensorLike>, outputs: Set<String>, cancel: Cancel): OrtSession.Result = try {
        cancel.running { session.run(inputs, outputs, it) }
    } catch (error: OrtException) {
        cancel.check()
        if (isNoMemory(error)) throw OutOfMemoryError(error.message)
        throw ArtifactsError("${file.name}: cannot be run (${oneLine(error)})", error)
    }

    override fun close() = session.close()
}

/**
 * The graphs in one folder, each loaded when it is first asked for and then kept.
 *
 * @param folder what the export wrote.
 * @param threads how many threads one inference uses.
 * @throws ArtifactsError there is no such folder, or its manifest cannot be read.
 */
class Artifacts(val folder: File, private val threads: Int = 1) : AutoCloseable {
    val manifest: Manifest
    private val environment: OrtEnvironment = OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL)
    private val graphs = HashMap<String, Graph>()

    init {
        val file = File(folder, Manifest.MANIFEST)
        val text = try {
            file.readText()
        } catch (error: IOException) {
            throw ArtifactsError("$file: no such file; run `face-encryption export`", error)
        }
        manifest = Manifest.parse(text)
    }

    val detector: Graph get() = load("detector")
    val cloakReference: Graph get() = load("cloak-reference")

    /** What stands before the steps of a cloak and behind them. */
    val cloakBegin: Graph get() = load("attack-feature-begin")
    val cloakEnd: Graph get() = load("attack-feature-end")

    /** The graph of one step of a cloak: the surrogates are asked in the order of a round. */
    fun cloakStep(iteration: Int): Graph = load(STEP, manifest.turns.run { this[iteration % size] })

    /** The names of the files that a cloak needs: an app packs these and the manifest. */
    val needed: List<String>
        get() {
            val others = manifest.graphs.values.filterNot { it.kind in KINDS }.map { it.file }
            return manifest.files.keys.filterNot { it in others }
        }

    /**
     * Compare every file that is needed with the manifest.
     *
     * @throws ArtifactsError a file is missing or is another one than was exported; the message names it.
     */
    fun verify() {
        for (name in needed) {
            val facts = manifest.files.getValue(name)
            val file = File(folder, name)
            if (!file.isFile) throw ArtifactsError("$name: no such file; export again")
            if (file.length() != facts.bytes || sha256(file) != facts.sha256) {
                throw ArtifactsError("$name is not the file that ${Manifest.MANIFEST} names; export again")
            }
        }
    }

    /** Free what the graphs hold; they are loaded again when needed. */
    @Synchronized
    override fun close() {
        graphs.values.forEach { it.close() }
        graphs.clear()
    }

    @Synchronized
    private fun load(kind: String, turn: Int = 0): Graph {
        val facts = manifest.graphs.values.firstOrNull { it.kind == kind && it.turn == turn }
            ?: throw ArtifactsError("${Manifest.MANIFEST} names no graph of the kind $kind; export again")
        return graphs.getOrPut(facts.file) {
            val file = File(folder, facts.file)
            if (!file.isFile) throw ArtifactsError("${facts.file}: no such file; export again")
            try {
                options(kind).use { Graph(file, environment.createSession(file.path, it)) }
            } catch (error: OrtException) {
                if (isNoMemory(error)) throw ArtifactsError("${facts.file}: not enough memory to load it", error)
                throw ArtifactsError("${facts.file}: cannot be loaded (${oneLine(error)}); export again", error)
            }
        }
    }

    private companion object {
        const val STEP = "attack-feature-step"
        val KINDS = setOf("detector", "cloak-reference", "attack-feature-begin", STEP, "attack-feature-end")
    }

    private fun options(kind: String) = SessionOptions().apply {
        setIntraOpNumThreads(threads)
        setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL)
        // Threads that wait for more of the same would take the cores from the graph that is run next.
        addConfigEntry("session.force_spinning_stop", "1")
        addConfigEntry("session.intra_op.allow_spinning", "0")
        if (kind != STEP) {
            // Memory held for the next run of a graph that runs once or twice a photo is not worth it, nor a second
            // copy of its weights in the blocked layout; the detector's are small and run in loops.
            setCPUArenaAllocator(false)
            if (kind != "detector") setOptimizationLevel(SessionOptions.OptLevel.EXTENDED_OPT)
        }
    }
}

/** Stops work between two steps, and the graph that is running. May be used by any thread. */
class Cancel {
    @Volatile
    var isCancelled = false
        private set
    private var running: OrtSession.RunOptions? = null

    /** Stop the work. */
    @Synchronized
    fun cancel() {
        isCancelled = true
        running?.setTerminate(true)
    }

    /** Throw [Cancelled] if the work was stopped. */
    fun check() {
        if (isCancelled) throw Cancelled()
    }

    internal fun <T> running(run: (OrtSession.RunOptions) -> T): T = OrtSession.RunOptions().use { options ->
        synchronized(this) {
            check()
            running = options
        }
        try {
            run(options)
        } finally {
            synchronized(this) { running = null }
        }
    }
}

internal fun sha256(file: File): String {
    val digest = MessageDigest.getInstance("SHA-256")
    file.inputStream().use { stream ->
        val buffer = ByteArray(1 shl 16)
        while (true) {
            val count = stream.read(buffer)
            if (count < 0) break
            digest.update(buffer, 0, count)
        }
    }
    return digest.digest().joinToString("") { "%02x".format(it) }
}

internal fun tensor(result: OrtSession.Result, name: String) = result[name].get() as OnnxTensor

private fun isNoMemory(error: OrtException): Boolean {
    val message = error.message.orEmpty()
    return "bad_alloc" in message || "Failed to allocate" in message
}

private fun oneLine(error: Exception) = error.message.orEmpty().split(Regex("\\s+")).joinToString(" ").trim()
