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
 * Cloak a face by the graphs of one step, which the surrogates take in turn.
 *
 * @param pixels the square as it is in the photo now, uint8 [S, S, 3].
 * @param keypoints [6, 2], in pixels of the square.
 * @param reference what to move away from, one part a surrogate.
 * @param seed of the random start.
 * @param done is told after each step how many are done.
 * @return the protected square, uint8 [S, S, 3].
 * @throws Cancelled it was stopped.
 */
internal fun cloak(
    artifacts: Artifacts,
    pixels: ByteArray,
    keypoints: FloatArray,
    reference: FloatArray,
    seed: Long,
    plan: Plan,
    cancel: Cancel,
    done: (Int) -> Unit,
): ByteArray {
    val environment = OrtEnvironment.getEnvironment()
    val open = ArrayList<AutoCloseable>()
    fun <T : AutoCloseable> keep(tensor: T): T = tensor.also { open.add(it) }
    var last: OrtSession.Result? = null
    try {
        val inputs = HashMap<String, OnnxTensor>()
        inputs["face"] = keep(faceTensor(environment, pixels))
        inputs["keypoints"] = keep(floats(environment, keypoints, 6, 2))
        inputs["reference"] = keep(floats(environment, reference, reference.size.toLong()))
        inputs["budget"] = keep(OnnxTensor.createTensor(environment, plan.budget.toFloat()))
        inputs["clamp"] = keep(OnnxTensor.createTensor(environment, plan.clamp.toFloat()))
        inputs["seed"] = keep(OnnxTensor.createTensor(environment, seed))
        // Several surrogates finish their round, as the loop does.
        val turns = artifacts.manifest.surrogates.size
        val steps = (plan.steps + turns - 1) / turns * turns
        inputs["steps"] = keep(OnnxTensor.createTensor(environment, steps.toLong()))
        val start = keep(floats(environment, FloatArray((3 * GRID * GRID).toInt()), 3, GRID, GRID))
        inputs["perturbation"] = start
        inputs["momentum_buffer"] = start
        for (iteration in 0 until steps) {
            cancel.check()
            val number = OnnxTensor.createTensor(environment, iteration.toLong())
            val next = number.use { artifacts.cloakStep(iteration).run(inputs + ("iteration" to it), OUTPUTS, cancel) }
            last?.close()
            last = next
            inputs["perturbation"] = tensor(next, "next_perturbation")
            inputs["momentum_buffer"] = tensor(next, "next_momentum_buffer")
            done(iteration + 1)
        }
        return bytes(tensor(checkNotNull(last), "protected"))
    } finally {
        last?.close()
        open.forEach { it.close() }
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
