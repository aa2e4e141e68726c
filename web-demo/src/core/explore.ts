/** One face looked at closely: what our recognizer answers about it, and after an attack on a label. */

import type { OnStep } from "./cloak";
import type { Face } from "./faces";
import type { Graphs } from "./graphs";
import { type LabelPlan, runLabel } from "./label";
import type { Codec } from "./photo/codec";
import { makeGrey } from "./photo/raster";
import { readPhoto } from "./photo/read";
import { cutPart, recognize, similarity } from "./subject";

/** How many names of an answer are told. */
const NAMES = 5;

export interface Named {
  name: string;
  /** 0 to 1. */
  probability: number;
}

/** A face's square, and what our recognizer answers about it. */
export interface Look {
  /** u8 [side, side, 3]. */
  square: Uint8Array;
  side: number;
  /** The photo it is from shows no colour, so that a change of it shows none either. */
  grey: boolean;
  /** The most probable names, the first ahead. */
  names: Named[];
  /** The class of the first name. */
  seen: number;
  /** Unit norm. */
  embedding: Float32Array;
}

export interface Attacked {
  look: Look;
  /** To the face before. */
  similarity: number;
  /** From this similarity on two faces count as one person. */
  threshold: number;
}

/** Cut a face out of a photo and ask the recognizer about it. */
export async function lookAt(graphs: Graphs, codec: Codec, data: Uint8Array, face: Face): Promise<Look> {
  const photo = await readPhoto(data, codec);
  try {
    const { original, side } = cutPart(photo, 1, face, graphs.manifest.recognizer.crop_margin);
    return await ask(graphs, original, side, photo.grey);
  } finally {
    photo.release();
  }
}

/** Move a face towards or away from a label, and ask the recognizer again. */
export async function attack(graphs: Graphs, before: Look, plan: LabelPlan, onStep?: OnStep): Promise<Attacked> {
  const { square, side, seen, grey } = before;
  const changed = await runLabel(graphs, square, side, seen, plan, 0, onStep);
  const look = await ask(graphs, grey ? makeGrey(changed) : changed, side, grey);
  const { recognizer, match } = graphs.manifest;
  return { look, similarity: similarity(before.embedding, look.embedding), threshold: recognizer.thresholds[match.far]! };
}

async function ask(graphs: Graphs, square: Uint8Array, side: number, grey: boolean): Promise<Look> {
  const { embedding, probabilities } = await recognize(graphs, square, side);
  const ranks = [...probabilities.keys()].sort((one, other) => probabilities[other]! - probabilities[one]!);
  const names = ranks.slice(0, NAMES).map((i) => ({ name: graphs.manifest.recognizer.classes[i] ?? "", probability: probabilities[i]! }));
  return { square, side, grey, names, seen: ranks[0]!, embedding: embedding.slice() };
}
