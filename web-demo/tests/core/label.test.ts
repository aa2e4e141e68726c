import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import * as ort from "onnxruntime-web/wasm";
import { beforeAll, describe, expect, it } from "vitest";

import { SettingError } from "../../src/core/errors";
import type { Corner } from "../../src/core/faces";
import { Graphs } from "../../src/core/graphs";
import { checkPlan, runLabel } from "../../src/core/label";
import { type Manifest, readManifest } from "../../src/core/manifest";
import { cutSquare } from "../../src/core/photo/raster";
import { recognize } from "../../src/core/subject";
import golden from "../../../tests/golden/golden.json";
import { artifacts, initPictures, picture } from "./pictures";

const file = join(artifacts, "manifest.json");
const manifest = existsSync(file) ? readManifest(readFileSync(file, "utf8")) : undefined;

describe("the numbers of an attack on a label", () => {
  const facts = { recognizer: { classes: ["Ada", "Bob"] } } as Manifest;
  const plan = { epsilon: 8, stepSize: 4, steps: 4 };

  it("have bounds", () => {
    expect(() => checkPlan(facts, { ...plan, label: 1 })).not.toThrow();
    for (const wrong of [{ epsilon: 0 }, { epsilon: Number.NaN }, { stepSize: 0 }, { stepSize: Infinity }, { steps: 0 }, { steps: 1.5 }, { steps: 1001 }, { label: 2 }]) {
      expect(() => checkPlan(facts, { ...plan, ...wrong }), JSON.stringify(wrong)).toThrow(SettingError);
    }
  });
});

describe.skipIf(!manifest)("an attack on a label", () => {
  const { side, corner } = golden.square;
  const { label, epsilon, step_size: stepSize, seed, steps, probability } = golden.label;
  let graphs: Graphs;
  let square: Uint8Array;

  beforeAll(async () => {
    ort.env.wasm.numThreads = 1;
    await initPictures();
    square = cutSquare(await picture(golden.photo.file), corner as unknown as Corner, side);
    graphs = new Graphs(manifest!, async (name) => new Uint8Array(readFileSync(join(artifacts, name))));
  });

  it("reaches the label of the golden vector, and no pixel leaves epsilon", { timeout: 120_000 }, async () => {
    const done: number[] = [];
    const changed = await runLabel(graphs, square, side, 0, { label, epsilon, stepSize, steps }, seed, (step) => void done.push(step));
    expect(done).toEqual([1, 2, 3, 4]);
    expect(changed.every((level, i) => Math.abs(level - square[i]!) <= epsilon)).toBe(true);
    const { probabilities } = await recognize(graphs, changed, side);
    expect(Math.abs(probabilities[label]! - probability)).toBeLessThan(0.05);
  });

  it("leads away from the name that is seen where there is none", { timeout: 120_000 }, async () => {
    const before = await recognize(graphs, square, side);
    const seen = manifest!.recognizer.classes.indexOf(before.name);
    const changed = await runLabel(graphs, square, side, seen, { epsilon, stepSize, steps }, seed);
    const after = await recognize(graphs, changed, side);
    expect(after.probabilities[seen]!).toBeLessThan(before.probabilities[seen]! / 2);
  });
});
