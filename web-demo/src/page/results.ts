/** What became of each face, in words first, then in numbers. */

import type { FaceResult } from "../core/protector";
import { mostCertain, suggestStronger } from "../core/report";
import type { Protected } from "../worker/protocol";
import { element, style } from "./dom";

export function resultsView(result: Protected, strength: string): HTMLElement {
  const faces = element("ol", { className: "results" }, ...result.faces.map((face) => faceView(face, strength)));
  const notes = element("ul", { className: "notes" }, ...result.notes.map((note) => element("li", {}, capitalized(note))));
  return element("div", {}, faces, notes);
}

/** The one line that says how a photo fared. */
export function summary({ faces }: Protected): string {
  const matches = faces.filter((face) => face.matched).length;
  if (matches === 0) return faces.length === 1 ? "The face no longer matches." : `None of the ${faces.length} faces matches any more.`;
  return faces.length === 1 ? "The face is STILL A MATCH." : `${matches} of ${faces.length} faces ${matches === 1 ? "is" : "are"} STILL A MATCH.`;
}

function faceView(face: FaceResult, strength: string): HTMLElement {
  const { similarity, threshold } = mostCertain(face);
  const stronger = suggestStronger(strength);
  const verdict = face.matched ? `STILL A MATCH${stronger && `, try the strength ${stronger}`}` : "no longer matches";
  const limits = `${face.plan.budget} budget, ${face.plan.steps} steps`;
  return element(
    "li",
    { className: face.matched ? "matched" : "safe" },
    element("p", { className: "verdict" }, element("strong", {}, `Face ${face.number}: `), verdict),
    meter(similarity, threshold),
    element("p", { className: "numbers" }, `similarity 1.00 before, ${similarity.toFixed(2)} after; ${threshold.toFixed(2)} and more count as the same person`),
    face.gallery > 0 && element("p", { className: "numbers" }, `moved away from ${face.gallery} more ${face.gallery === 1 ? "photo" : "photos"} of the person, too`),
    element("p", { className: "numbers" }, `largest change ${face.change} of 255 levels, ${psnr(face.psnr)}; ${limits}, ${face.seconds.toFixed(1)} s`),
  );
}

function psnr(value: number): string {
  return Number.isFinite(value) ? `${value.toFixed(1)} dB` : "no difference";
}

/** A bar from 0 to 1 with the similarity before and after and the threshold. */
export function meter(similarity: number, threshold: number): HTMLElement {
  const bar = element("div", { className: "meter", attributes: { "aria-hidden": "true" } });
  const percent = (value: number) => `${100 * Math.min(Math.max(value, 0), 1)}%`;
  style(bar, { "--after": percent(similarity), "--threshold": percent(threshold) });
  bar.append(element("i", { className: "after" }), element("i", { className: "threshold" }), element("i", { className: "before" }));
  return bar;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
