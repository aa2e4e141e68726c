/** A cloak step by step, each by the next recognizer in turn, so that it can be followed and stopped. */

import { type Graphs, floatsOf, pixelsOf, tensor } from "./graphs";
import { release } from "./photo/bytes";
import type { Plan } from "./settings";

/** The grid of the steps is 112 x 112, whatever the size of the face. */
const STATE = [3, 112, 112];

export interface CloakInput {
  /** u8 [side, side, 3], as it is in the photo now. */
  square: Uint8Array;
  side: number;
  /** f32 [6, 2], in pixels of the square. */
  keypoints: Float32Array;
  /** f32 [D], what `cloak-reference` gave of the face before any change. */
  reference: Float32Array;
  seed: number;
  plan: Plan;
}

/** Called after each step with what the face looks like so far; it may wait, and throws to stop. */
export type OnStep = (done: number, of: number, soFar: Uint8Array) => Promise<void> | void;

/** How many steps are taken: a round of the recognizers is finished. */
export function stepsOf(graphs: Graphs, steps: number): number {
  return Math.ceil(steps / graphs.turns) * graphs.turns;
}

/** Return the protected square, u8 [side, side, 3]. */
export async function runCloak(graphs: Graphs, { square, side, keypoints, reference, seed, plan }: CloakInput, onStep?: OnStep): Promise<Uint8Array> {
  const fixed = {
    face: tensor.pixels(square, side),
    keypoints: tensor.floats(keypoints, [6, 2]),
    reference: tensor.floats(reference, [reference.length]),
    budget: tensor.float(plan.budget),
    clamp: tensor.float(plan.clamp),
    seed: tensor.integer(seed),
    steps: tensor.integer(plan.steps),
  };
  const nothing = tensor.floats(new Float32Array(STATE.reduce((one, other) => one * other)), STATE);
  let [perturbation, momentum, result] = [nothing, nothing, square];
  const total = stepsOf(graphs, plan.steps);
  for (let i = 0; i < total; i++) {
    const feeds = { ...fixed, perturbation, momentum_buffer: momentum, iteration: tensor.integer(i) };
    const outputs = await graphs.run(graphs.name("attack-feature-step", i % graphs.turns), feeds);
    perturbation = tensor.floats(floatsOf(outputs, "next_perturbation"), STATE);
    momentum = tensor.floats(floatsOf(outputs, "next_momentum_buffer"), STATE);
    if (result !== square) release(result); // at once: of a large face these are many megabytes a step
    result = pixelsOf(outputs, "protected");
    await onStep?.(i + 1, total, result);
  }
  return result;
}
