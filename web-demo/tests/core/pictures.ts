/** Pictures of the golden vectors, in node. */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

import decodePng, { init } from "@jsquash/png/decode";

import type { Raster } from "../../src/core/photo/raster";

export const goldenFolder = join(import.meta.dirname, "../../../tests/golden");
export const artifacts = join(import.meta.dirname, "../../../artifacts");

/** Make the decoder ready. */
export async function initPictures(): Promise<void> {
  // What the decoder returns, which node lacks.
  globalThis.ImageData ??= class {
    constructor(
      readonly data: Uint8ClampedArray,
      readonly width: number,
      readonly height = data.length / 4 / width,
    ) {}
  } as never;
  await init(readFileSync(join(import.meta.dirname, "../../node_modules/@jsquash/png/codec/pkg/squoosh_png_bg.wasm")));
}

/** Return a picture; a name is of one of the golden vectors. */
export async function picture(file: string): Promise<Raster> {
  const data = new Uint8Array(readFileSync(resolve(goldenFolder, file)));
  const { width, height, data: rgba } = await decodePng(data.buffer);
  return { width, height, channels: 3, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => rgba[Math.floor(i / 3) * 4 + (i % 3)]!) };
}
