/** Results in words. */

import type { Detection, Face } from "./faces";
import type { FaceResult } from "./protector";

/** Smaller faces, in pixels, and faces of which less than this part lies in the photo, are hard to protect. */
const SMALL = 24;
const CUT = 0.6;

/** The line that says what became of a face. */
export function resultLine(result: FaceResult): string {
  const { similarity, threshold } = mostCertain(result);
  const verdict = result.matched ? "STILL A MATCH" : "no longer matches";
  return `face ${result.number}: ${verdict} (similarity ${similarity.toFixed(2)}, threshold ${threshold.toFixed(2)})`;
}

/** The comparison of the recognizer that is the most certain that it is the same person. */
export function mostCertain({ comparisons }: Pick<FaceResult, "comparisons">): FaceResult["comparisons"][number] {
  return comparisons.reduce((one, other) => (other.similarity - other.threshold > one.similarity - one.threshold ? other : one));
}

/** What to try where a face is still a match; "" where there is nothing stronger. */
export function suggestStronger(strength: string): string {
  return strength === "high" ? "" : strength === "low" ? "medium" : "high";
}

/** What the user may want to know about the faces in a photo: where to look, and what to do, a line each. */
export function detectionNotes({ faces, unsure, width, height }: Detection): string[] {
  const notes = unsure.map((face) => {
    const [left, top] = face.box.map(Math.round);
    return `perhaps a face at ${left},${top} (score ${face.score.toFixed(2)}): if so, switch its box on`;
  });
  for (const [i, face] of faces.entries()) {
    const [x0, y0, x1, y1] = face.box;
    const size = Math.max(x1 - x0, y1 - y0);
    const flaw = size < SMALL ? `only ${size.toFixed(0)} pixels large` : partInside(face, width, height) < CUT ? "cut by the photo's border" : "";
    if (flaw) notes.push(`face ${i + 1} is ${flaw} and may stay recognizable: look at it, cover it, or leave it out`);
  }
  return notes;
}

function partInside({ box: [x0, y0, x1, y1] }: Face, width: number, height: number): number {
  const inside = Math.max(Math.min(x1, width) - Math.max(x0, 0), 0) * Math.max(Math.min(y1, height) - Math.max(y0, 0), 0);
  return inside / Math.max((x1 - x0) * (y1 - y0), 1e-9);
}

/** A name as it is said: classes are named as their folders are. */
export function spoken(name: string): string {
  return name.replaceAll("_", " ");
}
