/** A photo's bytes in, the protected photo's bytes and what was measured out. */

import { type OnStep, runCloak } from "./cloak";
import { findFaces } from "./detect";
import { NoFaceError } from "./errors";
import type { Box, Detection, Face } from "./faces";
import { matching, meanReference } from "./gallery";
import type { Graphs } from "./graphs";
import { type Bytes, release } from "./photo/bytes";
import type { Codec } from "./photo/codec";
import type { Format } from "./photo/parts";
import type { Photo } from "./photo/photo";
import { makeGrey } from "./photo/raster";
import { readPhoto, readSquares } from "./photo/read";
import { detectionNotes } from "./report";
import type { OnPart } from "./small";
import { type Plan, type Settings, chooseFaces, planCloak } from "./settings";
import { type Comparison, type Part, type View, compare, cutPart, difference, excess, isMatch, limit, view } from "./subject";

/** What was done to one face, measured on the bytes of the protected photo. */
export interface FaceResult {
  number: number;
  box: Box;
  score: number;
  /** Is the protected face still taken for the same person, by any recognizer? */
  matched: boolean;
  /** The recognizer's, then each surrogate's. */
  comparisons: Comparison[];
  plan: Plan;
  /** How many of the gallery's faces are of the same person. */
  gallery: number;
  /** Largest change of a channel, in levels; a lossy format adds its own. */
  change: number;
  /** Of the face's square, in dB; infinite when nothing changed. */
  psnr: number;
  seconds: number;
}

export interface ProtectedPhoto {
  data: Bytes;
  format: Format;
  faces: FaceResult[];
  /** What else the user may want to know, one line each. */
  notes: string[];
  /** Seconds by stage. */
  times: Record<Stage, number>;
}

export type Stage = "decode" | "detect" | "protect" | "encode" | "measure";

export interface Progress {
  stage: Stage;
  /** Of the face that is worked on, counted among those to protect. */
  face?: number;
  faces?: number;
  /** Of the attempt, and all attempts that there may be. */
  attempt?: number;
  step?: number;
  steps?: number;
}

/** Called as the work goes on; it may wait, and throws to stop. */
export type OnProgress = (progress: Progress) => Promise<void> | void;

export class Protector {
  constructor(
    readonly graphs: Graphs,
    private readonly codec: Codec,
  ) {}

