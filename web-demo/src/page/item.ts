/** A photo in the page, from the moment it is dropped to the moment it is saved. */

import { type Box, type Detection, type Face, withFaces } from "../core/faces";
import type { Progress } from "../core/protector";
import type { Protected } from "../worker/protocol";

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
  /** Of the original, for the page to show. */
  readonly url: string;
  resultUrl = "";
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

  setDetection(detection: Detection): void {
    this.detection = detection;
    const mark = (kind: Mark["kind"], on: boolean) => (face: Face): Mark => ({ box: face.box, face, kind, on });
    this.marks = [...detection.faces.map(mark("found", true)), ...detection.unsure.map(mark("unsure", false))];
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

  setResult(result: Protected): void {
    this.clearResult();
    this.result = result;
    this.resultUrl = URL.createObjectURL(result.file);
    this.state = "done";
  }

  /** Back to the boxes. */
  clearResult(): void {
    if (this.resultUrl) URL.revokeObjectURL(this.resultUrl);
    [this.resultUrl, this.result, this.progress] = ["", undefined, undefined];
    if (this.detection) this.state = "ready";
  }

  close(): void {
    this.abort?.abort();
    this.clearResult();
    URL.revokeObjectURL(this.url);
    if (this.thumbnail) URL.revokeObjectURL(this.thumbnail);
  }
}

/** Draw a small picture for the list, so that the page does not hold every photo decoded. */
export async function makeThumbnail(file: File): Promise<string> {
  try {
    const bitmap = await createImageBitmap(file, { resizeHeight: 144, resizeQuality: "medium" });
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    return URL.createObjectURL(await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 }));
  } catch {
    return "";
  }
}
