/** The quality with which a lossy WebP was written, from its quantizers (RFC 6386). */

import { frameOf } from "./webp";

/**
 * Estimate the quality, 0 to 100, with which libwebp would quantize as the picture of a file is quantized; undefined
 * where there is no such picture.
 */
export function webpQuality(picture: Uint8Array): number | undefined {
  const { name, content } = frameOf(picture);
  if (name !== "VP8 " || content.length < 11 || content[0]! & 1) return undefined;
  // The inverse of libwebp's QualityToCompression(): the quantizer's index is 127 (1 - compression), rounded down. It
  // spreads the segments around what a single one would have, so that the mean of their logarithms is that.
  let logarithm = 0;
  for (const [step, share] of quantizers(new BoolDecoder(content.subarray(10)))) {
    logarithm += share * Math.log(Math.max(1 - (step + 0.5) / 127, 0.004));
  }
  const linear = Math.exp(logarithm) ** 3;
  const quality = 100 * (linear < 0.5 ? linear * 1.5 : (linear + 1) / 2);
  return roundHalfEven(quality);
}

function roundHalfEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 ? low + 1 : low;
}

/** Return the quantizer's index, 0 to 127, of each segment and its share of the picture (section 9). */
function quantizers(bits: BoolDecoder): [step: number, share: number][] {
  bits.number(2); // colour space, clamping
  let segments: number[] = [];
  let absolute = true;
  let tree = [1, 1, 1];
  if (bits.number(1)) {
    const withMap = bits.number(1);
    if (bits.number(1)) {
      absolute = bits.number(1) === 1;
      segments = [0, 1, 2, 3].map(() => bits.signed(7));
      for (let i = 0; i < 4; i++) bits.signed(6); // of the loop filter
    }
    if (withMap) tree = tree.map(() => (bits.number(1) ? bits.number(8) / 255 : 1));
  }
  bits.number(10); // of the loop filter
  if (bits.number(1) && bits.number(1)) for (let i = 0; i < 8; i++) bits.signed(6);
  bits.number(2); // partitions
  const base = bits.number(7);
  if (segments.length === 0) return [[base, 1]];
  const [low, first, third] = tree as [number, number, number]; // of a segment below the third, of the first among these, ...
  const shares = [low * first, low * (1 - first), (1 - low) * third, (1 - low) * (1 - third)];
  return segments.map((step, i) => [Math.min(127, Math.max(0, absolute ? step : base + step)), shares[i]!]);
}

/** The boolean decoder of section 7, for bits of which either value is as likely. */
class BoolDecoder {
  #at = 2;
  #value: number;
  #range = 255;
  #shifts = 0;

  constructor(private readonly data: Uint8Array) {
    this.#value = ((data[0] ?? 0) << 8) | (data[1] ?? 0);
  }

  number(length: number): number {
    let result = 0;
    for (let i = 0; i < length; i++) result = 2 * result + this.#bit();
    return result;
  }

  /** Read a flag and, where it is set, a number of so many bits and its sign; 0 without. */
  signed(length: number): number {
    if (!this.number(1)) return 0;
    const number = this.number(length);
    return this.number(1) ? -number : number;
  }

  #bit(): number {
    const split = 1 + ((this.#range - 1) >> 1);
    const bit = this.#value >= split << 8;
    if (bit) {
      this.#range -= split;
      this.#value -= split << 8;
    } else {
      this.#range = split;
    }
    while (this.#range < 128) {
      this.#value <<= 1;
      this.#range <<= 1;
      if (++this.#shifts === 8) {
        this.#shifts = 0;
        this.#value |= this.data[this.#at++] ?? 0;
      }
    }
    return bit ? 1 : 0;
  }
}
