/** A decoded photo: parts of it, parts written back, and the file encoded again. */

import { PhotoError } from "../errors";
import type { Corner } from "../faces";
import { type Bytes, release } from "./bytes";
import type { Codec } from "./codec";
import { encodeJpeg } from "./jpeg/encode";
import { metadataSegments } from "./jpeg/segments";
import type { Beside } from "./metadata";
import type { Format } from "./parts";
import { encodePng } from "./pngEncode";
import { type Raster, cutSquare, pasteSquare, toRgb } from "./raster";
import { withMetadata } from "./webp";

/** How the file is written, as the one that was read. */
export type Coding =
  | { format: "JPEG"; tables: Uint16Array[]; optimize: boolean; progressive: boolean }
  | { format: "PNG" }
  | { format: "WEBP"; lossless: boolean; quality: number };

export const MIME: Record<Format, string> = { JPEG: "image/jpeg", PNG: "image/png", WEBP: "image/webp" };

export class Photo {
  constructor(
    private readonly raster: Raster,
    /** The three channels of each pixel are equal, or at most four levels apart everywhere. */
    readonly grey: boolean,
    readonly format: Format,
    /** What differs from the original file in ways that the user may want to know, one line each. */
    readonly notes: readonly string[],
    private readonly coding: Coding,
    private readonly beside: Beside,
  ) {}

  get width(): number {
    return this.raster.width;
  }

  get height(): number {
    return this.raster.height;
  }

  /** The pixels, u8 [height, width, 3]; not to be changed. */
  get pixels(): Uint8Array {
    return toRgb(this.raster);
  }

  /** Return a square, u8 [side, side, 3]; black outside the photo. */
  cut(corner: Corner, side: number): Uint8Array {
    return cutSquare(this.raster, corner, side);
  }

  /** Write a square back; the part outside is dropped. A grey photo stays grey. */
  paste(square: Uint8Array, side: number, corner: Corner): void {
    pasteSquare(this.raster, square, side, corner, this.grey);
  }

  /** Give back the memory of the pixels; the photo is of no use afterwards. */
  release(): void {
    release(this.raster.data);
  }

  /**
   * Return a file of this photo's kind; a photo stored as grey is written as grey.
   *
   * @throws PhotoError the format cannot hold the photo.
   */
  async encode(codec: Codec, pause?: () => Promise<void> | undefined): Promise<Bytes> {
    const { raster, coding, beside } = this;
    if (coding.format === "PNG") return encodePng(raster, beside, pause);
    if (coding.format === "WEBP") {
      return withMetadata(await codec.encodeWebp(raster, coding), beside);
    }
    if (raster.width > 65535 || raster.height > 65535) throw new PhotoError("cannot be written as JPEG (it is too large); convert it to PNG first");
    const { tables, optimize, progressive } = coding;
    return encodeJpeg(raster.data, raster.width, raster.height, raster.channels as 1 | 3, {
      ...{ tables, optimize, progressive },
      ...(beside.dpi && { dpi: beside.dpi }),
      segments: metadataSegments(beside),
      ...(pause && { pause }),
    });
  }
}
