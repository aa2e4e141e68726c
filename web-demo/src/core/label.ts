/**
 * The attack on a label: a face moves towards the identity of a class, or away from the one that our recognizer sees in
 * it, by plain steps of one size, of which none leads further than epsilon from the pixels before.
 */

import { SettingError } from "./errors";
import { type Graphs, floatsOf, pixelsOf, tensor } from "./graphs";
import type { Manifest } from "./manifest";
import { release } from "./photo/bytes";
import type { OnStep } from "./cloak";

/** Larger squares are shrunk to this grid for the steps. */
const MAX_GRID = 336;

export interface LabelPlan {
  /** The class to move towards; missing where the face moves away from the one that is seen in it. */
  label?: number;
  /** No pixel changes by more than this, in levels, from 1 to 255. */
  epsilon: number;
  /** How far one step goes, in levels, above 0. */
  stepSize: number;
  /** From 1 to 1000. */
  steps: number;
}

/** @throws SettingError a number is out of range, or there is no such class. */
export function checkPlan({ recognizer }: Manifest, { label, epsilon, stepSize, steps }: LabelPlan): void {
  if (!(epsilon >= 1 && epsilon <= 255)) throw new SettingError(`epsilon is ${epsilon}; it is in pixel levels, from 1 to 255`);
  if (!(Number.isFinite(stepSize) && stepSize > 0)) throw new SettingError(`step size is ${stepSize}; it is in pixel levels and above 0`);
  if (!(Number.isInteger(steps) && steps >= 1 && steps <= 1000)) throw new SettingError(`steps is ${steps}; it is from 1 to 1000`);
  if (label !== undefined && recognizer.classes[label] === undefined) throw new SettingError(`no label ${label} among ${recognizer.classes.length}`);
}

/**
 * Return the square after all steps, u8 [side, side, 3].
 *
 * @param square u8 [side, side, 3].
 * @param seen the class that our recognizer sees in it, from which it moves away where the plan names none.
 * @param seed of the random start.
 */
export async function runLabel(graphs: Graphs, square: Uint8Array, side: number, seen: number, plan: LabelPlan, seed: number, onStep?: OnStep): Promise<Uint8Array> {
  checkPlan(graphs.manifest, plan);
  const { momentum, diversity } = graphs.manifest.label;
  const fixed = {
    face: tensor.pixels(square, side),
    label: tensor.integer(plan.label ?? seen),
    direction: tensor.float(plan.label === undefined ? -1 : 1),
    epsilon: tensor.float(plan.epsilon),
    step_size: tensor.float(plan.stepSize),
    momentum: tensor.float(momentum),
    diversity: tensor.float(diversity),
    seed: tensor.integer(seed),
  };
  const grid = Math.min(side, MAX_GRID);
  const dims = [3, grid, grid];
  let perturbation = tensor.floats(new Float32Array(3 * grid * grid), dims);
  let [buffer, result] = [perturbation, square];
  for (let i = 0; i < plan.steps; i++) {
    const outputs = await graphs.run(graphs.name("attack-label-step"), { ...fixed, perturbation, momentum_buffer: buffer, iteration: tensor.integer(i) });
    perturbation = tensor.floats(floatsOf(outputs, "next_perturbation"), dims);
    buffer = tensor.floats(floatsOf(outputs, "next_momentum_buffer"), dims);
    if (result !== square) release(result);
    result = pixelsOf(outputs, "protected");
    await onStep?.(i + 1, plan.steps);
  }
  return result;
}