  /** Fetch all that protecting a photo needs, and load what finds the faces in it. */
  async load(): Promise<void> {
    const { graphs } = this;
    const detector = graphs.name("detector");
    await graphs.fetch([detector, ...this.#others()]);
    await graphs.load(detector);
  }

  /** Load the rest, for which nobody has to wait who looks at a photo first; `turn` runs each part of it. */
  async loadOthers(turn: (part: () => Promise<unknown>) => Promise<unknown>): Promise<void> {
    for (const name of this.#others()) await turn(() => this.graphs.load(name));
    await turn(() => this.graphs.dropWeights());
  }

  #others(): string[] {
    const { graphs } = this;
    // Small ones, then the largest, which is ours: so what it takes while it is loaded serves later, and in one piece.
    const steps = graphs.manifest.surrogates.map((_, turn) => graphs.name("attack-feature-step", turn)).reverse();
    const [begin, end, reference] = ["attack-feature-begin", "attack-feature-end", "cloak-reference"].map((kind) => graphs.name(kind));
    return [begin!, end!, ...steps, reference!];
  }

  /**
   * Find the faces in a photo.
   *
   * @param onPart given to look closer, for small ones.
   */
  async detect(data: Uint8Array, onPart?: OnPart): Promise<Detection> {
    const photo = await readPhoto(data, this.codec);
    try {
      return await findFaces(this.graphs, photo.pixels, photo.width, photo.height, [], onPart);
    } finally {
      photo.release();
    }
  }

  /**
   * Protect the faces in a photo.
   *
   * @param known the faces, where they have been found before.
   * @throws PhotoError, NoFaceError, SettingError, ArtifactsError, and what `onProgress` throws.
   */
  async protect(data: Uint8Array, settings: Settings, onProgress?: OnProgress, known?: Detection): Promise<ProtectedPhoto> {
    const plans = planCloak(this.graphs.manifest, settings);
    const watch = new Watch(onProgress);
    const photo = await watch.stage("decode", () => readPhoto(data, this.codec, settings.metadata, watch.pause));
    try {
      return await this.#protectPhoto(photo, plans, settings, watch, known);
    } finally {
      photo.release();
    }
  }

  async #protectPhoto(photo: Photo, plans: Plan[], settings: Settings, watch: Watch, known: Detection | undefined): Promise<ProtectedPhoto> {
    const { format, width, height } = photo;
    const detection = known ?? (await watch.stage("detect", () => findFaces(this.graphs, photo.pixels, width, height, settings.boxes)));
    const hints = detectionNotes(detection);
    if (detection.faces.length === 0) throw new NoFaceError(["no face found; nothing was written", ...hints].join("; "));
    const parts = this.#parts(photo, detection.faces, settings.faces);
    const done = await watch.stage("protect", () => this.#protectParts(photo, parts, plans, settings, watch));
    const notes = [`faces found: ${detection.faces.length}`, ...hints, ...photo.notes];
    const encoded = await watch.stage("encode", () => photo.encode(this.codec, watch.pause));
    photo.release(); // so that no two pictures are in memory at once
    const faces = await watch.stage("measure", () => this.#measure(encoded, done, width, height));
    return { data: encoded, format, faces, notes, times: watch.times };
  }

  #parts(photo: Photo, faces: readonly Face[], numbers: readonly number[] | undefined): Part[] {
    const margin = this.graphs.manifest.recognizer.crop_margin;
    return chooseFaces(faces.length, numbers).map((number) => cutPart(photo, number, faces[number - 1]!, margin));
  }

  async #protectParts(photo: Photo, parts: Part[], plans: Plan[], { seed, gallery = [] }: Settings, watch: Watch): Promise<Attempted[]> {
    const done: Attempted[] = [];
    for (const [i, part] of parts.entries()) {
      const start = performance.now();
      const tell = (attempt: number) => (step: number, steps: number) => watch.tell({ stage: "protect", face: i + 1, faces: parts.length, attempt, step, steps });
      const before = await view(this.graphs, part.original, part);
      before.known = matching(this.graphs, gallery, before);
      const { square, plan } = await this.#attempt(photo, part, before, plans, seed + part.number - 1, tell);
      photo.paste(square, part.side, part.corner);
      release(square);
      done.push({ part, before, plan, seconds: (performance.now() - start) / 1000 });
    }
    return done;
  }

  /** Return the square of the first attempt after which the face is no match, or of the one nearest to it. */
  async #attempt(photo: Photo, part: Part, before: View, plans: Plan[], seed: number, tell: (attempt: number) => OnStep): Promise<{ square: Uint8Array; plan: Plan }> {
    const { graphs } = this;
    const { side, keypoints } = part;
    const square = photo.cut(part.corner, side); // with the changes of faces whose squares overlap it
    const bound = Math.max(...plans.map(({ clamp }) => clamp));
    let best: { square: Uint8Array; plan: Plan; over: number } | undefined;
    for (const [i, plan] of plans.entries()) {
      const changed = await runCloak(graphs, { square, side, keypoints, reference: meanReference(before), seed, plan }, tell(i + 1));
      if (photo.grey) makeGrey(changed);
      limit(changed, part, bound, photo.width, photo.height);
      const over = excess(compare(graphs, before, await view(graphs, changed, part)));
      if (!best || over < best.over) {
        if (best) release(best.square);
        best = { square: changed, plan, over };
      } else {
        release(changed);
      }
      if (over < -graphs.manifest.match.margin) break;
    }
    release(square);
    return best!;
  }

  async #measure(encoded: Bytes, done: Attempted[], width: number, height: number): Promise<FaceResult[]> {
    const squares = await readSquares(encoded, this.codec, done.map(({ part }) => part));
    const results: FaceResult[] = [];
    for (const [i, { part, before, plan, seconds }] of done.entries()) {
      const square = squares[i]!;
      const after = await view(this.graphs, square, part);
      const comparisons = compare(this.graphs, before, after);
      results.push({
        ...{ number: part.number, box: part.face.box, score: part.face.score, matched: isMatch(comparisons), comparisons },
        ...{ plan, gallery: before.known?.length ?? 0, ...difference(part, square, width, height), seconds },
      });
      release(square);
      release(part.original);
    }
    return results;
  }
}

interface Attempted {
  part: Part;
  before: View;
  plan: Plan;
  seconds: number;
}

/** Follows the stages: tells of them, measures them, and lets the caller stop in between. */
class Watch {
  readonly times: Record<Stage, number> = { decode: 0, detect: 0, protect: 0, encode: 0, measure: 0 };
  #stage: Stage = "decode";

  constructor(private readonly onProgress?: OnProgress) {}

  async tell(progress: Progress): Promise<void> {
    await this.onProgress?.(progress);
  }

  readonly pause = (): Promise<void> | undefined => (this.onProgress ? this.tell({ stage: this.#stage }) : undefined);

  async stage<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    this.#stage = stage;
    await this.tell({ stage });
    const start = performance.now();
    const result = await work();
    this.times[stage] = (performance.now() - start) / 1000;
    return result;
  }
}
