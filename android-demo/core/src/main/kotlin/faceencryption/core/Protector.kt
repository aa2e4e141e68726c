package faceencryption.core

import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import faceencryption.core.photo.Codec
import faceencryption.core.photo.Photo
import faceencryption.core.photo.readPhoto

/** Is told what is under way: [face] of [faces], from 1; [step] of [steps] of the [attempt] from 1. */
fun interface Progress {
    fun at(face: Int, faces: Int, step: Int, steps: Int, attempt: Int)
}

/**
 * A photo's bytes in, the protected photo's bytes and what was measured out. Graphs are loaded when first needed and
 * then kept. One thread at a time.
 *
 * @param codec decodes pixels, by what the platform has.
 */
class Protector(private val artifacts: Artifacts, private val codec: Codec) {
    private val manifest get() = artifacts.manifest
    private val environment = OrtEnvironment.getEnvironment()

    /**
     * Read a photo.
     *
     * @throws PhotoError the bytes are no photo that can be read.
     */
    fun read(data: ByteArray): Photo = readPhoto(data, codec)

    /**
     * Find the faces in a photo.
     *
     * @param progress of a closer look, where the settings want one.
     * @throws SettingError a box lies outside of the photo.
     * @throws ArtifactsError the detector cannot be loaded or run.
     */
    fun look(
        photo: Photo,
        settings: Settings = Settings(),
        cancel: Cancel = Cancel(),
        progress: LookProgress = LookProgress { _, _ -> },
    ): Detection {
        val score = settings.minScore ?: manifest.score
        return findFaces(artifacts, photo.picture, score, settings.boxes, settings.smallFaces, cancel, progress)
    }

    /**
     * What the recognizers see in all faces of a photo, for the gallery in [Settings]. It serves these artifacts alone.
     *
     * @throws NoFaceError there is no face in it.
     */
    fun enroll(data: ByteArray, cancel: Cancel = Cancel()): List<FloatArray> {
        val photo = read(data)
        val faces = look(photo, cancel = cancel).faces
        if (faces.isEmpty()) throw NoFaceError("no face found")
        return faces.map { face ->
            val part = part(photo, 0, face)
            embed(part, part.original, cancel)
        }
    }

    /**
     * Protect the faces in a photo.
     *
     * @param data the bytes of a JPEG, PNG or WebP file.
     * @param known what [look] found in it, whose faces the settings number; null to look again.
     * @throws FaceEncryptionError in one line, what is wrong and how to mend it.
     * @throws Cancelled it was stopped.
     * @throws OutOfMemoryError the photo is too large for the memory there is.
     */
    fun protect(
        data: ByteArray,
        settings: Settings = Settings(),
        cancel: Cancel = Cancel(),
        known: Detection? = null,
        progress: Progress = Progress { _, _, _, _, _ -> },
    ): ProtectedPhoto {
        val plans = plans(manifest, settings)
        val photo = read(data)
        val seen = known ?: look(photo, settings, cancel)
        val hints = detectionNotes(seen)
        if (seen.faces.isEmpty()) {
            throw NoFaceError((listOf("no face found; nothing was written") + hints).joinToString("; "))
        }
        val parts = choose(seen.faces.size, settings.faces).map { part(photo, it, seen.faces[it - 1]) }
        val done = parts.mapIndexed { at, part ->
            protectFace(photo, part, plans, settings, cancel) { step, steps, attempt ->
                progress.at(at + 1, parts.size, step, steps, attempt)
            }
        }
        cancel.check()
        val encoded = photo.encode(settings.metadata)
        val squares = photo.readSquares(encoded, parts.map { it.square })
        val results = done.mapIndexed { at, face -> result(photo, face, squares[at], cancel) }
        val changes = photo.messages(settings.metadata).map { it.toString() }
        val notes = listOf("faces found: ${seen.faces.size}") + hints + changes
        return ProtectedPhoto(photo.format, encoded, results, notes)
    }

