/** The browser's decoders, and libraries for what they cannot give exactly. */

import { type Bytes, release } from "../core/photo/bytes";
import type { Codec, PictureRequest, WebpOptions } from "../core/photo/codec";
import { MIME } from "../core/photo/photo";
import type { Raster, RowSource } from "../core/photo/raster";

export const browserCodec: Codec = {
  async decode(request: PictureRequest): Promise<RowSource> {
    // A canvas multiplies colours with alpha and divides again, which is not exact.
    return request.alpha ? decodeAlpha(request) : decodeOpaque(request);
  },

  async encodeWebp(raster: Raster, options: WebpOptions): Promise<Bytes> {
    const { default: encode } = await import("@jsquash/webp/encode");
    return new Uint8Array(await encode(toImageData(raster), webpOptions(options)));
  },
};

/** What Pillow asks of the encoder; `exact` keeps the colours of what is transparent. */
export function webpOptions({ lossless, quality }: WebpOptions): { lossless: number; exact: number; quality: number } {
  return { lossless: lossless ? 1 : 0, exact: 1, quality: lossless ? 80 : quality };
}

async function decodeOpaque({ format, picture }: PictureRequest): Promise<RowSource> {
  // With no options, which Chromium follows by making a second bitmap.
  const bitmap = await createImageBitmap(new Blob([picture], { type: MIME[format] }));
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, 0);
  let band = new Uint8ClampedArray(0);
  return {
    width,
    height,
    rows(top, count) {
      release(band);
      if (canvas.height !== count) canvas.height = count;
      const context = canvas.getContext("2d", { willReadFrequently: true })!;
      context.imageSmoothingEnabled = false;
      context.globalCompositeOperation = "copy";
      context.drawImage(bitmap, 0, top, width, count, 0, 0, width, count);
      return (band = context.getImageData(0, 0, width, count).data);
    },
    close() {
      release(band);
      canvas.width = 0; // what it has drawn, it holds
      bitmap.close();
    },
  };
}

async function decodeAlpha({ format, picture }: PictureRequest): Promise<RowSource> {
  const { default: decode } = format === "PNG" ? await import("@jsquash/png/decode") : await import("@jsquash/webp/decode");
  const { width, height, data } = await decode(picture.buffer);
  return { width, height, rows: (top, count) => data.subarray(top * width * 4, (top + count) * width * 4), close: () => undefined };
}

function toImageData({ width, height, channels, data }: Raster): ImageData {
  if (channels === 4) return new ImageData(new Uint8ClampedArray(data.buffer as ArrayBuffer, data.byteOffset, data.length), width, height);
  const rgba = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let i = 0, at = 0; i < data.length; i += 3, at += 4) rgba.set(data.subarray(i, i + 3), at);
  return new ImageData(rgba, width, height);
}
