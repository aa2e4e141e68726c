package faceencryption.core

import com.eclipsesource.json.Json
import com.eclipsesource.json.JsonObject
import com.eclipsesource.json.JsonValue
import com.eclipsesource.json.ParseException

/** Which format of `manifest.json` this program reads. */
const val FORMAT = 8

/** What our own recognizer is called among the surrogates. */
const val OWN = "recognizer"

/** A file of the folder: SHA-256 in hexadecimal digits, and its size. */
class FileFacts(val sha256: String, val bytes: Long)

/** A graph: its file, its kind, and for a step of a cloak whose turn it is. */
class GraphFacts(val file: String, val kind: String, val turn: Int)

/** A recognizer whose gradient a cloak uses; its part of a reference has [embedding] numbers. */
class Surrogate(val name: String, val embedding: Int, val thresholds: Map<String, Double>)

/** A rung of a strength's ladder. */
class Rung(val budget: Double, val clamp: Double)

/**
 * What `manifest.json` says of the folder; [MANIFEST] has the form.
 *
 * @param turns the numbers of the surrogates that the steps of a cloak's round ask, in order.
 */
class Manifest(
    val version: String,
    val files: Map<String, FileFacts>,
    val graphs: Map<String, GraphFacts>,
    val classes: List<String>,
    val embedding: Int,
    val thresholds: Map<String, Double>,
    val cropMargin: Double,
    val surrogates: List<Surrogate>,
    val far: String,
    val margin: Double,
    val score: Double,
    val unsure: Double,
    val strengths: Map<String, List<Rung>>,
    val efforts: Map<String, Int>,
    val turns: List<Int>,
) {
    /** The similarity from which our recognizer counts two faces as one person. */
    val threshold: Double get() = thresholds.getValue(far)

    /** Where each surrogate's part of an embedding is. */
    val parts: List<IntRange> = surrogates.runningFold(0) { end, each -> end + each.embedding }
        .zipWithNext { start, end -> start until end }

    companion object {
        const val MANIFEST = "manifest.json"

        /**
         * Read a manifest.
         *
         * @throws ArtifactsError it is no JSON, of another format, or lacks a key, which the message names.
         */
        fun parse(text: String): Manifest {
            val root = try {
                Json.parse(text)
            } catch (error: ParseException) {
                throw ArtifactsError("$MANIFEST cannot be read (${error.message}); export again", error)
            }
            val keys = Keys(root, "")
            val format = keys.int("format")
            if (format != FORMAT) {
                throw ArtifactsError(
                    "$MANIFEST: format $format, this program reads $FORMAT; export again with this version",
                )
            }
            return read(keys)
        }

        private fun read(keys: Keys): Manifest {
            val recognizer = keys.child("recognizer")
            val match = keys.child("match")
            val cloak = keys.child("cloak")
            val far = match.text("far")
            val manifest = Manifest(
                version = keys.text("version"),
                files = keys.child("files").each { FileFacts(it.text("sha256"), it.number("bytes").toLong()) },
                graphs = keys.child("graphs").each { GraphFacts(it.text("file"), it.text("kind"), it.int("turn", 0)) },
                classes = recognizer.list("classes").map { it.asText() },
                embedding = recognizer.int("embedding"),
                thresholds = recognizer.child("thresholds").numbers(),
                cropMargin = recognizer.number("crop_margin"),
                surrogates = keys.list("surrogates").map {
                    Surrogate(it.text("name"), it.int("embedding"), it.child("thresholds").numbers())
                },
                far = far,
                margin = match.number("margin"),
                score = keys.child("detector").number("score"),
                unsure = keys.child("detector").number("unsure"),
                strengths = cloak.child("strength").eachList { Rung(it.number("budget"), it.number("clamp")) },
                efforts = cloak.child("effort").each { it.int("steps") },
                turns = cloak.list("turns").map { it.asInt() },
            )
            for (thresholds in listOf(manifest.thresholds) + manifest.surrogates.map { it.thresholds }) {
                if (far !in thresholds) throw ArtifactsError("$MANIFEST lacks a threshold at \"$far\"; export again")
            }
            return manifest
        }
    }
}

/** A value of the manifest, which knows where it is, so that what is missing or of another type can be named. */
private class Keys(private val value: JsonValue, private val path: String) {
    private val asObject: JsonObject get() = if (value.isObject) value.asObject() else throw wrong("no object")

    fun child(name: String): Keys {
        val found = asObject[name]
            ?: throw ArtifactsError("${Manifest.MANIFEST} lacks \"${under(name)}\"; export again")
        return Keys(found, under(name))
    }

    fun text(name: String): String = child(name).asText()

    fun asText(): String = if (value.isString) value.asString() else throw wrong("no text")

    fun number(name: String): Double = child(name).asNumber()

    fun int(name: String, otherwise: Int? = null): Int =
        if (otherwise != null && asObject[name] == null) otherwise else number(name).toInt()

    fun numbers(): Map<String, Double> = each { it.asNumber() }

    fun list(name: String): List<Keys> = child(name).asList()

    fun <T> each(read: (Keys) -> T): Map<String, T> = asObject.names().associateWith { read(child(it)) }

    fun <T> eachList(read: (Keys) -> T): Map<String, List<T>> = each { it.asList().map(read) }

    fun asInt(): Int = asNumber().toInt()

    private fun asNumber(): Double = if (value.isNumber) value.asDouble() else throw wrong("no number")

    private fun asList(): List<Keys> {
        if (!value.isArray) throw wrong("no list")
        return value.asArray().values().mapIndexed { at, each -> Keys(each, "$path[$at]") }
    }

    private fun under(name: String) = if (path.isEmpty()) name else "$path.$name"

    private fun wrong(what: String) = ArtifactsError("${Manifest.MANIFEST}: \"$path\" is $what; export again")
}
