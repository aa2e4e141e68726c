/** The page: photos come in, are worked on one after the other, and leave protected. */

import { CanceledError } from "../core/errors";
import { DEFAULTS } from "../core/settings";
import type { Facts, Told } from "../worker/protocol";
import { listen, welcome } from "./arrivals";
import { element, find, replaceKeepingFocus } from "./dom";
import { Engine, hasSimd } from "./engine";
import { Extras } from "./extras";
import { Gallery } from "./gallery";
import { Item } from "./item";
import { installWorker, takeShared } from "./offline";
import { More } from "./more";
import { canSaveToFolder, downloadAll, protectedName, saveToFolder } from "./save";
import { type Choice, Stage, remembered } from "./stage";

class Page {
  readonly #items: Item[] = [];
  #current: Item | undefined;
  #facts: Facts | undefined;
  readonly #engine = new Engine(document.baseURI);
  readonly #choice: Choice = { strength: DEFAULTS.strength, effort: DEFAULTS.effort, metadata: DEFAULTS.metadata, ...remembered() };
  readonly #gallery = new Gallery(this.#engine, () => this.#render());
  readonly #stage = new Stage(find("#stage"), () => this.#facts, this.#choice, new More(this.#choice, this.#gallery), {
    protect: (item) => void this.#protect(item),
    lookCloser: (item) => void this.#lookCloser(item),
    remove: (item) => this.#remove(item),
    changed: () => this.#render(),
    problem: (error) => this.#problem(error),
  });
  readonly #ready: Promise<Facts>;
  readonly #extras: Extras;
  /** Photos are looked at one after the other, so that one at a time is held decoded. */
  #looking: Promise<void> = Promise.resolve();

  constructor() {
    this.#ready = this.#load();
    this.#extras = new Extras(this.#engine, this.#ready);
    this.#ready.catch((error: unknown) => {
      this.#state("");
      this.#problem(error);
    });
  }

  async #load(): Promise<Facts> {
    const facts = await this.#engine.load((told) => this.#state(loadText(told)));
    this.#facts = facts;
    if (!facts.strengths.includes(this.#choice.strength)) this.#choice.strength = facts.strengths[0] ?? "";
    if (!facts.efforts.includes(this.#choice.effort)) this.#choice.effort = facts.efforts[0] ?? "";
    this.#state("Ready");
    this.#render();
    return facts;
  }

  add(files: Iterable<File>): void {
    const added = [...files].map((file) => new Item(file));
    if (!added.length) return;
    this.#problem(undefined);
    this.#items.push(...added);
    this.#current = added[0];
    this.#render();
    for (const item of added) this.#looking = this.#looking.then(() => this.#look(item));
  }

  async #look(item: Item): Promise<void> {
    if (!this.#items.includes(item)) return; // removed meanwhile
    try {
      checkSize(item.file);
      await item.makePreviews();
      this.#render();
      await this.#ready;
      const { signal } = (item.abort = new AbortController());
      item.setDetection(await this.#engine.call("detect", { file: item.file, small: false }, undefined, signal));
    } catch (error) {
      this.#failed(item, error);
    }
    this.#render();
  }

  async #protect(item: Item): Promise<void> {
    const chosen = item.chosen;
    if (!chosen || item.state !== "ready" || !chosen.numbers.length) return;
    const settings = { ...DEFAULTS, ...this.#choice, faces: chosen.numbers, gallery: this.#gallery.faces };
    await this.#work(item, "protect", async (onTold, signal) => {
      const result = await this.#engine.call("protect", { file: item.file, detection: chosen.detection, settings }, onTold, signal);
      performance.mark("protected", { detail: result.times });
      await item.setResult(result);
    });
  }

  async #lookCloser(item: Item): Promise<void> {
    await this.#work(item, "detect", async (onTold, signal) => {
      item.setDetection(await this.#engine.call("detect", { file: item.file, small: true }, onTold, signal));
      item.isLookedCloser = true;
    });
  }

  /** Do something with a photo that shows how far it is and can be canceled. */
  async #work(item: Item, task: Item["task"], work: (onTold: (told: Told) => void, signal: AbortSignal) => Promise<void>): Promise<void> {
    [item.state, item.task, item.progress] = ["working", task, undefined];
    const { signal } = (item.abort = new AbortController());
    this.#render();
    const onTold = (told: Told) => {
      if ("loaded" in told) return;
      item.progress = told;
      this.#stage.showProgress(item);
    };
    try {
      await work(onTold, signal);
    } catch (error) {
      if (error instanceof CanceledError) item.clearResult();
      else this.#failed(item, error);
    }
    this.#render();
  }

  #failed(item: Item, error: unknown): void {
    if (!this.#items.includes(item)) return;
    item.state = "failed";
    item.error = messageOf(error);
  }

  #remove(item: Item): void {
    const at = this.#items.indexOf(item);
    this.#items.splice(at, 1);
    item.close();
    this.#current = this.#items[Math.min(at, this.#items.length - 1)];
    this.#render();
    if (!this.#current) find("#files").focus();
  }

  #render(): void {
    document.body.classList.toggle("has-photos", this.#items.length > 0);
    const list = find("#photos");
    list.hidden = this.#items.length < 2;
    replaceKeepingFocus(list, ...this.#items.map((item, i) => this.#thumbnail(item, i)), this.#allButtons());
    this.#stage.show(this.#current);
    this.#extras.show(this.#current);
  }

  #thumbnail(item: Item, index: number): HTMLElement {
    const words = { waiting: "waiting", ready: "faces found", working: "working", done: "protected", failed: "failed" };
    const matched = item.result?.faces.some((face) => face.matched);
    const label = `${item.file.name}: ${matched ? "still a match" : words[item.state]}`;
    const button = element("button", { type: "button", className: `thumbnail ${item.state}${matched ? " matched" : ""}`, title: label });
    button.dataset["key"] = `photo-${index}`;
    button.setAttribute("aria-label", label);
    if (item === this.#current) button.setAttribute("aria-current", "true");
    if (item.thumbnail) button.append(element("img", { src: item.thumbnail, alt: "" }));
    button.addEventListener("click", () => {
      this.#current = item;
      this.#render();
    });
    return element("li", {}, button);
  }

  #allButtons(): HTMLElement {
    const ready = this.#items.filter((item) => item.state === "ready" && item.chosen?.numbers.length);
    const outputs = this.#items.flatMap(({ result, file }) => (result ? [{ name: protectedName(file.name, result.format), file: result.file }] : []));
    const button = (text: string, key: string, act: () => unknown) => {
      const made = element("button", { type: "button", attributes: { "data-key": key } }, text);
      made.addEventListener("click", () => void Promise.resolve(act()).catch((error: unknown) => this.#problem(error)));
      return made;
    };
    const buttons: HTMLElement[] = [];
    if (ready.length > 1) buttons.push(button(`Protect all ${ready.length}`, "protect-all", () => ready.forEach((item) => void this.#protect(item))));
    if (this.#items.some((item) => item.state === "working")) buttons.push(button("Cancel all", "cancel-all", () => this.#items.forEach((item) => item.abort?.abort())));
    if (outputs.length > 1) {
      buttons.push(button(`Save all ${outputs.length} as ZIP`, "zip", () => downloadAll(outputs)));
      if (canSaveToFolder()) buttons.push(button("Save into a folder", "folder", () => saveToFolder(outputs)));
    }
    return element("li", { className: "row all" }, ...buttons);
  }

  #state(text: string): void {
    find("#state").textContent = text;
  }

  #problem(error: unknown): void {
    const line = find("#problem");
    line.hidden = error === undefined;
    line.textContent = error === undefined ? "" : messageOf(error);
  }
}

/** No photo is longer; reading one that is would take the memory that decoding needs. */
const MAX_MEGABYTES = 200;

function checkSize(file: File): void {
  if (file.size > MAX_MEGABYTES * 10 ** 6) {
    throw new Error(`${Math.floor(file.size / 10 ** 6)} MB are more than ${MAX_MEGABYTES}, the most for a photo; make it smaller`);
  }
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function loadText(told: Told): string {
  if (!("loaded" in told)) return "";
  const part = Math.min(100, Math.floor((100 * told.loaded) / Math.max(1, told.of)));
  return part < 100 ? `Fetching the models, once: ${part} %` : "Preparing the models …";
}

async function start(): Promise<void> {
  welcome();
  if (!hasSimd()) {
    const problem = find("#problem");
    problem.textContent = "This browser lacks WebAssembly SIMD, which the models need; update it, or open the page in another.";
    problem.hidden = false;
    return;
  }
  if (!(await installWorker())) return;
  const page = new Page();
  listen((files) => page.add(files));
  page.add(await takeShared());
}

void start();
