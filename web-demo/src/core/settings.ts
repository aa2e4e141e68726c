/** How strongly a photo is protected, and the attempts that follow from it. */

import { SettingError } from "./errors";
import type { Box } from "./faces";
import type { Manifest } from "./manifest";
import type { MetadataPolicy } from "./photo/metadata";

export interface Settings {
  /** How much of the change may be seen, by name. */
  strength: string;
  /** A number of steps, by name. */
  effort: string;
  /** Of the random start; the n-th face of a photo takes seed + n - 1. */
  seed: number;
  /** The numbers of the faces to protect, from 1, from left to right; all where it is missing. */
  faces?: readonly number[];
  /** Faces given by hand, in pixels of the upright photo. */
  boxes: readonly Box[];
  metadata: MetadataPolicy;
  /** What `enroll` returned of photos by which the people are known; none where it is missing. */
  gallery?: readonly Float32Array[];
}

export const DEFAULTS: Settings = { strength: "medium", effort: "normal", seed: 0, boxes: [], metadata: "strip" };

/** The numbers that a cloak runs with. */
export interface Plan {
  /** Mean cost of the change in the face's square, about 1 - SSIM. */
  budget: number;
  /** No pixel changes by more than this, in levels. */
  clamp: number;
  steps: number;
}

/**
 * Return the attempts of a cloak, in order. The first is the strength's first rung with the effort's steps. Those after
 * it are for a face that is still a match: the same rung, then the following ones, each with the most steps of any effort.
 *
 * @throws SettingError the artifacts know no strength or effort of this name.
 */
export function planCloak({ cloak }: Manifest, { strength, effort }: Pick<Settings, "strength" | "effort">): Plan[] {
  const rungs = named(cloak.strength, "strength", strength);
  const { steps } = named(cloak.effort, "effort", effort);
  const most = Math.max(steps, ...Object.values(cloak.effort).map((each) => each.steps));
  const attempts = [{ ...rungs[0]!, steps }, ...rungs.map((rung) => ({ ...rung, steps: most }))];
  return attempts
    .map(({ budget, clamp, steps: number }) => ({ budget, clamp, steps: number }))
    .filter((each, i, all) => all.findIndex((other) => JSON.stringify(other) === JSON.stringify(each)) === i);
}

function named<T>(choices: Record<string, T>, what: string, name: string): T {
  const choice = Object.hasOwn(choices, name) ? choices[name] : undefined;
  if (choice === undefined) throw new SettingError(`no ${what} ${name}; there are ${Object.keys(choices).join(", ")}`);
  return choice;
}

/**
 * Return the numbers of the faces to protect, ascending.
 *
 * @throws SettingError there is no face of such a number.
 */
export function chooseFaces(count: number, numbers: readonly number[] | undefined): number[] {
  if (!numbers) return Array.from({ length: count }, (_, i) => i + 1);
  const missing = numbers.find((number) => number < 1 || number > count);
  if (missing !== undefined) throw new SettingError(`there is no face ${missing}; the photo has ${count}, numbered from left to right`);
  return [...new Set(numbers)].sort((one, other) => one - other);
}
