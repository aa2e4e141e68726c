/** A PNG file of given pixels: each row filtered as is likely to compress best, then deflated by the browser. */

import { type Bytes, concat, latin1 } from "./bytes";
import type { Beside } from "./metadata";
import { SIGNATURE, XMP, chunk } from "./png";
import type { Raster } from "./raster";

const COLOUR_TYPES = { 1: 0, 2: 4, 3: 2, 4: 6 } as const;

export async function encodePng(raster: Raster, beside: Beside, pause?: () => Promise<void> | undefined): Promise<Bytes> {
  const { width, height, channels } = raster;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, COLOUR_TYPES[channels]], 8);
  const parts = [latin1.encode(SIGNATURE), chunk("IHDR", header)];
  if (beside.profile) parts.push(chunk("iCCP", concat([latin1.encode("ICC Profile\0\0"), await deflate([beside.profile])])));
  else parts.push(...beside.colour.map(([name, body]) => chunk(name, body)));
  if (beside.dpi) {
    const density = new DataView(new ArrayBuffer(9));
    beside.dpi.forEach((value, i) => density.setUint32(4 * i, Math.floor(value / 0.0254 + 0.5)));
    density.setUint8(8, 1);
    parts.push(chunk("pHYs", new Uint8Array(density.buffer)));
  }
  if (beside.exif) parts.push(chunk("eXIf", beside.exif));
  if (beside.xmp) parts.push(textChunk(XMP, beside.xmp));
  for (const { name, text } of beside.comments) parts.push(textChunk(name, new TextEncoder().encode(text)));
  const data = await deflate(filteredRows(raster), pause);
  return concat([...parts, chunk("IDAT", data), chunk("IEND", new Uint8Array(0))]);
}

/** A text in UTF-8, not compressed, of no language. */
function textChunk(name: string, text: Uint8Array): Bytes {
  return chunk("iTXt", concat([latin1.encode(name), new Uint8Array(5), text]));
}

/** Yield each row with its filter ahead: of the five the one with the smallest sum of differences. */
function* filteredRows({ data, width, height, channels }: Raster): Generator<Uint8Array> {
  const length = width * channels;
  const candidates = [0, 1, 2, 3, 4].map((filter) => new Uint8Array(length + 1).fill(filter, 0, 1));
  const nothing = new Uint8Array(length);
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * length, (y + 1) * length);
    const above = y ? data.subarray((y - 1) * length, y * length) : nothing;
    let best = candidates[0]!;
    let least = Infinity;
    for (const [filter, candidate] of candidates.entries()) {
      const sum = applyFilter(filter, row, above, channels, candidate);
      if (sum < least) [best, least] = [candidate, sum];
    }
    yield best.slice();
  }
}

function applyFilter(filter: number, row: Uint8Array, above: Uint8Array, step: number, out: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < row.length; i++) {
    const left = i < step ? 0 : row[i - step]!;
    const up = above[i]!;
    let expected = 0;
    if (filter === 1) expected = left;
    else if (filter === 2) expected = up;
    else if (filter === 3) expected = (left + up) >> 1;
    else if (filter === 4) expected = paeth(left, up, i < step ? 0 : above[i - step]!);
    const value = (row[i]! - expected) & 255;
    out[i + 1] = value;
    sum += value < 128 ? value : 256 - value;
  }
  return sum;
}

function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}

async function deflate(rows: Iterable<Uint8Array>, pause?: () => Promise<void> | undefined): Promise<Bytes> {
  const stream = new CompressionStream("deflate");
  const done = new Response(stream.readable).arrayBuffer();
  const writer = stream.writable.getWriter();
  for (const row of rows) {
    await writer.write(row as Bytes);
    await pause?.();
  }
  await writer.close();
  return new Uint8Array(await done);
}
