/** Pixels in memory: grey or RGB, with or without alpha, and how parts of them are read and written. */

import { type Corner, type Rect, overlap } from "../faces";

/** L, LA, RGB or RGBA, by the number of channels: u8 [height, width, channels]. */
export interface Raster {
  width: number;
  height: number;
  channels: 1 | 2 | 3 | 4;
  data: Uint8Array;
}

/** Rows of RGBA as a decoder gives them. */
export interface RowSource {
  width: number;
  height: number;
  /** Return so many rows, u8 [rows, width, 4], of use until the next call. */
  rows(top: number, count: number): Uint8Array | Uint8ClampedArray;
  close(): void;
}

/** Pixels are read in bands of about so many, which need little memory. */
const BAND = 2 ** 19;
/** Lossy coding and scanners leave the channels of a black and white photo up to so many levels apart: no visible colour. */
const GREY_SPREAD = 4;

/**
 * Read all rows, and turn them upright.
 *
 * @param orientation 1 to 8, as EXIF has it.
 * @param pause is asked between bands.
 */
export async function readRaster(source: RowSource, channels: Raster["channels"], orientation: number, pause?: () => Promise<void> | undefined): Promise<Raster> {
  const { width: w, height: h } = source;
  const [width, height] = orientation > 4 ? [h, w] : [w, h];
  const data = new Uint8Array(width * height * channels);
  const last = (height - 1) * width;
  // Where the first stored pixel goes, how far the next in its row lies from it, and the next row.
  const [start, stepX, stepY] = [
    [0, 1, width],
    [w - 1, -1, width],
    [last + w - 1, -1, -width],
    [last, 1, -width],
    [0, width, 1],
    [h - 1, width, -1],
    [last + h - 1, -width, -1],
    [last, -width, 1],
  ][orientation - 1] as [number, number, number];
  for (const { at, count } of bands(0, h, w)) {
    await pause?.();
    const band = source.rows(at, count);
    for (let y = 0; y < count; y++) {
      copyRow(band, y * w * 4, w, data, start + (at + y) * stepY, stepX, channels);
    }
  }
  return { width, height, channels, data };
}

function* bands(top: number, bottom: number, width: number): Generator<{ at: number; count: number }> {
  const rows = Math.max(1, Math.floor(BAND / width));
  for (let at = top; at < bottom; at += rows) yield { at, count: Math.min(rows, bottom - at) };
}

function copyRow(rgba: Uint8Array | Uint8ClampedArray, from: number, count: number, data: Uint8Array, to: number, step: number, channels: number): void {
  let at = to * channels;
  step *= channels;
  for (let i = from, end = from + 4 * count; i < end; i += 4, at += step) {
    data[at] = rgba[i]!;
    if (channels === 3 || channels === 4) {
      data[at + 1] = rgba[i + 1]!;
      data[at + 2] = rgba[i + 2]!;
      if (channels === 4) data[at + 3] = rgba[i + 3]!;
    } else if (channels === 2) {
      data[at + 1] = rgba[i + 3]!;
    }
  }
}

/** Tell whether nobody sees colour in a picture. */
export function isGrey({ data, channels }: Raster): boolean {
  if (channels < 3) return true;
  for (let i = 0; i < data.length; i += channels) {
    const r = data[i]!, g = data[i + 1]!, b = data[i + 2]!;
    const low = r < g ? (r < b ? r : b) : g < b ? g : b;
    const high = r > g ? (r > b ? r : b) : g > b ? g : b;
    if (high - low > GREY_SPREAD) return false;
  }
  return true;
}

/** Return the pixels as RGB, u8 [height, width, 3]: the raster's own where it is RGB. */
export function toRgb(raster: Raster): Uint8Array {
  const { width, height, channels, data } = raster;
  if (channels === 3) return data;
  const pixels = new Uint8Array(width * height * 3);
  copyRect(raster, { left: 0, top: 0, right: width, bottom: height }, pixels, width, [0, 0]);
  return pixels;
}

/** Return a square, u8 [side, side, 3]; what lies outside the picture is black. */
export function cutSquare(raster: Raster, corner: Corner, side: number): Uint8Array {
  const square = new Uint8Array(side * side * 3);
  copyRect(raster, overlap(raster.width, raster.height, side, corner), square, side, corner);
  return square;
}

/** Copy a part of a picture into RGB of another width, whose upper left corner lies at (x, y) in the picture. */
function copyRect({ data, width, channels }: Raster, { left, top, right, bottom }: Rect, pixels: Uint8Array, into: number, [x, y]: Corner): void {
  for (let row = top; row < bottom; row++) {
    let at = ((row - y) * into + left - x) * 3;
    for (let i = (row * width + left) * channels, end = (row * width + right) * channels; i < end; i += channels, at += 3) {
      pixels[at] = data[i]!;
      pixels[at + 1] = data[channels < 3 ? i : i + 1]!;
      pixels[at + 2] = data[channels < 3 ? i : i + 2]!;
    }
  }
}

/** Return of the picture that a decoder gives what `cutSquare` would. */
export function readSquare(source: RowSource, corner: Corner, side: number): Uint8Array {
  const { width, height } = source;
  const square = new Uint8Array(side * side * 3);
  const { left, top, right, bottom } = overlap(width, height, side, corner);
  for (const { at, count } of bands(top, bottom, width)) {
    const band = source.rows(at, count);
    for (let y = 0; y < count; y++) copyRow(band, (y * width + left) * 4, right - left, square, (at + y - corner[1]) * side + left - corner[0], 1, 3);
  }
  return square;
}

/**
 * Write a square, u8 [side, side, 3], back into a picture; the part outside is dropped.
 *
 * Of a grey picture, each pixel's channels all change by the difference of the means, so that they stay as far apart as
 * they were; by less where one of them would leave 0 to 255. Alpha stays as it is.
 */
export function pasteSquare(raster: Raster, square: Uint8Array, side: number, corner: Corner, grey: boolean): void {
  const { data, width, channels } = raster;
  const { left, top, right, bottom } = overlap(width, raster.height, side, corner);
  const colours = channels < 3 ? 1 : 3;
  for (let y = top; y < bottom; y++) {
    let from = ((y - corner[1]) * side + left - corner[0]) * 3;
    for (let x = left, at = (y * width + left) * channels; x < right; x++, at += channels, from += 3) {
      if (!grey) {
        data[at] = square[from]!;
        data[at + 1] = square[from + 1]!;
        data[at + 2] = square[from + 2]!;
        continue;
      }
      const before = colours === 1 ? data[at]! : mean(data[at]!, data[at + 1]!, data[at + 2]!);
      const shift = mean(square[from]!, square[from + 1]!, square[from + 2]!) - before;
      shiftPixel(data, at, colours, shift);
    }
  }
}

function shiftPixel(data: Uint8Array, at: number, colours: number, shift: number): void {
  let lowest = 255;
  let highest = 0;
  for (let i = at; i < at + colours; i++) {
    lowest = Math.min(lowest, data[i]!);
    highest = Math.max(highest, data[i]!);
  }
  const bounded = Math.min(Math.max(shift, -lowest), 255 - highest);
  for (let i = at; i < at + colours; i++) data[i]! += bounded;
}

/** The rounded mean of three levels. */
function mean(r: number, g: number, b: number): number {
  return Math.floor((r + g + b + 1) / 3);
}

/** Replace each pixel's channels by their rounded mean, in place; u8 [..., 3]. */
export function makeGrey(pixels: Uint8Array): Uint8Array {
  for (let i = 0; i < pixels.length; i += 3) pixels.fill(mean(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!), i, i + 3);
  return pixels;
}
