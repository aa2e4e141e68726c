package faceencryption.core

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.nio.ByteBuffer
import java.nio.FloatBuffer

/** The steps work on a grid of this edge, whatever the size of the face. */
private const val GRID = 112L

/** Is told after each step of a face: which step of how many, of which attempt from 1. */
typealias StepListener = (step: Int, steps: Int, attempt: Int) -> Unit

/**
 * From this side of a square on, what a step repeats for the photo's pixels takes longer than the step: the loop, which
 * does it once, then takes the place of the graphs of one step.
 */
internal const val LARGE = 400

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
 * @param stepByStep by the graphs of one step, which the surrogates take in turn, or by the loop; the bytes are the same.
 * @param done is told how many steps are done: after each step, or once after the loop.
 * @return the protected square, uint8 [S, S, 3].
 * @throws Cancelled it was stopped.
 */
internal fun cloak(
    artifacts: Artifacts,
    inputs: CloakInputs,
    cancel: Cancel,
    stepByStep: Boolean,
    done: (Int) -> Unit,
): ByteArray {
    // Several surrogates finish their round, as the loop does.
    val turns = artifacts.manifest.surrogates.size
    val steps = (inputs.plan.steps + turns - 1) / turns * turns
    if (stepByStep) return steps(artifacts, inputs, cancel, steps, done)
    return tensors(inputs) { tensors ->
        artifacts.cloak.run(tensors, setOf("protected"), cancel).use { bytes(tensor(it, "protected")) }
    }.also { done(steps) }
}

/** Take so many steps of those that the plan has, which decides how far one goes. */
internal fun steps(
    artifacts: Artifacts,
    inputs: CloakInputs,
    cancel: Cancel,
    steps: Int,
    done: (Int) -> Unit = {},
): ByteArray = tensors(inputs) { takeSteps(artifacts, it, steps, cancel, done) }

private fun tensors(inputs: CloakInputs, use: (Map<String, OnnxTensor>) -> ByteArray): ByteArray {
    val environment = OrtEnvironment.getEnvironment()
    val tensors = LinkedHashMap<String, OnnxTensor>()
    try {
        tensors["face"] = faceTensor(environment, inputs.pixels)
        tensors["keypoints"] = floats(environment, inputs.keypoints, 6, 2)
        tensors["reference"] = floats(environment, inputs.reference, inputs.reference.size.toLong())
        tensors["budget"] = OnnxTensor.createTensor(environment, inputs.plan.budget.toFloat())
        tensors["clamp"] = OnnxTensor.createTensor(environment, inputs.plan.clamp.toFloat())
        tensors["seed"] = OnnxTensor.createTensor(environment, inputs.seed)
        tensors["steps"] = OnnxTensor.createTensor(environment, inputs.plan.steps.toLong())
        return use(tensors)
    } finally {
        tensors.values.forEach { it.close() }
    }
}

private fun takeSteps(
    artifacts: Artifacts,
    fixed: Map<String, OnnxTensor>,
    steps: Int,
    cancel: Cancel,
    done: (Int) -> Unit,
): ByteArray {
    val environment = OrtEnvironment.getEnvironment()
    var last: OrtSession.Result? = null
    floats(environment, FloatArray((3 * GRID * GRID).toInt()), 3, GRID, GRID).use { start ->
        try {
            for (iteration in 0 until steps) {
                cancel.check()
                val next = OnnxTensor.createTensor(environment, iteration.toLong()).use { number ->
                    val changing = mapOf(
                        "iteration" to number,
                        "perturbation" to (last?.let { tensor(it, "next_perturbation") } ?: start),
                        "momentum_buffer" to (last?.let { tensor(it, "next_momentum_buffer") } ?: start),
                    )
                    artifacts.cloakStep(iteration).run(fixed + changing, OUTPUTS, cancel)
                }
                last?.close()
                last = next
                done(iteration + 1)
            }
            return bytes(tensor(checkNotNull(last), "protected"))
        } finally {
            last?.close()
        }
    }
}

private val OUTPUTS = setOf("next_perturbation", "next_momentum_buffer", "protected")

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
