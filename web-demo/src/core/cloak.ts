/** A cloak step by step, each by one of the recognizers, so that it can be followed and stopped. */

import { type Feeds, type Graphs, floatsOf, pixelsOf, tensor } from "./graphs";
import type { Plan } from "./settings";

/** The grid of the steps is 112 x 112, whatever the size of the face. */
const GRID = [3, 112, 112];

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

/** Called after each step; it may wait, and throws to stop. */
export type OnStep = (done: number, of: number) => Promise<void> | void;

/** What goes from step to step, f32 [3, 112, 112] each. */
export interface State {
  perturbation: Feeds[string];
  momentum: Feeds[string];
}

/** Return what all steps take, and the state that the first of them takes. */
export async function begin(graphs: Graphs, { square, side, keypoints, reference, seed, plan }: CloakInput): Promise<{ inputs: Feeds; state: State }> {
  const [points, clamp] = [tensor.floats(keypoints, [6, 2]), tensor.float(plan.clamp)];
  const face = { face: tensor.pixels(square, side), keypoints: points, clamp, seed: tensor.integer(seed) };
  const { perturbation, momentum_buffer: momentum, ...fixed } = await graphs.run(graphs.name("attack-feature-begin"), face);
  const away = { reference: tensor.floats(reference, [reference.length]), budget: tensor.float(plan.budget) };
  return { inputs: { ...fixed, ...away, clamp, steps: tensor.integer(plan.steps) }, state: { perturbation: perturbation!, momentum: momentum! } };
}

/** Take step number `iteration`, from 0. */
export async function takeStep(graphs: Graphs, inputs: Feeds, state: State, iteration: number): Promise<State> {
  const feeds = { ...inputs, perturbation: state.perturbation, momentum_buffer: state.momentum, iteration: tensor.integer(iteration) };
  const outputs = await graphs.run(graphs.step(iteration), feeds);
  const [perturbation, momentum] = ["next_perturbation", "next_momentum_buffer"].map((name) => tensor.floats(floatsOf(outputs, name), GRID));
  return { perturbation: perturbation!, momentum: momentum! };
}

/** Return a square, u8 [side, side, 3], with what the steps found. */
export async function withChange(graphs: Graphs, square: Uint8Array, side: number, inputs: Feeds, state: State): Promise<Uint8Array> {
  const feeds = { face: tensor.pixels(square, side), perturbation: state.perturbation, clamp: inputs.clamp! };
  return pixelsOf(await graphs.run(graphs.name("attack-feature-end"), feeds), "protected");
}

/** Return the protected square, u8 [side, side, 3], after `count` of the plan's steps, which are all by default. */
export async function runCloak(graphs: Graphs, input: CloakInput, onStep?: OnStep, count = input.plan.steps): Promise<Uint8Array> {
  const started = await begin(graphs, input);
  const { inputs } = started;
  let { state } = started;
  for (let i = 0; i < count; i++) {
    state = await takeStep(graphs, inputs, state, i);
    await onStep?.(i + 1, count);
  }
  return withChange(graphs, input.square, input.side, inputs, state);
}
