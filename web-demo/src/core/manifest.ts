/** `manifest.json` of an export: what lies in the folder, and the numbers that every client reads from it. */

import { ArtifactsError } from "./errors";

export const FORMAT = 8;

export interface Rung {
  budget: number;
  clamp: number;
}

/** False accept rate, as text, to the similarity from which two faces count as one person. */
export type Thresholds = Record<string, number>;

export interface GraphEntry {
  file: string;
  kind: string;
  /** Of the step graphs of a cloak: which recognizer it asks. */
  turn?: number;
}

export interface Surrogate {
  name: string;
  /** Length of its part of `reference`. */
  embedding: number;
  thresholds: Thresholds;
}

export interface LabelDefaults {
  epsilon: number;
  strength: Record<string, number>;
  effort: Record<string, { steps: number; step_size: number }>;
  momentum: number;
  diversity: number;
}

export interface Manifest {
  format: number;
  version: string;
  files: Record<string, { sha256: string; bytes: number }>;
  graphs: Record<string, GraphEntry>;
  recognizer: {
    embedding: number;
    classes: string[];
    thresholds: Thresholds;
    crop_margin: number;
    training_data: string;
  };
  surrogates: Surrogate[];
  match: { far: string; margin: number };
  detector: { score: number; unsure: number };
  /** `turns`: the numbers of the surrogates that the steps of a round ask, in order. */
  cloak: { turns: number[]; strength: Record<string, Rung[]>; effort: Record<string, { steps: number }> };
  label: LabelDefaults;
  licences: { what: string; licence: string; source: string; sha256: string }[];
  checkpoint_sha256: string;
}

/** What each key has to be: a type, or the same of what lies below it; `each` stands for every value of a record. */
type Shape = "number" | "string" | "array" | { [key: string]: Shape } | { each: Shape };

const SHAPE: Shape = {
  format: "number",
  version: "string",
  files: { each: { sha256: "string", bytes: "number" } },
  graphs: { each: { file: "string", kind: "string" } },
  recognizer: {
    embedding: "number",
    classes: "array",
    thresholds: { each: "number" },
    crop_margin: "number",
    training_data: "string",
  },
  surrogates: { each: { name: "string", embedding: "number", thresholds: { each: "number" } } },
  match: { far: "string", margin: "number" },
  detector: { score: "number", unsure: "number" },
  cloak: { turns: { each: "number" }, strength: { each: { each: { budget: "number", clamp: "number" } } }, effort: { each: { steps: "number" } } },
  label: {
    epsilon: "number",
    strength: { each: "number" },
    effort: { each: { steps: "number", step_size: "number" } },
    momentum: "number",
    diversity: "number",
  },
  licences: { each: { what: "string", licence: "string" } },
  checkpoint_sha256: "string",
};

/**
 * Read the text of a manifest.
 *
 * @throws ArtifactsError it is no manifest, one of another format, or misses a key, which is named.
 */
export function readManifest(text: string): Manifest {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new ArtifactsError("manifest.json: not JSON; export the artifacts again");
  }
  const format = (raw as { format?: unknown } | null)?.format;
  if (format !== FORMAT) {
    throw new ArtifactsError(`manifest.json: format ${String(format)}, this page reads ${FORMAT}; export the artifacts again`);
  }
  check(raw, SHAPE, "");
  const manifest = raw as Manifest;
  if (manifest.surrogates.length === 0) throw new ArtifactsError("manifest.json: surrogates is empty; export the artifacts again");
  if (manifest.cloak.turns.length === 0) throw new ArtifactsError("manifest.json: cloak.turns is empty; export the artifacts again");
  for (const [name, thresholds] of thresholdsOf(manifest)) {
    if (thresholds[manifest.match.far] === undefined) {
      throw new ArtifactsError(`manifest.json: ${name}.thresholds."${manifest.match.far}" is missing; export the artifacts again`);
    }
  }
  return manifest;
}

function thresholdsOf(manifest: Manifest): [string, Thresholds][] {
  return [["recognizer", manifest.recognizer.thresholds], ...manifest.surrogates.map((each): [string, Thresholds] => [each.name, each.thresholds])];
}

function check(value: unknown, shape: Shape, where: string): void {
  const flaw = (what: string) => new ArtifactsError(`manifest.json: ${where.slice(1)} ${what}; export the artifacts again`);
  if (value === undefined) throw flaw("is missing");
  if (typeof shape === "string") {
    const fits = shape === "array" ? Array.isArray(value) : typeof value === shape;
    if (!fits) throw flaw(`is no ${shape}`);
    return;
  }
  if (typeof value !== "object" || value === null) throw flaw("is no object");
  const record = value as Record<string, unknown>;
  const each = "each" in shape ? (shape.each as Shape) : undefined;
  if (each !== undefined) {
    for (const [key, part] of Object.entries(record)) check(part, each, `${where}.${key}`);
    return;
  }
  for (const [key, part] of Object.entries(shape as Record<string, Shape>)) check(record[key], part, `${where}.${key}`);
}
