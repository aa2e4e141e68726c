/** What the page and the worker say to each other. */

import type { Attacked, Look } from "../core/explore";
import type { Detection, Face } from "../core/faces";
import type { LabelPlan } from "../core/label";
import type { LiveFace } from "../core/live";
import type { Format } from "../core/photo/parts";
import type { FaceResult, Progress, Stage } from "../core/protector";
import type { Settings } from "../core/settings";

/** What the page needs to know of the artifacts. */
export interface Facts {
  strengths: string[];
  efforts: string[];
  threads: number;
  /** The names that our recognizer knows; a label is a place in this list. */
  classes: string[];
  /** How an attack on a label goes by default. */
  label: LabelPlan;
}

/** A frame with the faces in it protected. */
export interface LiveFrame {
  /** RGBA. */
  pixels: Uint8ClampedArray<ArrayBuffer>;
  width: number;
  height: number;
  faces: LiveFace[];
}

export interface Protected {
  file: Blob;
  format: Format;
  faces: FaceResult[];
  notes: string[];
  times: Record<Stage, number>;
}

/** Each request, by its kind: what it takes and what comes back. */
export interface Calls {
  load: { request: { base: string; threads: number }; reply: Facts };
  /** `small`: look closer, part by part. */
  detect: { request: { file: Blob; small: boolean }; reply: Detection };
  protect: { request: { file: Blob; detection: Detection; settings: Settings }; reply: Protected };
  enroll: { request: { file: Blob }; reply: Float32Array[] };
  lookAt: { request: { file: Blob; face: Face }; reply: Look };
  attack: { request: { look: Look; plan: LabelPlan }; reply: Attacked };
  /** `isFirst`: nothing is carried over from the frame before. */
  live: { request: { frame: ImageBitmap; steps: number; isFirst: boolean }; reply: LiveFrame };
}

export type Kind = keyof Calls;

export type Request = { [K in Kind]: { id: number; kind: K } & Calls[K]["request"] }[Kind] | { id: number; kind: "cancel" };

/** Bytes of the artifacts that have arrived; or how far the work on a photo is. */
export type Told = { loaded: number; of: number } | Progress;

export type Reply =
  | { id: number; told: Told }
  | { id: number; reply: Calls[Kind]["reply"] }
  | { id: number; error: { name: string; message: string } };
