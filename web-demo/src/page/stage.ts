/** The photo that is looked at: its boxes and settings, the work, the result. */

import { hasParts } from "../core/small";
import type { MetadataPolicy } from "../core/photo/metadata";
import type { Progress } from "../core/protector";
import type { Facts } from "../worker/protocol";
import { compareView } from "./compare";
import { element, replaceKeepingFocus } from "./dom";
import type { Item } from "./item";
import { addInTheMiddle, marksView } from "./marks";
import type { More } from "./more";
import { resultsView, summary } from "./results";
import { canShare, download, protectedName, share } from "./save";

export interface Choice {
  strength: string;
  effort: string;
  metadata: MetadataPolicy;
}

export interface StageActions {
  protect(item: Item): void;
  lookCloser(item: Item): void;
  remove(item: Item): void;
  changed(item: Item): void;
  problem(error: unknown): void;
}

const EXPLANATIONS: Record<string, string> = {
  low: "least to be seen",
  medium: "hardly to be seen",
  high: "most protection",
  fast: "quickest",
  normal: "as a rule",
  thorough: "slowest, and best",
};

export class Stage {
  #drawing = false;
  #item: Item | undefined;

  constructor(
    private readonly root: HTMLElement,
    private readonly facts: () => Facts | undefined,
    private readonly choice: Choice,
    private readonly more: More,
    private readonly actions: StageActions,
  ) {}

