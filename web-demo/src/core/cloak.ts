/** A cloak step by step, each by one of the recognizers, so that it can be followed and stopped. */

import { type Graphs, floatsOf, pixelsOf, tensor } from "./graphs";
import type { Plan } from "./settings";

/** The grid of the steps is 112 x 112, whatever the size of the face. */
const GRID = [3, 112, 112];

export interface CloakInput {
  /** u8 [side, side, 3], as it is in the photo now. */
  square: Uint8Array;
  side: number;
  /** f32 [3, 112, 112], what `onGrid` makes of the square. */
  pixels: Float32Array;
  /** f32 [6, 2], in pixels of the square. */
  keypoints: Float32Array;
  /** f32 [D], what `cloak-reference` gave of the face before any change. */
  reference: Float32Array;
  seed: number;
  plan: Plan;
}

/** Called after each step; it may wait, and throws to stop. */
export type OnStep = (done: number, of: number) => Promise<void> | void;

/** How many steps are taken: a round of the recognizers is finished. */
export function stepsOf(graphs: Graphs, steps: number): number {
  const round = graphs.manifest.cloak.turns.length;
  return Math.ceil(steps / round) * round;
}

/** Return a square on the grid of the steps, f32 [3, 112, 112]: the same for every attempt. */
export async function onGrid(graphs: Graphs, square: Uint8Array, side: number): Promise<Float32Array> {
  return floatsOf(await graphs.run(graphs.name("attack-feature-begin"), { face: tensor.pixels(square, side) }), "pixels");
}

/** Return the protected square, u8 [side, side, 3], after `count` of the plan's steps, which are all by default. */
export async function runCloak(graphs: Graphs, input: CloakInput, onStep?: OnStep, count = stepsOf(graphs, input.plan.steps)): Promise<Uint8Array> {
  const { square, side, pixels, keypoints, reference, seed, plan } = input;
  const clamp = tensor.float(plan.clamp);
  const fixed = {
    pixels: tensor.floats(pixels, GRID),
    side: tensor.integer(side),
    keypoints: tensor.floats(keypoints, [6, 2]),
    reference: tensor.floats(reference, [reference.length]),
    budget: tensor.float(plan.budget),
    clamp,
    seed: tensor.integer(seed),
    steps: tensor.integer(plan.steps),
  };
  const nothing = tensor.floats(new Float32Array(pixels.length), GRID);
  let [perturbation, momentum] = [nothing, nothing];
  for (let i = 0; i < count; i++) {
    const feeds = { ...fixed, perturbation, momentum_buffer: momentum, iteration: tensor.integer(i) };
    const outputs = await graphs.run(graphs.step(i), feeds);
    perturbation = tensor.floats(floatsOf(outputs, "next_perturbation"), GRID);
    momentum = tensor.floats(floatsOf(outputs, "next_momentum_buffer"), GRID);
    await onStep?.(i + 1, count);
  }
  const feeds = { face: tensor.pixels(square, side), perturbation, clamp };
  return pixelsOf(await graphs.run(graphs.name("attack-feature-end"), feeds), "protected");
}
