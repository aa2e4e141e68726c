/**
 * From pixels to quantized coefficients, as libjpeg computes them: the colour transform in 16-bit fixed point, the
 * accurate integer DCT of Loeffler, Ligtenberg and Moschytz (`jfdctint`), and division with rounding.
 */

/** Where the coefficient that is i-th in the file lies in the block. */
export const ZIGZAG = Uint8Array.of(
  0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36,
  29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
);

/** The samples of one block row of a component, one byte each, in rows of `stride`. */
export type Strip = Uint8Array;

/**
 * Fill the strips of one row of blocks with luma and chroma; the last column and row are repeated up to whole blocks.
 *
 * @param data u8 [height, width, channels] with 1 channel or 3.
 * @param strips one a channel, each 8 rows of `stride` bytes.
 */
export function fillStrips(data: Uint8Array, width: number, height: number, top: number, strips: Strip[], stride: number): void {
  const channels = strips.length;
  for (let row = 0; row < 8; row++) {
    const source = Math.min(top + row, height - 1) * width * channels;
    const at = row * stride;
    if (channels === 1) strips[0]!.set(data.subarray(source, source + width), at);
    else toYcc(data, source, width, strips as [Strip, Strip, Strip], at);
    for (const strip of strips) strip.fill(strip[at + width - 1]!, at + width, at + stride);
  }
}

function toYcc(data: Uint8Array, source: number, width: number, [luma, blue, red]: [Strip, Strip, Strip], at: number): void {
  for (let x = 0, i = source; x < width; x++, i += 3) {
    const r = data[i]!;
    const g = data[i + 1]!;
    const b = data[i + 2]!;
    luma[at + x] = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
    blue[at + x] = (-11059 * r - 21709 * g + 32768 * b + 8421375) >> 16;
    red[at + x] = (32768 * r - 27439 * g - 5329 * b + 8421375) >> 16;
  }
}

const work = new Int32Array(64);

/**
 * Transform and quantize a block of 8 x 8 samples.
 *
 * @param table 64 divisors in the order of the file.
 * @param out where the 64 coefficients go, in the order of the file.
 */
export function transformBlock(samples: Uint8Array, at: number, stride: number, table: Uint16Array, out: Int16Array, outAt: number): void {
  for (let row = 0, i = at; row < 64; row += 8, i += stride) {
    for (let x = 0; x < 8; x++) work[row + x] = samples[i + x]! - 128;
    transform(row, 1, 11, true);
  }
  for (let column = 0; column < 8; column++) transform(column, 8, 15, false);
  for (let i = 0; i < 64; i++) {
    const value = work[ZIGZAG[i]!]!;
    const divisor = table[i]! << 3;
    out[outAt + i] = value < 0 ? -(((divisor >> 1) - value) / divisor | 0) : ((divisor >> 1) + value) / divisor | 0;
  }
}

/** One-dimensional DCT of eight of the block's numbers, in place; constants have 13 bits behind the point. */
function transform(at: number, step: number, shift: number, isFirst: boolean): void {
  const w = work;
  const [i1, i2, i3, i4, i5, i6, i7] = [at + step, at + 2 * step, at + 3 * step, at + 4 * step, at + 5 * step, at + 6 * step, at + 7 * step] as const;
  const half = 1 << (shift - 1);
  const a0 = w[at]! + w[i7]!, b0 = w[at]! - w[i7]!;
  const a1 = w[i1]! + w[i6]!, b1 = w[i1]! - w[i6]!;
  const a2 = w[i2]! + w[i5]!, b2 = w[i2]! - w[i5]!;
  const a3 = w[i3]! + w[i4]!, b3 = w[i3]! - w[i4]!;
  const c0 = a0 + a3, c3 = a0 - a3, c1 = a1 + a2, c2 = a1 - a2;
  w[at] = isFirst ? (c0 + c1) << 2 : (c0 + c1 + 2) >> 2;
  w[i4] = isFirst ? (c0 - c1) << 2 : (c0 - c1 + 2) >> 2;
  const z = (c2 + c3) * 4433;
  w[i2] = (z + c3 * 6270 + half) >> shift;
  w[i6] = (z - c2 * 15137 + half) >> shift;
  const z5 = (b3 + b1 + b2 + b0) * 9633;
  const z1 = (b3 + b0) * -7373, z2 = (b2 + b1) * -20995;
  const z3 = (b3 + b1) * -16069 + z5, z4 = (b2 + b0) * -3196 + z5;
  w[i7] = (b3 * 2446 + z1 + z3 + half) >> shift;
  w[i5] = (b2 * 16819 + z2 + z4 + half) >> shift;
  w[i3] = (b1 * 25172 + z2 + z3 + half) >> shift;
  w[i1] = (b0 * 12299 + z1 + z4 + half) >> shift;
}
