/** What is set in Explore: the face, the attack, its target and its numbers. */

import type { LabelPlan } from "../core/label";
import { spoken } from "../core/report";
import type { Facts } from "../worker/protocol";
import { element } from "./dom";

type Attack = "none" | "non-targeted" | "targeted";

const ATTACKS: Record<Attack, string> = { none: "as it is", "non-targeted": "away from its name", targeted: "to another name" };

interface Changes {
  /** Another face is looked at. */
  face(): void;
  plan(): void;
}

export class ExploreControls {
  readonly root = element("div", { className: "settings" });
  #attack: Attack = "none";
  readonly #face = element("select", {});
  readonly #faceRow = element("label", { className: "field", hidden: true }, element("span", {}, "Face"), this.#face);
  readonly #target = element("select", {});
  readonly #consent = element("input", { type: "checkbox" });
  readonly #consentText = element("span", {});
  readonly #targetRows = element(
    "div",
    { hidden: true },
    element("label", { className: "field" }, element("span", {}, "Name"), this.#target),
    element("label", { className: "check" }, this.#consent, this.#consentText),
  );
  readonly #numbers: { stepSize: HTMLInputElement; epsilon: HTMLInputElement; steps: HTMLInputElement };
  readonly #ranges: HTMLFieldSetElement;

  constructor(
    { classes, label }: Facts,
    private readonly changes: Changes,
  ) {
    this.#target.append(...classes.map((name, i) => element("option", { value: String(i) }, spoken(name))));
    this.#face.addEventListener("change", changes.face);
    this.#target.addEventListener("change", () => {
      this.#consent.checked = false; // another person has not agreed
      this.#changed();
    });
    this.#consent.addEventListener("change", () => this.#changed());
    const range = (min: number, max: number, step: number, value: number) => element("input", { type: "range", min: String(min), max: String(max), step: String(step), value: String(value) });
    this.#numbers = { stepSize: range(0.5, 8, 0.5, label.stepSize), epsilon: range(1, 32, 1, label.epsilon), steps: range(1, 20, 1, label.steps) };
    const levels = (value: string) => (value === "1" ? "1 level" : `${value} levels`);
    this.#ranges = element(
      "fieldset",
      { className: "ranges", disabled: true },
      element("legend", { className: "visually-hidden" }, "Numbers of the attack"),
      this.#range("Step size", this.#numbers.stepSize, levels),
      this.#range("Most change (epsilon)", this.#numbers.epsilon, levels),
      this.#range("Steps", this.#numbers.steps, String),
    );
    const intro = `Our recognizer knows ${classes.length} people. Watch what it answers; nothing is saved.`;
    this.root.append(element("p", { className: "muted" }, intro), this.#faceRow, this.#attacks(), this.#targetRows, this.#ranges);
    this.#changed(false);
  }

  /** Which of the faces, from 0. */
  get face(): number {
    return Math.max(0, this.#face.selectedIndex);
  }

  /** How the face is attacked; missing where it is not, or may not be. */
  get plan(): LabelPlan | undefined {
    if (this.#attack === "none" || (this.#attack === "targeted" && !this.#consent.checked)) return undefined;
    const { stepSize, epsilon, steps } = this.#numbers;
    const numbers = { stepSize: Number(stepSize.value), epsilon: Number(epsilon.value), steps: Number(steps.value) };
    return this.#attack === "targeted" ? { ...numbers, label: this.#target.selectedIndex } : numbers;
  }

  /** Why there is no plan; "" where none is asked for. */
  get why(): string {
    return this.#attack === "targeted" ? `This makes ${this.#name} the match. Say that they agree.` : "";
  }

  /** Let the user choose among so many faces. */
  show(faces: number): void {
    this.#face.replaceChildren(...Array.from({ length: faces }, (_, i) => element("option", {}, String(i + 1))));
    this.#faceRow.hidden = faces < 2;
  }

  get #name(): string {
    return this.#target.selectedOptions[0]?.textContent ?? "";
  }

  #attacks(): HTMLElement {
    const options = Object.entries(ATTACKS).map(([value, explanation]) => {
      const input = element("input", { type: "radio", name: "attack", value, checked: value === this.#attack });
      input.addEventListener("change", () => {
        this.#attack = value as Attack;
        this.#changed();
      });
      return element("label", {}, input, element("span", {}, value), element("small", {}, explanation));
    });
    return element("fieldset", { className: "options" }, element("legend", {}, "Attack"), ...options);
  }

  #range(text: string, input: HTMLInputElement, unit: (value: string) => string): HTMLElement {
    const output = element("output", {}, unit(input.value));
    input.addEventListener("input", () => {
      output.textContent = unit(input.value);
      input.setAttribute("aria-valuetext", output.textContent);
    });
    input.addEventListener("change", () => this.#changed());
    return element("label", { className: "range" }, element("span", {}, text), output, input);
  }

  #changed(tell = true): void {
    this.#targetRows.hidden = this.#attack !== "targeted";
    this.#ranges.disabled = this.#attack === "none";
    this.#consentText.textContent = `This makes ${this.#name} the match, and they agree to it.`;
    if (tell) this.changes.plan();
  }
}
