import { describe, expect, it } from "vitest";

import { readManifest } from "../../src/core/manifest";
import { chooseFaces, planCloak } from "../../src/core/settings";
import { compare, excess, isMatch, limit, type View } from "../../src/core/subject";

const manifest = {
  format: 8,
  version: "0",
  files: {},
  graphs: {},
  recognizer: { embedding: 2, classes: ["a"], thresholds: { "0.01": 0.3 }, crop_margin: 0.1, training_data: "" },
  surrogates: [
    { name: "other", embedding: 2, thresholds: { "0.01": 0.5 } },
    { name: "recognizer", embedding: 2, thresholds: { "0.01": 0.3 } },
  ],
  match: { far: "0.01", margin: 0.05 },
  detector: { score: 0.5, unsure: 0.4 },
  cloak: {
    turns: [0, 0, 1],
    strength: { medium: [{ budget: 0.03, clamp: 12 }, { budget: 0.04, clamp: 16 }] },
    effort: { fast: { steps: 5 }, thorough: { steps: 24 } },
  },
  label: { epsilon: 8, strength: { low: 4 }, effort: { fast: { steps: 4, step_size: 4 } }, momentum: 1, diversity: 0 },
  licences: [],
  checkpoint_sha256: "",
};

const read = (change: object = {}) => readManifest(JSON.stringify({ ...manifest, ...change }));

describe("the manifest", () => {
  it("names a key that is missing, and another format", () => {
    expect(() => read({ match: { far: "0.01" } })).toThrow("manifest.json: match.margin is missing");
    expect(() => read({ surrogates: [{ name: "a", embedding: 2 }] })).toThrow("surrogates.0.thresholds is missing");
    expect(() => read({ format: 6 })).toThrow("format 6, this page reads 8");
    expect(() => read({ match: { far: "0.5", margin: 0 } })).toThrow('recognizer.thresholds."0.5" is missing');
    expect(() => readManifest("<html>")).toThrow("not JSON");
  });
});

describe("the attempts of a cloak", () => {
  it("go up the ladder with the most steps", () => {
    expect(planCloak(read(), { strength: "medium", effort: "fast" })).toEqual([
      { budget: 0.03, clamp: 12, steps: 5 },
      { budget: 0.03, clamp: 12, steps: 24 },
      { budget: 0.04, clamp: 16, steps: 24 },
    ]);
    expect(planCloak(read(), { strength: "medium", effort: "thorough" })).toHaveLength(2);
    expect(() => planCloak(read(), { strength: "constructor", effort: "fast" })).toThrow("no strength constructor; there are medium");
  });

  it("are for faces that are there", () => {
    expect(chooseFaces(3, undefined)).toEqual([1, 2, 3]);
    expect(chooseFaces(3, [3, 1, 3])).toEqual([1, 3]);
    expect(() => chooseFaces(1, [2])).toThrow("there is no face 2; the photo has 1, numbered from left to right");
  });
});

describe("a face", () => {
  const view = (...embeddings: number[]): View => ({ reference: Float32Array.from(embeddings) });
  const before = view(1, 0, 1, 0);

  it("is still a match if any recognizer says so", () => {
    const graphs = { manifest: read() } as never;
    const safe = compare(graphs, before, view(0.4, 0, 0.2, 0));
    expect(isMatch(safe)).toBe(false);
    expect(excess(safe)).toBeCloseTo(-0.1);
    const matched = compare(graphs, before, view(0.6, 0, 0.2, 0));
    expect(isMatch(matched)).toBe(true);
    expect(matched.map(({ recognizer }) => recognizer)).toEqual(["recognizer", "other"]);
  });

  it("is held within the bound of what it was, where squares overlap", () => {
    const part = { side: 2, corner: [-1, 0] as const, original: Uint8Array.of(0, 0, 0, 100, 100, 250, 0, 0, 0, 5, 5, 5) };
    const square = new Uint8Array(12).fill(120);
    expect([...limit(square, part as never, 12.9, 9, 9)]).toEqual([0, 0, 0, 112, 112, 238, 0, 0, 0, 17, 17, 17]);
  });
});