  show(item: Item | undefined): void {
    if (item !== this.#item) this.#drawing = false;
    this.#item = item;
    this.root.hidden = !item;
    if (item) replaceKeepingFocus(this.root, ...this.#views(item));
    else this.root.replaceChildren();
  }

  /** Only what tells how far the work is changes. */
  showProgress(item: Item): void {
    if (item !== this.#item) return;
    const bar = this.root.querySelector("progress");
    const text = this.root.querySelector(".progress-text");
    if (!bar || !text || !item.progress) return;
    bar.value = progressPart(item.progress);
    text.textContent = progressText(item.progress);
  }

  #views(item: Item): HTMLElement[] {
    const title = element("h2", { tabIndex: -1, attributes: { "data-key": "title" } }, item.file.name);
    const picture = element("div", { className: "picture" }, item.state === "done" ? compareView(item) : marksView(item, this.#drawing, (drawing) => this.#redraw(item, drawing)));
    const panel = element("div", { className: "panel" }, title, ...this.#panel(item), this.#removal(item));
    return item.state === "failed" ? [panel] : [picture, panel];
  }

  #redraw(item: Item, drawing: boolean): void {
    this.#drawing = drawing;
    this.show(item);
  }

  #panel(item: Item): HTMLElement[] {
    if (item.state === "failed") return [element("p", { className: "problem", attributes: { role: "alert" } }, item.error)];
    if (item.state === "waiting") return [element("p", { className: "muted", attributes: { role: "status" } }, this.facts() ? "Looking for faces …" : "Waiting for the models …")];
    if (item.state === "working") return this.#working(item);
    return item.state === "done" ? this.#done(item) : this.#ready(item);
  }

  #ready(item: Item): HTMLElement[] {
    const { numbers, detection } = item.chosen!;
    const found = detection.faces.length;
    const text = found === 0 ? "No face was found. Draw a box around each." : `${found === 1 ? "One face" : `${found} faces`} found. Choose a box to leave a face as it is.`;
    const unsure = item.marks.some((mark) => mark.kind === "unsure" && !mark.on);
    const protect = element("button", { className: "primary", type: "button", disabled: numbers.length === 0, attributes: { "data-key": "protect", "data-main": "" } });
    protect.textContent = numbers.length === 1 ? "Protect the face" : `Protect ${numbers.length} faces`;
    protect.addEventListener("click", () => this.actions.protect(item));
    return [
      element("p", { attributes: { role: "status" } }, text, item.isLookedCloser ? " Small ones were looked for, too." : "", unsure ? " A dashed box may be a face: choose it if it is." : ""),
      element("div", { className: "row" }, ...this.#faceButtons(item)),
      this.#options("Strength", "strength", this.facts()?.strengths ?? []),
      this.#options("Effort", "effort", this.facts()?.efforts ?? []),
      element("div", { className: "row" }, protect),
      this.more.view(),
    ];
  }

  #faceButtons(item: Item): HTMLElement[] {
    const draw = element("button", { type: "button", className: "quiet", attributes: { "aria-pressed": String(this.#drawing), "data-key": "draw" } });
    draw.textContent = this.#drawing ? "Draw the box …" : "Add a face";
    draw.addEventListener("click", (event) => {
      if (event.detail === 0) addInTheMiddle(item, (drawing) => this.#redraw(item, drawing)); // by the keyboard
      else this.#redraw(item, !this.#drawing);
    });
    if (item.isLookedCloser || !hasParts(item.detection!.width, item.detection!.height)) return [draw];
    const closer = element("button", { type: "button", className: "quiet", title: "Part by part, which takes longer", attributes: { "data-key": "closer" } }, "Look for small faces");
    closer.addEventListener("click", () => this.actions.lookCloser(item));
    return [draw, closer];
  }

  #options(legend: string, name: "strength" | "effort", values: readonly string[]): HTMLElement {
    const options = values.map((value) => {
      const input = element("input", { type: "radio", name, value, checked: this.choice[name] === value, attributes: { "data-key": `${name}-${value}` } });
      input.addEventListener("change", () => {
        this.choice[name] = value;
        remember(this.choice);
      });
      return element("label", {}, input, element("span", {}, value), element("small", {}, EXPLANATIONS[value] ?? ""));
    });
    return element("fieldset", { className: "options" }, element("legend", {}, legend), ...options);
  }

  #working(item: Item): HTMLElement[] {
    const bar = element("progress", { max: 1, value: item.progress ? progressPart(item.progress) : 0, attributes: { "aria-label": `${item.task === "detect" ? "Looking for small faces in" : "Protecting"} ${item.file.name}` } });
    const text = element("p", { className: "progress-text muted", attributes: { role: "status", "aria-live": "off" } }, item.progress ? progressText(item.progress) : "Waiting for its turn …");
    const cancel = element("button", { type: "button", attributes: { "data-key": "cancel", "data-main": "" } }, "Cancel");
    cancel.addEventListener("click", () => {
      item.abort?.abort(); // takes effect after the step that is under way
      cancel.textContent = "Stopping …";
      cancel.disabled = true;
    });
    return [bar, text, element("div", { className: "row" }, cancel)];
  }

  #done(item: Item): HTMLElement[] {
    const result = item.result!;
    const output = { name: protectedName(item.file.name, result.format), file: result.file };
    const button = (text: string, key: string, className: string, act: () => void) => {
      const made = element("button", { type: "button", className, attributes: { "data-key": key, ...(key === "save" && { "data-main": "" }) } }, text);
      made.addEventListener("click", act);
      return made;
    };
    const buttons = [button("Save", "save", "primary", () => download(output))];
    if (canShare([output])) buttons.push(button("Share", "share", "", () => void share([output]).catch(this.actions.problem)));
    buttons.push(button("Change", "change", "quiet", () => this.#change(item)));
    const matched = result.faces.some((face) => face.matched);
    return [
      element("p", { className: matched ? "summary matched" : "summary safe", attributes: { role: "status" } }, summary(result)),
      element("div", { className: "row" }, ...buttons),
      resultsView(result, this.choice.strength),
    ];
  }

  #change(item: Item): void {
    item.clearResult();
    this.actions.changed(item);
  }

  #removal(item: Item): HTMLElement {
    const remove = element("button", { type: "button", className: "quiet small", attributes: { "data-key": "remove" } }, "Remove from the page");
    remove.addEventListener("click", () => this.actions.remove(item));
    return remove;
  }
}

const SHARES = { decode: 0, protect: 0.08, encode: 0.9, measure: 0.96 };

/** How much of the work is done, 0 to 1; further attempts at a face go on from where the first was. */
function progressPart({ stage, face = 1, faces = 1, attempt = 1, step = 0, steps = 1 }: Progress): number {
  if (stage === "detect") return (step - 1) / steps; // alone: what is protected has been found before
  if (stage !== "protect") return SHARES[stage];
  const ofFace = 1 - 0.5 ** (attempt - 1) + 0.5 ** attempt * (step / steps);
  return SHARES.protect + ((face - 1 + ofFace) / faces) * (SHARES.encode - SHARES.protect);
}

const STAGES = { decode: "Reading the photo …", detect: "Looking for faces …", protect: "Looking at the faces …", encode: "Writing the photo …", measure: "Measuring the saved photo …" };

function progressText({ stage, face, faces, attempt = 1, step, steps }: Progress): string {
  if (step === undefined) return STAGES[stage];
  if (stage === "detect") return `Looking for small faces: part ${step} of ${steps}`;
  const again = attempt > 1 ? `, attempt ${attempt}, because it still matched` : "";
  return `${faces === 1 ? "The face" : `Face ${face} of ${faces}`}: step ${step} of ${steps}${again}`;
}

const KEY = "face-encryption-choice";

/** That metadata are kept is said anew each time. */
function remember({ strength, effort }: Choice): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ strength, effort }));
  } catch {
    // a browser that keeps nothing
  }
}

export function remembered(): Partial<Pick<Choice, "strength" | "effort">> {
  try {
    const { strength, effort } = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Choice>;
    return { ...(strength && { strength }), ...(effort && { effort }) };
  } catch {
    return {};
  }
}
