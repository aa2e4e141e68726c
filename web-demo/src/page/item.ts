/** A photo in the page, from the moment it is dropped to the moment it is saved. */

import { type Box, type Detection, type Face, withFaces } from "../core/faces";
import type { Progress } from "../core/protector";
import type { Protected } from "../worker/protocol";
import { shrink } from "./previews";

/** The longer side of what the page shows, in pixels. */
const [PREVIEW, THUMBNAIL] = [1600, 144];

export type State = "waiting" | "ready" | "working" | "done" | "failed";

/** A box over the photo. */
export interface Mark {
  box: Box;
  /** Missing of a box that was drawn by hand. */
  face?: Face;
  kind: "found" | "unsure" | "hand";
  on: boolean;
}

export class Item {
  state: State = "waiting";
  /** What it is worked on for. */
  task: "detect" | "protect" = "protect";
  /** Small faces have been looked for, too. */
  isLookedCloser = false;
  /** Of the original, and smaller, for the page to show; the same for small photos. */
  readonly url: string;
  preview = "";
  resultUrl = "";
  resultPreview = "";
  thumbnail = "";
  error = "";
  detection: Detection | undefined;
  marks: Mark[] = [];
  result: Protected | undefined;
  progress: Progress | undefined;
  abort: AbortController | undefined;

  constructor(readonly file: File) {
    this.url = URL.createObjectURL(file);
  }

  /** Take what was found; what was switched on or off, or drawn, stays so where it was found before. */
  setDetection(detection: Detection): void {
    this.detection = detection;
    const before = new Map(this.marks.map((mark) => [mark.box.join(), mark.on]));
    const mark = (kind: Mark["kind"], on: boolean) => (face: Face): Mark => ({ box: face.box, face, kind, on: before.get(face.box.join()) ?? on });
    const byHand = this.marks.filter(({ kind }) => kind === "hand");
    this.marks = [...detection.faces.map(mark("found", true)), ...detection.unsure.map(mark("unsure", false)), ...byHand];
    this.state = "ready";
  }

  /** The faces as they are marked, numbered from left to right, and the numbers of those to protect. */
  get chosen(): { detection: Detection; numbers: number[]; numberOf: (mark: Mark) => number } | undefined {
    if (!this.detection) return undefined;
    const byHand = this.marks.filter((mark) => mark.kind === "hand");
    const accepted = this.marks.filter((mark) => mark.kind === "unsure" && mark.on).map((mark) => mark.face!);
    const detection = withFaces(this.detection, byHand.map((mark) => mark.box), accepted);
    const numberOf = (mark: Mark) => detection.faces.findIndex((face) => face === mark.face || face.box === mark.box) + 1;
    const numbers = this.marks.filter((mark) => mark.on).map(numberOf).filter((number) => number > 0);
    return { detection, numbers: [...new Set(numbers)].sort((one, other) => one - other), numberOf };
  }

  async setResult(result: Protected): Promise<void> {
    this.clearResult();
    this.resultUrl = URL.createObjectURL(result.file);
    this.resultPreview = URL.createObjectURL((await shrink(result.file, PREVIEW)) ?? result.file);
    this.result = result;
    this.state = "done";
  }

  /** Make the smaller pictures that the page shows, so that it does not hold every photo decoded. */
  async makePreviews(): Promise<void> {
    const small = await shrink(this.file, PREVIEW);
    const smaller = small && (await shrink(small, THUMBNAIL));
    if (!small || !smaller) return; // no picture; that is said when it is looked at
    this.preview = URL.createObjectURL(small);
    this.thumbnail = URL.createObjectURL(smaller);
  }

  /** Back to the boxes. */
  clearResult(): void {
    for (const url of [this.resultUrl, this.resultPreview]) URL.revokeObjectURL(url);
    [this.resultUrl, this.resultPreview, this.result, this.progress] = ["", "", undefined, undefined];
    if (this.detection) this.state = "ready";
  }

  close(): void {
    this.abort?.abort();
    this.clearResult();
    for (const url of [this.url, this.preview, this.thumbnail]) URL.revokeObjectURL(url);
  }
}
