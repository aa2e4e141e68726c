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
 * What a cloak runs with.
 *
 * @param pixels the square as it is in the photo now, uint8 [S, S, 3].
 * @param grid what [onGrid] makes of it.
 * @param keypoints [6, 2], in pixels of the square.
 * @param reference what to move away from, one part a surrogate.
 * @param seed of the random start.
 */
internal class CloakInputs(
    val pixels: ByteArray,
    val grid: FloatArray,
    val keypoints: FloatArray,
    val reference: FloatArray,
    val seed: Long,
    val plan: Plan,
)

/** A square on the grid of the steps, float32 [3, 112, 112]: the same for every attempt. */
internal fun onGrid(artifacts: Artifacts, pixels: ByteArray, cancel: Cancel): FloatArray =
    faceTensor(OrtEnvironment.getEnvironment(), pixels).use { face ->
        artifacts.cloakBegin.run(mapOf("face" to face), setOf("pixels"), cancel).use { floats(tensor(it, "pixels")) }
    }

/**
 * Cloak a face.
 *
 * @param steps how many of the plan's steps are taken; by default all, and the surrogates finish their round.
 * @param done is told after each step how many are done.
 * @return the protected square, uint8 [S, S, 3].
 * @throws Cancelled it was stopped.
 */
internal fun cloak(
    artifacts: Artifacts,
    inputs: CloakInputs,
    cancel: Cancel,
    steps: Int = rounded(inputs.plan.steps, artifacts.manifest.turns.size),
    done: (Int) -> Unit = {},
): ByteArray {
    val environment = OrtEnvironment.getEnvironment()
    OnnxTensor.createTensor(environment, inputs.plan.clamp.toFloat()).use { clamp ->
        takeSteps(artifacts, inputs, clamp, steps, cancel, done).use { last ->
            faceTensor(environment, inputs.pixels).use { face ->
                val given = mapOf("face" to face, "perturbation" to tensor(last, "next_perturbation"), "clamp" to clamp)
                return artifacts.cloakEnd.run(given, setOf("protected"), cancel).use { bytes(tensor(it, "protected")) }
            }
        }
    }
}

private fun rounded(steps: Int, round: Int) = (steps + round - 1) / round * round

/** What the last step gives; the caller closes it. */
private fun takeSteps(
    artifacts: Artifacts,
    inputs: CloakInputs,
    clamp: OnnxTensor,
    steps: Int,
    cancel: Cancel,
    done: (Int) -> Unit,
): OrtSession.Result {
    val environment = OrtEnvironment.getEnvironment()
    val side = kotlin.math.sqrt(inputs.pixels.size / 3.0).toLong()
    val fixed = mapOf(
        "pixels" to floats(environment, inputs.grid, 3, GRID, GRID),
        "side" to OnnxTensor.createTensor(environment, side),
        "keypoints" to floats(environment, inputs.keypoints, 6, 2),
        "reference" to floats(environment, inputs.reference, inputs.reference.size.toLong()),
        "budget" to OnnxTensor.createTensor(environment, inputs.plan.budget.toFloat()),
        "seed" to OnnxTensor.createTensor(environment, inputs.seed),
        "steps" to OnnxTensor.createTensor(environment, inputs.plan.steps.toLong()),
    )
    val start = floats(environment, FloatArray(inputs.grid.size), 3, GRID, GRID)
    var last: OrtSession.Result? = null
    try {
        for (iteration in 0 until steps) {
            cancel.check()
            val next = OnnxTensor.createTensor(environment, iteration.toLong()).use { number ->
                val changing = mapOf(
                    "clamp" to clamp,
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
        return checkNotNull(last).also { last = null }
    } finally {
        last?.close()
        start.close()
        fixed.values.forEach { it.close() }
    }
}

private val OUTPUTS = setOf("next_perturbation", "next_momentum_buffer")

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
