import { readFileSync } from "node:fs";
import { join } from "node:path";

import encode, { init } from "@jsquash/webp/encode";
import { beforeAll, describe, expect, it } from "vitest";

import { readWebpHeader, takeApartWebp, withMetadata } from "../../src/core/photo/webp";
import { webpQuality } from "../../src/core/photo/webpQuality";
import { webpOptions } from "../../src/worker/browserCodec";
import golden from "../golden/webp.json";
import { pixels } from "./pixels";

const [WIDTH, HEIGHT] = [96, 70];

describe("a WebP of given pixels", () => {
  beforeAll(async () => {
    const folder = join(import.meta.dirname, "../../node_modules/@jsquash/webp/codec/enc");
    await init(await WebAssembly.compile(readFileSync(join(folder, "webp_enc_simd.wasm"))));
  });

  for (const { channels, quality = 80, lossless = false, estimate, file } of golden) {
    const name = `${channels} channels, ${lossless ? "lossless" : `quality ${quality}`}`;
    const expected = new Uint8Array(Buffer.from(file, "base64"));

    // Of lossless files the pixels alone have to be equal, which tests of the page show.
    if (!lossless) it(`${name}: has Pillow's bytes`, async () => {
      const rgba = new Uint8ClampedArray(WIDTH * HEIGHT * 4).fill(255);
      const data = pixels(WIDTH, HEIGHT, channels);
      for (let i = 0; i < WIDTH * HEIGHT; i++) rgba.set(data.subarray(i * channels, (i + 1) * channels), i * 4);
      const image = { data: rgba, width: WIDTH, height: HEIGHT } as ImageData;
      const written = new Uint8Array(await encode(image, webpOptions({ lossless, quality })));
      expect(written.findIndex((byte, i) => byte !== expected[i])).toBe(-1);
      expect(written.length).toBe(expected.length);
    });

    it(`${name}: has the quality that Python estimates`, () => {
      expect(webpQuality(takeApartWebp(expected).picture)).toBe(estimate ?? undefined);
    });

    it(`${name}: takes a profile ahead of the pixels`, () => {
      const file = withMetadata(expected, { profile: Uint8Array.of(1, 2, 3) });
      const parts = takeApartWebp(file);
      expect([...parts.profile]).toEqual([1, 2, 3]);
      expect(readWebpHeader(parts.picture)).toMatchObject({ width: WIDTH, height: HEIGHT, alpha: channels === 4, lossless });
      expect(parts.others).toEqual([]);
    });
  }
});
