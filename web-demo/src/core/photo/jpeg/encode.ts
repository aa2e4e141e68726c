/** A JPEG file of given pixels and quantization tables, without subsampling, byte for byte as libjpeg writes it. */

import { type Bytes, ByteWriter, latin1 } from "../bytes";
import { fillStrips, transformBlock } from "./dct";
import { BitWriter, Counter, type HuffmanCode, type HuffmanSpec, STANDARD, type Sink, bestTable, codeOf } from "./huffman";
import { type Component, type Scan, acTable, dcTable, encodeBlocks, encodeScan, progression } from "./scans";

export interface JpegOptions {
  /** 1 to 4 tables of 64 numbers in the order of the file: of the first component, the second, ...; the last serves the rest. */
  tables: readonly Uint16Array[];
  progressive?: boolean;
  /** Huffman tables made for this picture; always so in a progressive file. */
  optimize?: boolean;
  /** Dots per inch. */
  dpi?: readonly [x: number, y: number];
  /** Whole segments, marker and length included, that follow the header. */
  segments?: readonly Uint8Array[];
  /** Is asked between rows of blocks; it may wait, and throws to stop. */
  pause?: () => Promise<void> | undefined;
}

const ROWS_AT_ONCE = 8;

/**
 * Encode pixels.
 *
 * @param data u8 [height, width, channels], 1 channel for grey or 3 for RGB.
 */
export async function encodeJpeg(data: Uint8Array, width: number, height: number, channels: 1 | 3, options: JpegOptions): Promise<Bytes> {
  const out = new ByteWriter();
  const numbers = channels === 1 ? [0] : [0, 1, 2];
  const tableOf = (component: number) => Math.min(component, options.tables.length - 1);
  writeHeader(out, options);
  for (const each of [...new Set(numbers.map(tableOf))]) writeTable(out, each, options.tables[each]!);
  writeFrame(out, width, height, numbers, tableOf, options);
  const source = new Blocks(data, width, height, numbers.map((each) => options.tables[tableOf(each)]!));
  if (options.progressive) await writeProgressive(out, source, options.pause);
  else await writeBaseline(out, source, options.optimize === true, options.pause);
  out.write(0xff, 0xd9);
  return out.finish();
}

/** The blocks of a picture, transformed when they are asked for, row by row. */
class Blocks {
  readonly rows: number;
  readonly columns: number;
  readonly #strips: Uint8Array[];

  constructor(
    private readonly data: Uint8Array,
    private readonly width: number,
    private readonly height: number,
    private readonly tables: readonly Uint16Array[],
  ) {
    [this.columns, this.rows] = [Math.ceil(width / 8), Math.ceil(height / 8)];
    this.#strips = tables.map(() => new Uint8Array(this.columns * 64));
  }

  get components(): number {
    return this.tables.length;
  }

  /** Room for the coefficients of so many rows. */
  room(rows: number): Component[] {
    return this.tables.map(() => ({ coefficients: new Int16Array(this.columns * rows * 64), blocks: this.columns * rows }));
  }

