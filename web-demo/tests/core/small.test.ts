import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as ort from "onnxruntime-web/wasm";
import { describe, expect, it } from "vitest";

import { findFaces } from "../../src/core/detect";
import type { Box, Detection, Face } from "../../src/core/faces";
import { Graphs } from "../../src/core/graphs";
import { readManifest } from "../../src/core/manifest";
import { findSmall, hasParts, tiles } from "../../src/core/small";
import { astronaut, hasPython, python } from "../page/home";
import { artifacts, initPictures, picture } from "./pictures";

/** What Python finds. */
interface Theirs {
  first: Box[];
  closer: Box[];
  keypoints: [x: number, y: number][][];
  unsure: Box[];
}

/** The kernels round otherwise; in pixels. */
const TOLERANCE = 0.05;

const boxesOf = (faces: readonly Face[]) => faces.map(({ box }) => box);
const expectSame = (ours: readonly (readonly number[])[], theirs: readonly (readonly number[])[]) => {
  expect(ours).toHaveLength(theirs.length);
  for (const [i, numbers] of ours.entries()) for (const [j, each] of numbers.entries()) expect(Math.abs(each - theirs[i]![j]!)).toBeLessThan(TOLERANCE);
};

describe("a closer look", () => {
  it("goes through the parts that Python goes through", () => {
    const starts: Record<number, number[]> = { 400: [0], 896: [0], 897: [0, 1], 1664: [0, 768], 1665: [0, 384, 769], 2001: [0, 552, 1105], 4000: [0, 621, 1242, 1862, 2483, 3104] };
    for (const [length, expected] of Object.entries(starts)) expect(tiles(Number(length)), length).toEqual(expected);
    expect([hasParts(896, 896), hasParts(400, 897)]).toEqual([false, true]);
  });

  it("leaves large and cut faces to the first, and finds each once", async () => {
    // At the same place of each of two parts: one that is large, one cut at the right, one that is small and whole.
    const boxes: Box[] = [[10, 10, 148, 50], [876, 10, 900, 34], [400, 300, 430, 330], [401, 301, 431, 331]];
    const faces = boxes.map((box, i): Face => ({ box, score: 0.9 - i / 10, keypoints: new Float32Array(12) }));
    const parts: number[] = [];
    const found = await findSmall(async () => faces, new Uint8Array(1664 * 896 * 3), 1664, 896, (part, of) => void parts.push(part, of));
    expect(boxesOf(found).map(([left]) => left).sort((one, other) => one - other)).toEqual([400, 1168, 1644]);
    expect([...found.find(({ box }) => box[0] === 1168)!.keypoints.slice(0, 2)]).toEqual([768, 0]);
    expect(parts).toEqual([1, 2, 2, 2]);
  });

  it.skipIf(!hasPython)("finds what Python finds", { timeout: 300_000 }, async () => {
    const file = join(mkdtempSync(join(tmpdir(), "small-")), "photo.png");
    const text = execFileSync(python, [join(import.meta.dirname, "small.py"), artifacts, astronaut, file], { encoding: "utf8", maxBuffer: 1 << 24 });
    const theirs = JSON.parse(text) as Theirs;
    expect(theirs.closer.length).toBeGreaterThan(theirs.first.length);
    ort.env.wasm.numThreads = 1;
    await initPictures();
    const { width, height, data } = await picture(file);
    const manifest = readManifest(readFileSync(join(artifacts, "manifest.json"), "utf8"));
    const graphs = new Graphs(manifest, async (name) => new Uint8Array(readFileSync(join(artifacts, name))));
    expectSame(boxesOf((await findFaces(graphs, data, width, height)).faces), theirs.first);
    const closer: Detection = await findFaces(graphs, data, width, height, [], () => undefined);
    expectSame(boxesOf(closer.faces), theirs.closer);
    expectSame(boxesOf(closer.unsure), theirs.unsure);
    expectSame(closer.faces.map(({ keypoints }) => [...keypoints]), theirs.keypoints.map((each) => each.flat()));
  });
});