    private class Done(val subject: Subject, val plan: Plan, val seconds: Double)

    private fun protectFace(
        photo: Photo,
        part: Part,
        plans: List<Plan>,
        settings: Settings,
        cancel: Cancel,
        listener: StepListener,
    ): Done {
        val start = System.nanoTime()
        val embedding = embed(part, part.original, cancel)
        val subject = Subject(part, embedding, matches(manifest, settings.gallery, embedding))
        val (pixels, plan) = attempt(photo, subject, plans, settings.seed + part.number - 1, cancel, listener)
        photo.picture.paste(pixels, part.square)
        return Done(subject, plan, (System.nanoTime() - start) / 1e9)
    }

    /** The square of the first attempt after which the face is no match, or of the one nearest to it. */
    private fun attempt(
        photo: Photo,
        subject: Subject,
        plans: List<Plan>,
        seed: Long,
        cancel: Cancel,
        listener: StepListener,
    ): Pair<ByteArray, Plan> {
        val part = subject.part
        val picture = photo.picture
        val square = picture.cut(part.square) // with the changes of faces whose squares overlap it
        val bound = plans.fold(0.0) { most, plan -> maxOf(most, plan.clamp) }
        var best: Triple<Double, ByteArray, Plan>? = null
        for ((at, plan) in plans.withIndex()) {
            val inputs = CloakInputs(square, part.keypoints, subject.reference, seed, plan)
            val changed = cloak(artifacts, inputs, cancel) { step -> listener(step, plan.steps, at + 1) }
            if (picture.isGrey) makeGrey(changed) // of a grey square this is the square plus the mean change
            part.limit(changed, bound, picture.width, picture.height)
            if (plans.size == 1) return changed to plan
            val seen = subject.compare(manifest, embed(part, changed, cancel))
            val above = seen.fold(-2.0) { most, each -> maxOf(most, each.similarity - each.threshold) }
            if (best == null || above < best.first) best = Triple(above, changed, plan)
            if (above < -manifest.margin) break
        }
        return checkNotNull(best).let { it.second to it.third }
    }

    /** Measure a face on its square as it was saved. */
    private fun result(photo: Photo, done: Done, saved: ByteArray, cancel: Cancel): FaceResult {
        val subject = done.subject
        val part = subject.part
        val seen = subject.compare(manifest, embed(part, saved, cancel))
        val (change, psnr) = difference(part, saved, photo.picture.width, photo.picture.height)
        return FaceResult(
            number = part.number,
            face = part.face,
            similarity = seen[0].similarity,
            threshold = seen[0].threshold,
            surrogates = seen.drop(1),
            gallery = subject.known.size,
            plan = done.plan,
            change = change,
            psnr = psnr,
            seconds = done.seconds,
        )
    }

    private fun part(photo: Photo, number: Int, face: Face): Part {
        val square = Square.around(face.box, manifest.cropMargin)
        return Part(number, face, square, photo.picture.cut(square))
    }

    /** What the surrogates see in a square of a face, as it was or changed, one behind the other. */
    private fun embed(part: Part, pixels: ByteArray, cancel: Cancel): FloatArray =
        faceTensor(environment, pixels).use { face ->
            floats(environment, part.keypoints, 6, 2).use { keypoints: OnnxTensor ->
                val inputs = mapOf("face" to face, "keypoints" to keypoints)
                artifacts.cloakReference.run(inputs, setOf("reference"), cancel).use { floats(tensor(it, "reference")) }
            }
        }
}

/** The numbers of the faces to protect, ascending. */
private fun choose(count: Int, numbers: Set<Int>?): List<Int> {
    if (numbers == null) return (1..count).toList()
    val missing = numbers.firstOrNull { it > count }
    if (missing != null) {
        throw SettingError("there is no face $missing; the photo has $count, numbered from left to right")
    }
    return numbers.sorted()
}
