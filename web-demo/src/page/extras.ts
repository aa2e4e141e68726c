/** The parts of the page beside its main work, Explore and Live: each is loaded when it is first opened. */

import type { Facts } from "../worker/protocol";
import { element, find } from "./dom";
import type { Engine } from "./engine";
import type { Item } from "./item";

export interface Surroundings {
  engine: Engine;
  facts: Facts;
}

/** A part in its disclosure. */
export interface Extra {
  /** It is opened, or the photo that is looked at has changed while it is open. */
  show(item: Item | undefined): void;
  /** It is closed. */
  hide(): void;
}

type Load = (body: HTMLElement, surroundings: Surroundings) => Promise<Extra>;

const PARTS: Record<string, Load> = {
  "#explore": async (body, surroundings) => new (await import("./explore")).Explore(body, surroundings),
  "#live": async (body, surroundings) => new (await import("./live")).LiveView(body, surroundings),
};

export class Extras {
  #item: Item | undefined;
  readonly #open = new Set<Extra>();

  constructor(
    private readonly engine: Engine,
    private readonly facts: Promise<Facts>,
  ) {
    for (const [selector, load] of Object.entries(PARTS)) this.#listen(find<HTMLDetailsElement>(selector), load);
  }

  show(item: Item | undefined): void {
    this.#item = item;
    for (const extra of this.#open) extra.show(item);
  }

  #listen(details: HTMLDetailsElement, load: Load): void {
    let extra: Promise<Extra> | undefined;
    details.addEventListener("toggle", () => {
      extra ??= this.#load(details, load);
      void extra.then((each) => {
        if (details.open) {
          this.#open.add(each);
          each.show(this.#item);
        } else if (this.#open.delete(each)) {
          each.hide();
        }
      });
    });
  }

  async #load(details: HTMLDetailsElement, load: Load): Promise<Extra> {
    const wait = element("p", { className: "muted", attributes: { role: "status" } }, "Waiting for the models …");
    details.append(wait);
    const body = element("div", {});
    const extra = await load(body, { engine: this.engine, facts: await this.facts });
    wait.replaceWith(body);
    return extra;
  }
}
