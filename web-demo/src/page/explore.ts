/** Explore: what our recognizer answers about a face, and how an attack on a name changes the answer. */

import { CanceledError } from "../core/errors";
import type { Attacked, Look } from "../core/explore";
import type { Face } from "../core/faces";
import type { LabelPlan } from "../core/label";
import { spoken } from "../core/report";
import type { Told } from "../worker/protocol";
import { element, style } from "./dom";
import { ExploreControls } from "./exploreControls";
import type { Extra, Surroundings } from "./extras";
import type { Item } from "./item";

export class Explore implements Extra {
  readonly #controls: ExploreControls;
  readonly #status = element("p", { className: "muted", attributes: { role: "status" } });
  readonly #looks = element("div", { className: "looks" });
  #item: Item | undefined;
  /** Which faces are shown; missing while nothing is. */
  #faces: string | undefined;
  #look: Look | undefined;
  #abort = new AbortController();

  constructor(
    body: HTMLElement,
    private readonly surroundings: Surroundings,
  ) {
    this.#controls = new ExploreControls(surroundings.facts, {
      face: () => void this.#start(),
      plan: () => void this.#run(),
    });
    body.className = "explore";
    body.append(this.#controls.root, element("div", {}, this.#looks, this.#status));
  }

  show(item: Item | undefined): void {
    const faces = facesOf(item);
    const key = faces.map(({ box }) => box.join()).join(";");
    if (item === this.#item && key === this.#faces) return;
    [this.#item, this.#faces] = [item, key];
    this.#controls.show(faces.length);
    void this.#start();
  }

  hide(): void {
    this.#abort.abort();
    [this.#item, this.#faces, this.#look] = [undefined, undefined, undefined];
  }

  /** Look at the face, then run the attack. */
  async #start(): Promise<void> {
    this.#look = undefined;
    this.#looks.replaceChildren();
    const face = facesOf(this.#item)[this.#controls.face];
    if (!face) {
      this.#status.textContent = this.#item ? "No face to look at yet." : "Choose a photo first.";
      return;
    }
    this.#status.textContent = "Looking at the face …";
    const look = await this.#ask((signal) => this.surroundings.engine.call("lookAt", { file: this.#item!.file, face }, undefined, signal));
    if (!look) return;
    this.#look = look;
    await this.#run();
  }

  async #run(): Promise<void> {
    const [look, plan] = [this.#look, this.#controls.plan];
    if (!look) return;
    if (!plan) {
      this.#abort.abort();
      this.#looks.replaceChildren(lookView("Before", look));
      this.#status.textContent = this.#controls.why;
      return;
    }
    this.#status.textContent = "Preparing the attack …";
    const onTold = (told: Told) => {
      if ("step" in told) this.#status.textContent = `Step ${told.step} of ${told.steps} …`;
    };
    const attacked = await this.#ask((signal) => this.surroundings.engine.call("attack", { look, plan }, onTold, signal));
    if (!attacked) return;
    this.#looks.replaceChildren(lookView("Before", look), lookView("After", attacked.look));
    this.#status.textContent = verdict(look, attacked, plan, this.surroundings.facts.classes);
  }

  /** Wait for an answer; nothing comes of one that something newer has taken the place of. */
  async #ask<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    try {
      const answer = await call(signal);
      return signal.aborted ? undefined : answer;
    } catch (error) {
      if (!(error instanceof CanceledError) && !signal.aborted) this.#status.textContent = error instanceof Error ? error.message : String(error);
      return undefined;
    }
  }
}

function facesOf(item: Item | undefined): Face[] {
  return item?.chosen?.detection.faces ?? [];
}

function verdict(before: Look, { look, similarity, threshold }: Attacked, { label }: LabelPlan, classes: readonly string[]): string {
  const [name, aim] = [spoken(look.names[0]!.name), label === undefined ? undefined : spoken(classes[label]!)];
  const reached = aim === undefined ? look.seen !== before.seen : name === aim;
  const answer = reached ? `Now it answers ${name}.` : aim === undefined ? `It still answers ${name}.` : `It does not answer ${aim} yet.`;
  const match = similarity >= threshold ? "still a match" : "no longer a match";
  return `${answer} Similarity to the face before: ${similarity.toFixed(2)}, ${match} (from ${threshold.toFixed(2)} on it is one).`;
}

/** A face and the names that the recognizer gives it. */
function lookView(title: string, { square, side, names }: Look): HTMLElement {
  const canvas = element("canvas", { width: side, height: side, attributes: { role: "img", "aria-label": `The face, ${title.toLowerCase()}` } });
  const rgba = new Uint8ClampedArray(side * side * 4).fill(255);
  for (let i = 0, at = 0; i < square.length; i += 3, at += 4) {
    rgba[at] = square[i]!;
    rgba[at + 1] = square[i + 1]!;
    rgba[at + 2] = square[i + 2]!;
  }
  canvas.getContext("2d")!.putImageData(new ImageData(rgba, side, side), 0, 0);
  const answers = names.map(({ name, probability }) => {
    const line = element("li", {}, element("span", {}, spoken(name)), element("b", {}, probability.toFixed(2)));
    style(line, { "--probability": `${100 * probability}%` });
    return line;
  });
  return element("figure", { className: "look" }, element("figcaption", {}, title), canvas, element("ol", {}, ...answers));
}
