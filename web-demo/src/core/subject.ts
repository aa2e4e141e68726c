/** A face to protect: its square in the photo, and what the recognizers say of it. */

import { type Corner, type Face, overlap, squareAround } from "./faces";
import { type Graphs, floatsOf, tensor } from "./graphs";
import type { Photo } from "./photo/photo";

export interface Part {
  /** Of the face in the photo, from 1. */
  number: number;
  face: Face;
  corner: Corner;
  side: number;
  /** The pixels before any change, u8 [side, side, 3]. */
  original: Uint8Array;
  /** The detector's keypoints, f32 [6, 2], in pixels of the square. */
  keypoints: Float32Array;
}

export function cutPart(photo: Photo, number: number, face: Face, margin: number): Part {
  const { corner, side } = squareAround(face.box, margin);
  const keypoints = face.keypoints.map((value, i) => value - corner[i % 2]!);
  return { number, face, corner, side, original: photo.cut(corner, side), keypoints };
}

/**
 * Hold a square, u8 [side, side, 3], within so many levels of the original, in place, and black outside the photo. Where
 * squares overlap their changes add up.
 */
export function limit(square: Uint8Array, part: Part, bound: number, width: number, height: number): Uint8Array {
  const most = Math.floor(bound);
  const { side, corner, original } = part;
  const { left, top, right, bottom } = overlap(width, height, side, corner);
  for (let y = 0, at = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const inside = x + corner[0] >= left && x + corner[0] < right && y + corner[1] >= top && y + corner[1] < bottom;
      for (let c = 0; c < 3; c++, at++) {
        const before = original[at]!;
        square[at] = inside ? Math.min(Math.max(square[at]!, before - most), before + most) : 0;
      }
    }
  }
  return square;
}

/** What the recognizer says of one face. */
export interface Recognition {
  /** Unit norm; the dot product of two is their similarity. */
  embedding: Float32Array;
  probabilities: Float32Array;
  name: string;
  probability: number;
}

export async function recognize(graphs: Graphs, square: Uint8Array, side: number): Promise<Recognition> {
  const outputs = await graphs.run(graphs.name("recognizer"), { face: tensor.pixels(square, side) });
  const [embedding, probabilities] = [floatsOf(outputs, "embedding"), floatsOf(outputs, "probabilities")];
  const best = probabilities.indexOf(Math.max(...probabilities));
  return { embedding, probabilities, name: graphs.manifest.recognizer.classes[best] ?? "", probability: probabilities[best] ?? 0 };
}

/** Return what the recognizers of the cloak see in a face, one behind the other in their turn, f32 [D]. */
export async function reference(graphs: Graphs, square: Uint8Array, part: Pick<Part, "side" | "keypoints">): Promise<Float32Array> {
  const feeds = { face: tensor.pixels(square, part.side), keypoints: tensor.floats(part.keypoints, [6, 2]) };
  return floatsOf(await graphs.run(graphs.name("cloak-reference"), feeds), "reference");
}

/** How similar a face is to itself before, for one recognizer, and from where on that counts as one person. */
export interface Comparison {
  recognizer: string;
  similarity: number;
  threshold: number;
}

export interface View {
  /** What the recognizers see in the face, one behind the other, f32 [D]. */
  reference: Float32Array;
  /** Of the gallery's faces of the same person what the recognizers see in them, f32 [D] each. */
  known?: readonly Float32Array[];
}

export async function view(graphs: Graphs, square: Uint8Array, part: Part): Promise<View> {
  return { reference: await reference(graphs, square, part) };
}

/** Return our recognizer's part of what all of them see in a face, f32 [D]. */
export function ownPart({ manifest }: Graphs, reference: Float32Array): Float32Array {
  return reference.subarray(reference.length - manifest.surrogates.at(-1)!.embedding); // ours is the last
}

/**
 * Compare a face with itself before, or with one of the gallery's faces if that is more similar: by the recognizer, which
 * comes first, and by each surrogate.
 */
export function compare(graphs: Graphs, before: View, after: View): Comparison[] {
  const { manifest } = graphs;
  const { far } = manifest.match;
  const all = [before.reference, ...(before.known ?? [])];
  let at = 0;
  const comparisons = manifest.surrogates.map(({ name, embedding, thresholds }): Comparison => {
    const part = (reference: Float32Array) => reference.subarray(at, at + embedding);
    const most = Math.max(...all.map((each) => similarity(part(each), part(after.reference))));
    at += embedding;
    return { recognizer: name, similarity: most, threshold: thresholds[far]! };
  });
  return comparisons.reverse(); // ours is the last
}

/** How far the most certain recognizer is above its threshold; below 0 the face is no match for any. */
export function excess(comparisons: readonly Comparison[]): number {
  return Math.max(...comparisons.map(({ similarity, threshold }) => similarity - threshold));
}

export function isMatch(comparisons: readonly Comparison[]): boolean {
  return comparisons.some(({ similarity, threshold }) => similarity >= threshold);
}

/** Of embeddings of unit norm, -1 to 1. */
export function similarity(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += one[i]! * other[i]!;
  return sum;
}

/** Return the largest change of a channel in levels, and the PSNR in dB, in the part of a square that is in the photo. */
export function difference(part: Part, saved: Uint8Array, width: number, height: number): { change: number; psnr: number } {
  const { side, corner, original } = part;
  const { left, top, right, bottom } = overlap(width, height, side, corner);
  let change = 0;
  let squares = 0;
  for (let y = top; y < bottom; y++) {
    const row = ((y - corner[1]) * side - corner[0]) * 3;
    for (let i = row + left * 3; i < row + right * 3; i++) {
      const by = Math.abs(saved[i]! - original[i]!);
      if (by > change) change = by;
      squares += by * by;
    }
  }
  const count = (right - left) * (bottom - top) * 3;
  return { change, psnr: 10 * Math.log10((255 ** 2 * count) / squares) };
}