  /** Transform a row of blocks into such room, from a place on. */
  transform(row: number, room: readonly Component[], at: number): void {
    const stride = this.columns * 8;
    fillStrips(this.data, this.width, this.height, row * 8, this.#strips, stride);
    for (const [i, table] of this.tables.entries()) {
      const { coefficients } = room[i]!;
      for (let column = 0; column < this.columns; column++) {
        transformBlock(this.#strips[i]!, column * 8, stride, table, coefficients, at + column * 64);
      }
    }
  }
}

/** One scan. Best tables take two passes over the pixels, and so no memory for the coefficients of the whole picture. */
async function writeBaseline(out: ByteWriter, source: Blocks, optimize: boolean, pause: JpegOptions["pause"]): Promise<void> {
  const scan: Scan = { components: [0, 1, 2].slice(0, source.components), from: 0, to: 63, high: 0, low: 0 };
  const room = source.room(1);
  const pass = async (sink: Sink) => {
    const last = new Int32Array(source.components);
    for (let row = 0; row < source.rows; row++) {
      if (row % ROWS_AT_ONCE === 0) await pause?.();
      source.transform(row, room, 0);
      encodeBlocks(room, 0, true, last, sink);
    }
  };
  const counter = new Counter();
  if (optimize) await pass(counter);
  const bits = startScan(out, scan, false, optimize ? counter : undefined);
  await pass(bits);
  bits.finish();
}

async function writeProgressive(out: ByteWriter, source: Blocks, pause: JpegOptions["pause"]): Promise<void> {
  const components = source.room(source.rows);
  for (let row = 0; row < source.rows; row++) {
    if (row % ROWS_AT_ONCE === 0) await pause?.();
    source.transform(row, components, row * source.columns * 64);
  }
  for (const scan of progression(source.components)) {
    const counter = new Counter();
    encodeScan(components, scan, counter);
    const bits = startScan(out, scan, true, counter);
    encodeScan(components, scan, bits);
    bits.finish();
    await pause?.();
  }
}

function writeHeader(out: ByteWriter, { dpi, segments = [] }: JpegOptions): void {
  const [x, y] = dpi ? dpi.map(Math.round) as [number, number] : [1, 1];
  out.write(0xff, 0xd8, 0xff, 0xe0, 0, 16, ...latin1.encode("JFIF\0"), 1, 1, dpi ? 1 : 0);
  out.write16(x);
  out.write16(y);
  out.write(0, 0);
  for (const segment of segments) out.append(segment);
}

function writeTable(out: ByteWriter, number: number, table: Uint16Array): void {
  const wide = table.some((value) => value > 255);
  out.write(0xff, 0xdb);
  out.write16(2 + 1 + 64 * (wide ? 2 : 1));
  out.write((wide ? 0x10 : 0) | number);
  for (const value of table) {
    if (wide) out.write16(value);
    else out.write(value);
  }
}

function writeFrame(out: ByteWriter, width: number, height: number, numbers: number[], tableOf: (component: number) => number, options: JpegOptions): void {
  const wide = numbers.some((each) => options.tables[tableOf(each)]!.some((value) => value > 255));
  out.write(0xff, options.progressive ? 0xc2 : wide ? 0xc1 : 0xc0);
  out.write16(8 + 3 * numbers.length);
  out.write(8);
  out.write16(height);
  out.write16(width);
  out.write(numbers.length);
  for (const each of numbers) out.write(each + 1, 0x11, tableOf(each));
}

/** Write tables and header of a scan: the best tables for what was counted, or those of the standard. */
function startScan(out: ByteWriter, scan: Scan, progressive: boolean, counter: Counter | undefined): BitWriter {
  const specs: (HuffmanSpec | undefined)[] = [];
  for (const each of tablesOf(scan)) {
    const spec = counter ? bestTable(counter.counts[each]!) : STANDARD[each as 0 | 1 | 2 | 3];
    specs[each] = spec;
    writeHuffman(out, each, spec);
  }
  out.write(0xff, 0xda);
  out.write16(6 + 2 * scan.components.length);
  out.write(scan.components.length);
  for (const each of scan.components) out.write(each + 1, selectorOf(scan, each, progressive));
  out.write(scan.from, scan.to, (scan.high << 4) | scan.low);
  return new BitWriter(out, specs.map((spec): HuffmanCode | undefined => spec && codeOf(spec)));
}

function tablesOf({ components, from, to, high }: Scan): number[] {
  const used = components.flatMap((each) => [
    ...(from === 0 && high === 0 ? [dcTable(each)] : []),
    ...(to > 0 ? [acTable(each)] : []),
  ]);
  return [...new Set(used)];
}

/** The byte of a scan's header that names the tables of a component; of those not in use it says 0. */
function selectorOf({ from, high }: Scan, component: number, progressive: boolean): number {
  const number = component ? 1 : 0;
  if (!progressive) return (number << 4) | number;
  if (from > 0) return number;
  return high === 0 ? number << 4 : 0;
}

function writeHuffman(out: ByteWriter, number: number, { counts, symbols }: HuffmanSpec): void {
  out.write(0xff, 0xc4);
  out.write16(2 + 1 + 16 + symbols.length);
  out.write(((number & 1) << 4) | (number >> 1));
  out.append(counts);
  out.append(symbols);
}

/** The tables of section K.1 at a quality from 1 to 100, luma and chroma, as libjpeg scales them. */
export function standardTables(quality: number): Uint16Array[] {
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  const scaled = (value: number) => Math.min(255, Math.max(1, Math.floor((value * scale + 50) / 100)));
  return [LUMA, CHROMA].map((table) => Uint16Array.from(table, scaled));
}

const LUMA = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64,
  68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];
const CHROMA = [
  17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];
