package faceencryption.core

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.nio.ByteBuffer
import java.nio.FloatBuffer

/** Is told after each step of a face: which step of how many, of which attempt from 1. */
typealias StepListener = (step: Int, steps: Int, attempt: Int) -> Unit

/**
 * What a cloak runs with.
 *
 * @param pixels the square as it is in the photo now, uint8 [S, S, 3].
 * @param keypoints [6, 2], in pixels of the square.
 * @param reference what to move away from, one part a surrogate.
 * @param seed of the random start.
 */
internal class CloakInputs(
    val pixels: ByteArray,
    val keypoints: FloatArray,
    val reference: FloatArray,
    val seed: Long,
    val plan: Plan,
)

/**
 * Cloak a face.
 *
 * @param steps how many of the plan's steps are taken.
 * @param done is told after each step how many are done.
 * @return the protected square, uint8 [S, S, 3].
 * @throws Cancelled it was stopped.
 */
internal fun cloak(
    artifacts: Artifacts,
    inputs: CloakInputs,
    cancel: Cancel,
    steps: Int = inputs.plan.steps,
    done: (Int) -> Unit = {},
): ByteArray {
    val environment = OrtEnvironment.getEnvironment()
    faceTensor(environment, inputs.pixels).use { face ->
        OnnxTensor.createTensor(environment, inputs.plan.clamp.toFloat()).use { clamp ->
            begin(artifacts, inputs, face, clamp, cancel).use { start ->
                takeSteps(artifacts, inputs, start, clamp, steps, cancel, done).use { last ->
                    val given = mapOf("face" to face, "perturbation" to tensor(last, "next_perturbation"), "clamp" to clamp)
                    return artifacts.cloakEnd.run(given, setOf("protected"), cancel).use { bytes(tensor(it, "protected")) }
                }
            }
        }
    }
}

/** What all steps need of the face, and the state that the first of them takes; the caller closes it. */
private fun begin(
    artifacts: Artifacts,
    inputs: CloakInputs,
    face: OnnxTensor,
    clamp: OnnxTensor,
    cancel: Cancel,
): OrtSession.Result {
    val environment = OrtEnvironment.getEnvironment()
    floats(environment, inputs.keypoints, 6, 2).use { keypoints ->
        OnnxTensor.createTensor(environment, inputs.seed).use { seed ->
            val given = mapOf("face" to face, "keypoints" to keypoints, "clamp" to clamp, "seed" to seed)
            return artifacts.cloakBegin.run(given, FIXED + STATE, cancel)
        }
    }
}

/** What the last step gives; the caller closes it. */
private fun takeSteps(
    artifacts: Artifacts,
    inputs: CloakInputs,
    start: OrtSession.Result,
    clamp: OnnxTensor,
    steps: Int,
    cancel: Cancel,
    done: (Int) -> Unit,
): OrtSession.Result {
    val environment = OrtEnvironment.getEnvironment()
    val own = mapOf(
        "reference" to floats(environment, inputs.reference, inputs.reference.size.toLong()),
        "budget" to OnnxTensor.createTensor(environment, inputs.plan.budget.toFloat()),
        "steps" to OnnxTensor.createTensor(environment, inputs.plan.steps.toLong()),
    )
    val fixed = own + FIXED.associateWith { tensor(start, it) } + ("clamp" to clamp)
    var last: OrtSession.Result? = null
    try {
        for (iteration in 0 until steps) {
            cancel.check()
            val state = STATE.associateWith { name -> last?.let { tensor(it, "next_$name") } ?: tensor(start, name) }
            val next = OnnxTensor.createTensor(environment, iteration.toLong()).use { number ->
                artifacts.cloakStep(iteration).run(fixed + state + ("iteration" to number), NEXT, cancel)
            }
            last?.close()
            last = next
            done(iteration + 1)
        }
        return checkNotNull(last).also { last = null }
    } finally {
        last?.close()
        own.values.forEach { it.close() }
    }
}

/** What the beginning hands to all steps, what goes from step to step, and what it is called when a step gives it. */
private val FIXED = setOf("pixels", "points", "mask", "cost", "colours", "smoothing", "draws")
private val STATE = setOf("perturbation", "momentum_buffer")
private val NEXT = STATE.map { "next_$it" }.toSet()

/** A square as a graph takes it, uint8 [S, S, 3]. */
internal fun faceTensor(environment: OrtEnvironment, pixels: ByteArray): OnnxTensor {
    val side = kotlin.math.sqrt(pixels.size / 3.0).toLong()
    return OnnxTensor.createTensor(environment, ByteBuffer.wrap(pixels), longArrayOf(side, side, 3), OnnxJavaType.UINT8)
}

internal fun floats(environment: OrtEnvironment, values: FloatArray, vararg shape: Long): OnnxTensor =
    OnnxTensor.createTensor(environment, FloatBuffer.wrap(values), shape)

internal fun floats(tensor: OnnxTensor): FloatArray {
    val buffer = tensor.floatBuffer
    return FloatArray(buffer.remaining()).also { buffer.get(it) }
}

private fun bytes(tensor: OnnxTensor): ByteArray {
    val buffer = tensor.byteBuffer
    return ByteArray(buffer.remaining()).also { buffer.get(it) }
}
