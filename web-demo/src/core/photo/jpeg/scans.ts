/** The scans of a JPEG: coefficients to symbols and bits, all at once or from coarse to fine (sections F.1 and G.1). */

import type { Sink } from "./huffman";

/** Quantized coefficients of one component: blocks of 64 in the order of the file, row by row. */
export interface Component {
  coefficients: Int16Array;
  blocks: number;
}

/** What one scan holds: components by number, the band of coefficients, and the bits that it adds. */
export interface Scan {
  components: number[];
  from: number;
  to: number;
  /** Bits that an earlier scan wrote down to; 0 for the first of this band. */
  high: number;
  low: number;
}

/** Numbers of the tables: DC and AC of the first component, then of the others. */
export const dcTable = (component: number): number => (component ? 2 : 0);
export const acTable = (component: number): number => (component ? 3 : 1);

const MAX_RUN = 0x7fff;
const MAX_CORRECTIONS = 1000 - 63;

/** The scans of a progressive file as libjpeg orders them. */
export function progression(components: number): Scan[] {
  const scan = (which: number[], from: number, to: number, high: number, low: number) => ({ components: which, from, to, high, low });
  if (components === 1) {
    return [scan([0], 0, 0, 0, 1), scan([0], 1, 5, 0, 2), scan([0], 6, 63, 0, 2), scan([0], 1, 63, 2, 1), scan([0], 0, 0, 1, 0), scan([0], 1, 63, 1, 0)];
  }
  return [
    ...[scan([0, 1, 2], 0, 0, 0, 1), scan([0], 1, 5, 0, 2), scan([2], 1, 63, 0, 1), scan([1], 1, 63, 0, 1), scan([0], 6, 63, 0, 2)],
    ...[scan([0], 1, 63, 2, 1), scan([0, 1, 2], 0, 0, 1, 0), scan([2], 1, 63, 1, 0), scan([1], 1, 63, 1, 0), scan([0], 1, 63, 1, 0)],
  ];
}

/** Encode one scan of a progressive file. */
export function encodeScan(all: readonly Component[], scan: Scan, sink: Sink): void {
  const component = all[scan.components[0]!]!;
  if (scan.from > 0 && scan.high === 0) encodeAcFirst(component, scan, sink);
  else if (scan.from > 0) encodeAcRefinement(component, scan, sink);
  else if (scan.high === 0) encodeBlocks(all, scan.low, false, new Int32Array(all.length), sink);
  else for (let at = 0; at < component.blocks * 64; at += 64) for (const each of scan.components) sink.bits(all[each]!.coefficients[at]! >> scan.low, 1);
}

/**
 * Encode blocks, one of each component after the other: whole ones, or the first coefficient of each.
 *
 * @param low how many bits of the first coefficient are left for a later scan.
 * @param last of each component the first coefficient before these blocks; changed to that of the last of them.
 */
export function encodeBlocks(all: readonly Component[], low: number, whole: boolean, last: Int32Array, sink: Sink): void {
  for (let at = 0; at < all[0]!.blocks * 64; at += 64) {
    for (const [number, { coefficients }] of all.entries()) {
      const value = coefficients[at]! >> low;
      const difference = value - last[number]!;
      last[number] = value;
      const length = bitLength(difference);
      sink.symbol(dcTable(number), length);
      if (length) sink.bits(difference < 0 ? difference - 1 : difference, length);
      if (whole) encodeAc(coefficients, at, acTable(number), sink);
    }
  }
}

function encodeAc(coefficients: Int16Array, at: number, table: number, sink: Sink): void {
  let run = 0;
  for (let k = 1; k < 64; k++) {
    const value = coefficients[at + k]!;
    if (value === 0) {
      run++;
      continue;
    }
    for (; run > 15; run -= 16) sink.symbol(table, 0xf0);
    const length = bitLength(value);
    sink.symbol(table, (run << 4) | length);
    sink.bits(value < 0 ? value - 1 : value, length);
    run = 0;
  }
  if (run) sink.symbol(table, 0);
}

function encodeAcFirst({ coefficients, blocks }: Component, scan: Scan, sink: Sink): void {
  const table = acTable(scan.components[0]!);
  let ends = 0;
  for (let block = 0; block < blocks; block++) {
    let run = 0;
    for (let k = scan.from; k <= scan.to; k++) {
      const value = coefficients[block * 64 + k]!;
      const size = Math.abs(value) >> scan.low;
      if (size === 0) {
        run++;
        continue;
      }
      if (ends) ends = writeEnds(ends, table, sink);
      for (; run > 15; run -= 16) sink.symbol(table, 0xf0);
      const length = bitLength(size);
      sink.symbol(table, (run << 4) | length);
      sink.bits(value < 0 ? ~size : size, length);
      run = 0;
    }
    if (run && ++ends === MAX_RUN) ends = writeEnds(ends, table, sink);
  }
  if (ends) writeEnds(ends, table, sink);
}

/** One more bit of coefficients that have begun, and those that begin with this bit. */
function encodeAcRefinement({ coefficients, blocks }: Component, scan: Scan, sink: Sink): void {
  const table = acTable(scan.components[0]!);
  const sizes = new Int32Array(64);
  let ends = 0;
  let waiting: number[] = []; // correction bits of blocks that end without a new coefficient
  const flushEnds = () => {
    if (ends) ends = writeEnds(ends, table, sink);
    for (const bit of waiting) sink.bits(bit, 1);
    waiting = [];
  };
  for (let block = 0; block < blocks; block++) {
    let lastNew = 0;
    for (let k = scan.from; k <= scan.to; k++) {
      sizes[k] = Math.abs(coefficients[block * 64 + k]!) >> scan.low;
      if (sizes[k] === 1) lastNew = k;
    }
    let run = 0;
    let corrections: number[] = [];
    for (let k = scan.from; k <= scan.to; k++) {
      const size = sizes[k]!;
      if (size === 0) {
        run++;
        continue;
      }
      for (; run > 15 && k <= lastNew; run -= 16) {
        flushEnds();
        sink.symbol(table, 0xf0);
        for (const bit of corrections) sink.bits(bit, 1);
        corrections = [];
      }
      if (size > 1) {
        corrections.push(size & 1);
        continue;
      }
      flushEnds();
      sink.symbol(table, (run << 4) | 1);
      sink.bits(coefficients[block * 64 + k]! < 0 ? 0 : 1, 1);
      for (const bit of corrections) sink.bits(bit, 1);
      corrections = [];
      run = 0;
    }
    if (run || corrections.length) {
      ends++;
      waiting.push(...corrections);
      if (ends === MAX_RUN || waiting.length > MAX_CORRECTIONS) flushEnds();
    }
  }
  flushEnds();
}

/** Write that so many blocks end here, and return 0. */
function writeEnds(ends: number, table: number, sink: Sink): number {
  const length = bitLength(ends) - 1;
  sink.symbol(table, length << 4);
  if (length) sink.bits(ends, length);
  return 0;
}

function bitLength(value: number): number {
  return 32 - Math.clz32(value < 0 ? -value : value);
}
