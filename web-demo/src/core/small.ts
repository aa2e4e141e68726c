/** Faces too small for one look at a large photo: the detector looks at one part of it after the other. */

import { type Box, type Face, isShownBy } from "./faces";

/** The parts are squares of this side in pixels, and have so many in common: larger faces are found without them. */
const [TILE, LARGE] = [896, 128];

/** Called before each part is looked at; it may wait, and throws to stop. */
export type OnPart = (part: number, parts: number) => Promise<void> | void;

/** Tell whether a closer look at a photo of this size shows more than the first. */
export function hasParts(width: number, height: number): boolean {
  return Math.max(width, height) > TILE;
}

/**
 * Return the faces of at most 128 pixels, the highest score first, each once.
 *
 * @param detect finds faces in an image, u8 [height, width, 3].
 * @param pixels of the photo, as `detect` takes them.
 */
export async function findSmall(
  detect: (pixels: Uint8Array, width: number, height: number) => Promise<Face[]>,
  pixels: Uint8Array,
  width: number,
  height: number,
  onPart: OnPart,
): Promise<Face[]> {
  const [w, h] = [Math.min(width, TILE), Math.min(height, TILE)];
  const corners = tiles(height).flatMap((top) => tiles(width).map((left) => [left, top] as const));
  const part = new Uint8Array(w * h * 3);
  const found: Face[] = [];
  for (const [i, [left, top]] of corners.entries()) {
    await onPart(i + 1, corners.length);
    for (let y = 0; y < h; y++) {
      const from = ((top + y) * width + left) * 3;
      part.set(pixels.subarray(from, from + w * 3), y * w * 3);
    }
    for (const { box, score, keypoints } of await detect(part, w, h)) {
      const moved: Box = [box[0] + left, box[1] + top, box[2] + left, box[3] + top];
      const isSmall = Math.max(moved[2] - moved[0], moved[3] - moved[1]) <= LARGE;
      if (isSmall && isWhole(moved, left, top, w, h, width, height)) found.push({ box: moved, score, keypoints: keypoints.map((value, k) => value + (k % 2 ? top : left)) });
    }
  }
  const faces: Face[] = [];
  for (const face of found.sort((one, other) => other.score - one.score)) if (!isShownBy(face, faces)) faces.push(face);
  return faces;
}

/** Return where the parts of a line of pixels begin. */
export function tiles(length: number): number[] {
  const count = Math.max(1, Math.ceil((length - LARGE) / (TILE - LARGE)));
  return Array.from({ length: count }, (_, i) => (length > TILE ? roundHalfEven((i * (length - TILE)) / Math.max(count - 1, 1)) : 0));
}

/** Tell whether a box is not cut by a border that a part has in the middle of the photo. */
function isWhole([x0, y0, x1, y1]: Box, left: number, top: number, w: number, h: number, width: number, height: number): boolean {
  const begins = (left === 0 || x0 > left) && (top === 0 || y0 > top);
  return begins && (left + w === width || x1 < left + w) && (top + h === height || y1 < top + h);
}

/** As Python rounds. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}
