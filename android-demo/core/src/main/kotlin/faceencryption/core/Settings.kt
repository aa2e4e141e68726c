package faceencryption.core

import faceencryption.core.photo.MetadataPolicy

/** The names that the artifacts give to strengths and efforts, from the least on. */
val STRENGTHS = listOf("low", "medium", "high")
val EFFORTS = listOf("fast", "normal", "thorough")

private const val MAX_STEPS = 1000

/**
 * What the user chose.
 *
 * @param strength how much of the change may be seen, by name.
 * @param effort a number of steps by name; [steps] takes its place.
 * @param steps of every attempt, 1 to 1000.
 * @param seed of the random start; the n-th face of a photo takes seed + n - 1.
 * @param faces the numbers of the faces to protect, from 1; null for all.
 * @param boxes faces drawn by hand.
 * @param minScore from this score of the detector on something counts as a face; null for what the artifacts say.
 * @param smallFaces look for faces of less than a fiftieth of the photo's width too, which takes longer.
 * @param gallery what [Protector.enroll] returned of photos by which the people are known.
 * @param metadata what becomes of EXIF, XMP and comments.
 * @throws SettingError a number is out of range.
 */
class Settings(
    val strength: String = "medium",
    val effort: String = "normal",
    val steps: Int? = null,
    val seed: Long = 0,
    val faces: Set<Int>? = null,
    val boxes: List<Box> = emptyList(),
    val minScore: Double? = null,
    val smallFaces: Boolean = false,
    val gallery: List<FloatArray> = emptyList(),
    val metadata: MetadataPolicy = MetadataPolicy.STRIP,
) {
    init {
        if (steps != null && steps !in 1..MAX_STEPS) throw SettingError("steps is $steps; it is from 1 to $MAX_STEPS")
        if (seed !in 0..Int.MAX_VALUE) throw SettingError("seed is $seed; it is from 0 to ${Int.MAX_VALUE}")
        if (minScore != null && !(minScore > 0 && minScore <= 1)) {
            throw SettingError("min score is ${plain(minScore)}; it is above 0 and at most 1, such as 0.4")
        }
        for (box in boxes) {
            if (!(box.width > 0 && box.height > 0)) {
                val edges = listOf(box.left, box.top, box.right, box.bottom).joinToString(",") { plain(it) }
                throw SettingError("the box $edges has no size; it is left, top, right, bottom in pixels")
            }
        }
        if (faces != null && faces.any { it < 1 }) throw SettingError("faces are numbered from 1")
    }
}

/** The numbers that an attempt runs with. No pixel changes by more than [clamp], in levels. */
data class Plan(val budget: Double, val clamp: Double, val steps: Int)

/**
 * The attempts of a cloak, in order.
 *
 * The first is the strength's first rung with the effort's steps. Those after it are for a face that is still a match:
 * the same rung, then the following ones, each with the most steps of any effort. Steps given by hand are those of all.
 *
 * @throws SettingError the artifacts know no strength or effort of this name.
 */
fun plans(manifest: Manifest, settings: Settings): List<Plan> {
    val rungs = named(manifest.strengths, "strength", settings.strength)
    val effort = named(manifest.efforts, "effort", settings.effort)
    val steps = settings.steps ?: effort
    val most = settings.steps ?: manifest.efforts.values.fold(steps) { most, each -> maxOf(most, each) }
    val first = Plan(rungs[0].budget, rungs[0].clamp, steps)
    return (listOf(first) + rungs.map { Plan(it.budget, it.clamp, most) }).distinct()
}

private fun <T> named(choices: Map<String, T>, what: String, name: String): T =
    choices[name] ?: throw SettingError("no $what $name; there are ${choices.keys.joinToString(", ")}")
