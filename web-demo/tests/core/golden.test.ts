import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import * as ort from "onnxruntime-web/wasm";
import { beforeAll, describe, expect, it } from "vitest";

import { runCloak } from "../../src/core/cloak";
import { findFaces } from "../../src/core/detect";
import { type Box, type Corner, squareAround } from "../../src/core/faces";
import { Graphs } from "../../src/core/graphs";
import { readManifest } from "../../src/core/manifest";
import { encodeJpeg } from "../../src/core/photo/jpeg/encode";
import { ZIGZAG } from "../../src/core/photo/jpeg/dct";
import { type Raster, cutSquare, pasteSquare } from "../../src/core/photo/raster";
import { compare, recognize, view } from "../../src/core/subject";
import golden from "../../../tests/golden/golden.json";
import { artifacts, goldenFolder as folder, initPictures, picture } from "./pictures";

const manifestFile = join(artifacts, "manifest.json");
const manifest = existsSync(manifestFile) ? readManifest(readFileSync(manifestFile, "utf8")) : undefined;
/** The vectors belong to artifacts of this checkpoint and these recognizers. */
const belongs = manifest?.checkpoint_sha256 === golden.artifacts.checkpoint_sha256 && manifest.surrogates.map(({ name }) => name).join() === golden.artifacts.surrogates.join();

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

describe("the golden vectors", () => {
  let photo: Raster;
  const corner = golden.square.corner as unknown as Corner;
  const { side } = golden.square;

  beforeAll(async () => {
    await initPictures();
    photo = await picture(golden.photo.file);
  });

  it("squares", () => {
    expect(sha256(photo.data)).toBe(golden.photo.sha256);
    expect(sha256(cutSquare(photo, corner, side))).toBe(golden.square.sha256);
    for (const each of golden.squares) {
      const square = squareAround(each.box as unknown as Box, golden.square.crop_margin);
      expect(square).toEqual({ corner: each.corner, side: each.side });
      expect(sha256(cutSquare(photo, square.corner, square.side))).toBe(each.sha256);
    }
  });

  it("pasting", async () => {
    const copy = { ...photo, data: photo.data.slice() };
    const square = await picture(golden.cloak.after.at(-1)!.file);
    pasteSquare(copy, square.data, side, corner, false);
    expect(sha256(copy.data)).toBe(golden.pasted.sha256);
  });

  it("JPEG", async () => {
    const { part, tables, files } = golden.jpeg;
    const [left, top, right, bottom] = part as [number, number, number, number];
    const [width, height] = [right - left, bottom - top];
    const data = new Uint8Array(width * height * 3);
    for (let y = 0; y < height; y++) {
      const from = ((top + y) * photo.width + left) * 3;
      data.set(photo.data.subarray(from, from + width * 3), y * width * 3);
    }
    const fileOrder = tables.map((table) => Uint16Array.from(ZIGZAG, (natural) => table[natural]!));
    for (const { file, optimized, progressive } of files) {
      const written = await encodeJpeg(data, width, height, 3, { tables: fileOrder, optimize: optimized, progressive });
      const expected = readFileSync(join(folder, file));
      expect(expected.equals(written), file).toBe(true);
    }
  });

  it.skipIf(!belongs)("boxes, embeddings and steps", { timeout: 180_000 }, async () => {
    ort.env.wasm.numThreads = 1;
    const graphs = new Graphs(manifest!, async (name) => new Uint8Array(readFileSync(join(artifacts, name))));
    const { tolerance, detector, recognizer, cloak } = golden;
    const { faces } = await findFaces(graphs, photo.data, photo.width, photo.height);
    expect(faces).toHaveLength(detector.faces.length);
    for (const [i, edge] of faces[0]!.box.entries()) expect(Math.abs(edge - detector.faces[0]!.box[i]!)).toBeLessThanOrEqual(tolerance.box);

    const square = cutSquare(photo, corner, side);
    const keypoints = Float32Array.from(cloak.keypoints.flat());
    const part = { side, keypoints } as never;
    const [before, seen] = [await view(graphs, square, part), await recognize(graphs, square, side)];
    for (const [i, value] of recognizer.embedding.entries()) expect(Math.abs(seen.embedding[i]! - value)).toBeLessThanOrEqual(tolerance.embedding);
    for (const [i, value] of cloak.reference.entries()) expect(Math.abs(before.reference[i]! - value)).toBeLessThanOrEqual(tolerance.reference);

    for (const { done, file, similarities } of cloak.after) {
      const plan = { budget: cloak.budget, clamp: cloak.clamp, steps: cloak.steps };
      const input = { square, side, keypoints, reference: before.reference, seed: cloak.seed, plan };
      const changed = await runCloak(graphs, input, undefined, done);
      expect(changed.every((level, i) => Math.abs(level - square[i]!) <= cloak.clamp)).toBe(true);
      const seen = compare(graphs, before, await view(graphs, changed, part)).slice(1);
      for (const [i, { similarity }] of seen.entries()) expect(Math.abs(similarity - similarities[i]!)).toBeLessThanOrEqual(tolerance.similarity);
      if (done > 1) continue;
      const expected = await picture(file);
      const difference = changed.reduce((sum, level, i) => sum + Math.abs(level - expected.data[i]!), 0) / changed.length;
      expect(difference).toBeLessThanOrEqual(tolerance.first_step);
    }
  });
});
