/** Live: what a camera or a video shows, with the faces in it protected from frame to frame. */

import type { LiveFace } from "../core/live";
import { spoken } from "../core/report";
import type { LiveFrame } from "../worker/protocol";
import { element } from "./dom";
import type { Extra, Surroundings } from "./extras";
import { type Footage, fromCamera, fromFile } from "./footage";
import { place } from "./marks";
import { meter } from "./results";

/** Frames of the last so many milliseconds count for the rate. */
const RATE_OVER = 2000;
const STEPS = [1, 2, 4];

export class LiveView implements Extra {
  readonly #canvas = element("canvas", { width: 640, height: 480, attributes: { role: "img", "aria-label": "The picture, with the faces in it protected" } });
  readonly #marks = element("div", { className: "live-marks", attributes: { "aria-hidden": "true" } });
  readonly #picture = element("div", { className: "live-picture", hidden: true }, this.#canvas, this.#marks);
  readonly #rate = element("p", { className: "muted rate" });
  readonly #status = element("p", { className: "muted", attributes: { role: "status" } });
  readonly #faces = element("ol", { className: "results" });
  readonly #steps = element("select", {}, ...STEPS.map((count) => element("option", {}, String(count))));
  readonly #replaced = element("input", { type: "checkbox", checked: true });
  readonly #stop = element("button", { type: "button", attributes: { "data-key": "stop" } }, "Stop");
  readonly #camera = element("button", { type: "button", attributes: { "data-key": "camera" } }, "Start the camera");
  readonly #sources = element("div", { className: "row" });
  readonly #running = element("div", { hidden: true }, element("div", { className: "row" }, this.#stop));
  #footage: Footage | undefined;

  constructor(
    body: HTMLElement,
    private readonly surroundings: Surroundings,
  ) {
    body.className = "live";
    body.append(this.#controls(), this.#picture);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.hide();
    });
    window.addEventListener("pagehide", () => this.hide());
  }

  show(): void {
    if (!this.#footage) this.#status.textContent = "The camera is asked for when you start it. Nothing is recorded or sent.";
  }

  hide(): void {
    if (this.#footage) this.#end("Stopped.");
  }

  #controls(): HTMLElement {
    this.#camera.addEventListener("click", () => void this.#start(fromCamera));
    const file = element("input", { id: "video", type: "file", accept: "video/*", className: "visually-hidden" });
    file.addEventListener("change", () => {
      const chosen = file.files?.[0];
      file.value = "";
      if (chosen) void this.#start(() => fromFile(chosen));
    });
    this.#stop.addEventListener("click", () => {
      this.hide();
      this.#camera.focus();
    });
    this.#sources.append(this.#camera, file, element("label", { htmlFor: "video", className: "button quiet" }, "Choose a video"));
    const steps = element("label", { className: "field" }, element("span", {}, "Steps a frame"), this.#steps);
    const replaced = element("label", { className: "check" }, this.#replaced, element("span", {}, "Replace the faces"));
    this.#running.append(steps, replaced, this.#rate, this.#faces);
    return element("div", { className: "settings" }, this.#status, this.#sources, this.#running);
  }

  async #start(open: () => Promise<Footage>): Promise<void> {
    this.#end("Starting …");
    let footage: Footage;
    try {
      footage = await open();
    } catch (error) {
      this.#status.textContent = error instanceof Error ? error.message : String(error);
      return;
    }
    if (document.hidden || !this.#stop.closest("details")?.open) {
      footage.close(); // left while the camera was asked for
      return;
    }
    this.#footage = footage;
    this.#show(true);
    this.#status.textContent = "";
    this.#stop.focus();
    try {
      await this.#follow(footage);
    } catch (error) {
      if (this.#footage === footage) this.#end(error instanceof Error ? error.message : String(error));
    }
  }

  #end(text: string): void {
    this.#footage?.close();
    this.#footage = undefined;
    this.#show(false);
    this.#faces.replaceChildren();
    this.#rate.textContent = "";
    this.#status.textContent = text;
  }

  #show(isRunning: boolean): void {
    this.#sources.hidden = isRunning;
    this.#running.hidden = this.#picture.hidden = !isRunning;
  }

  /** Work on one frame after the other: those that come in meanwhile are dropped. */
  async #follow(footage: Footage): Promise<void> {
    const times: number[] = [];
    let count = 0;
    for (let isFirst = true; this.#footage === footage; isFirst = false) {
      const frame = await footage.next();
      if (!frame) continue;
      const answer = await this.surroundings.engine.call("live", { frame, steps: Number(this.#steps.value), isFirst });
      if (this.#footage === footage) this.#draw(frame, answer);
      this.#picture.dataset["frames"] = String(++count);
      frame.close();
      const now = performance.now();
      times.push(now);
      while (times[0]! < now - RATE_OVER) times.shift();
      const rate = times.length < 2 ? undefined : ((times.length - 1) * 1000) / (now - times[0]!);
      if (this.#footage === footage && rate !== undefined) this.#rate.textContent = `${rate.toFixed(1)} frames a second, ${answer.width} × ${answer.height}`;
    }
  }

  #draw(frame: ImageBitmap, { pixels, width, height, faces }: LiveFrame): void {
    if (this.#canvas.width !== width || this.#canvas.height !== height) [this.#canvas.width, this.#canvas.height] = [width, height];
    const context = this.#canvas.getContext("2d")!;
    if (this.#replaced.checked) context.putImageData(new ImageData(pixels, width, height), 0, 0);
    else context.drawImage(frame, 0, 0);
    this.#marks.replaceChildren(...faces.map((face, i) => boxOf(face, i, width, height)));
    this.#faces.replaceChildren(...liveFaces(faces));
  }
}

function boxOf({ box, matched }: LiveFace, index: number, width: number, height: number): HTMLElement {
  const mark = element("div", { className: matched ? "mark matched" : "mark safe" }, element("span", {}, String(index + 1)));
  place(mark, box, width, height);
  return mark;
}

/** Build a list item for each face. */
function liveFaces(faces: readonly LiveFace[]): HTMLElement[] {
  if (!faces.length) return [element("li", {}, element("p", { className: "numbers" }, "No face in the picture."))];
  return faces.map(({ before, after, matched, similarity, threshold }, i) =>
    element(
      "li",
      { className: matched ? "matched" : "safe" },
      element("p", { className: "verdict" }, element("strong", {}, `Face ${i + 1}: `), matched ? "still a match" : "no longer matches"),
      meter(similarity, threshold),
      element("p", { className: "numbers" }, `similarity ${similarity.toFixed(2)}; ${threshold.toFixed(2)} and more count as the same person`),
      element("p", { className: "numbers" }, `before: ${answer(before)}`),
      element("p", { className: "numbers" }, `after: ${answer(after)}`),
    ),
  );
}

function answer({ name, probability }: LiveFace["before"]): string {
  return `${spoken(name)} ${probability.toFixed(2)}`;
}
