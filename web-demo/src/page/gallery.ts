/** The gallery in the page: photos that are added to it, and what became of them. */

import type { Engine } from "./engine";

export class Gallery {
  /** What the recognizers see in each face, f32 [D]. */
  faces: Float32Array[] = [];
  /** How many photos the faces are from. */
  photos = 0;
  /** How many photos wait to be looked at. */
  waiting = 0;
  /** Photos that were left out, a line each. */
  problems: string[] = [];

  constructor(
    private readonly engine: Engine,
    private readonly onChange: () => void,
  ) {}

  /** Look at photos, one after the other; those without a face are left out. */
  async add(files: Iterable<File>): Promise<void> {
    const added = [...files];
    this.problems = [];
    this.waiting += added.length;
    this.onChange();
    for (const file of added) {
      try {
        this.faces.push(...(await this.engine.call("enroll", { file })));
        this.photos++;
      } catch (error) {
        this.problems.push(`${file.name}: ${error instanceof Error ? error.message : String(error)}; left out`);
      }
      this.waiting--;
      this.onChange();
    }
  }

  clear(): void {
    [this.faces, this.photos, this.problems] = [[], 0, []];
    this.onChange();
  }

  /** What there is, in words; "" for nothing. */
  get summary(): string {
    const count = (number: number, what: string) => `${number} ${what}${number === 1 ? "" : "s"}`;
    const wait = this.waiting ? `Looking at ${count(this.waiting, "photo")} …` : "";
    const there = this.photos ? `${count(this.faces.length, "face")} in ${count(this.photos, "photo")}.` : "";
    return [there, wait, ...this.problems].filter(Boolean).join(" ");
  }
}
