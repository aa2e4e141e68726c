/**
 * Faces in a photo: which of them count, and the square around each.
 *
 * Boxes are x0, y0, x1, y1 in pixels of the upright photo; x grows to the right and y downwards. A box may leave the
 * image. Every client must cut the same square.
 */

import { SettingError } from "./errors";

export type Box = readonly [x0: number, y0: number, x1: number, y1: number];
export type Corner = readonly [x: number, y: number];

export interface Face {
  box: Box;
  /** The detector's confidence, 0 to 1. */
  score: number;
  /** f32 [6, 2], x and y in pixels: right eye, left eye, nose tip, mouth, right ear, left ear. */
  keypoints: Float32Array;
}

export interface Detection {
  /** From left to right, those of boxes given by hand among them. */
  faces: Face[];
  /** What may be a face but scores below the threshold, from left to right; none overlaps a face. */
  unsure: Face[];
  width: number;
  height: number;
}

/** Boxes with a greater overlap, intersection over union, show the same face. */
const SAME_FACE = 0.3;
/** A face of a few pixels still gets a square that the recognizer's resampling can work with. */
const MIN_SIDE = 16;

/**
 * Return a detection with more faces: boxes drawn by hand, each in place of what was found there, and some of those of
 * which the detector is unsure.
 */
export function withFaces({ faces, unsure, width, height }: Detection, boxes: readonly Box[], accepted: readonly Face[]): Detection {
  for (const box of boxes) checkBox(box, width, height);
  const certain = new Set([...faces, ...accepted]);
  return choose([...faces, ...unsure], boxes.map(faceByHand), (face) => certain.has(face), width, height);
}

/** Return which candidates are faces, and of which the detector is unsure. */
export function choose(candidates: Face[], byHand: Face[], isCertain: (face: Face) => boolean, width: number, height: number): Detection {
  const found = candidates.filter((each) => isCertain(each) && !isShownBy(each, byHand));
  const faces = [...byHand, ...found].sort(fromLeft);
  const unsure = candidates.filter((each) => !isCertain(each) && !isShownBy(each, faces)).sort(fromLeft);
  return { faces, unsure, width, height };
}

export function checkBox([x0, y0, x1, y1]: Box, width: number, height: number): void {
  const numbers = [x0, y0, x1, y1].map((edge) => Number(edge.toPrecision(6))).join(",");
  if (!(Number.isFinite(x0 + y0 + x1 + y1) && x1 > x0 && y1 > y0)) {
    throw new SettingError(`the box ${numbers} has no size; it is left, top, right, bottom in pixels`);
  }
  if (!(Math.min(x1, width) > Math.max(x0, 0) && Math.min(y1, height) > Math.max(y0, 0))) {
    throw new SettingError(`the box ${numbers} is not in the photo of ${width}x${height}`);
  }
}

/** Return the face in a box that a person drew: certain, and upright, as keypoints in one place say. */
export function faceByHand(box: Box): Face {
  const [x, y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
  return { box, score: 1, keypoints: Float32Array.from({ length: 12 }, (_, i) => (i % 2 ? y : x)) };
}

function fromLeft(one: Face, other: Face): number {
  for (let i = 0; i < 4; i++) {
    if (one.box[i] !== other.box[i]) return one.box[i]! - other.box[i]!;
  }
  return 0;
}

/** Tell whether one of the others is the same face. */
export function isShownBy(face: Face, others: readonly Face[]): boolean {
  return others.some((other) => sharedPart(face.box, other.box) > SAME_FACE);
}

/** Return the intersection over union of two boxes, 0 to 1. */
export function sharedPart(one: Box, two: Box): number {
  const width = Math.min(one[2], two[2]) - Math.max(one[0], two[0]);
  const height = Math.min(one[3], two[3]) - Math.max(one[1], two[1]);
  if (width <= 0 || height <= 0) return 0;
  const area = ([x0, y0, x1, y1]: Box) => (x1 - x0) * (y1 - y0);
  return (width * height) / (area(one) + area(two) - width * height);
}

/**
 * Return the upper left corner and the side of the square around a box: with its centre, and a side of (1 + 2 margin)
 * times its longer edge, rounded half up, and at least 16 pixels.
 */
export function squareAround([x0, y0, x1, y1]: Box, margin: number): { corner: Corner; side: number } {
  const side = Math.max(MIN_SIDE, roundHalfUp((1 + 2 * margin) * Math.max(x1 - x0, y1 - y0)));
  return { corner: [roundHalfUp((x0 + x1 - side) / 2), roundHalfUp((y0 + y1 - side) / 2)], side };
}

/** A rectangle of whole pixels; `right` and `bottom` are the first beyond it. */
export interface Rect {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Return the part of a square that lies in an image of this size, in pixels of the image; empty where there is none. */
export function overlap(width: number, height: number, side: number, [x, y]: Corner): Rect {
  const rect = { left: Math.max(x, 0), top: Math.max(y, 0), right: Math.min(x + side, width), bottom: Math.min(y + side, height) };
  return rect.top >= rect.bottom || rect.left >= rect.right ? { left: 0, top: 0, right: 0, bottom: 0 } : rect;
}

function roundHalfUp(value: number): number {
  return Math.floor(value + 0.5);
}
