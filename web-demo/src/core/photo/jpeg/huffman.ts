/** Huffman codes of JPEG: the best for given counts, as libjpeg makes them, and the bits that are written with them. */

import type { ByteWriter } from "../bytes";

/** A table as a file has it: how many symbols have codes of 1 to 16 bits, and the symbols, shortest code first. */
export interface HuffmanSpec {
  counts: Uint8Array;
  symbols: Uint8Array;
}

/** Code and length of each symbol. */
export interface HuffmanCode {
  codes: Uint16Array;
  lengths: Uint8Array;
}

const MAX_LENGTH = 32;

/**
 * Return the table that codes symbols with these counts in the fewest bits, none of them all ones (section K.2 of the
 * standard).
 *
 * @param counts how often each of 256 symbols occurs.
 */
export function bestTable(counts: Uint32Array): HuffmanSpec {
  const frequency = new Float64Array(257);
  frequency.set(counts);
  frequency[256] = 1; // keeps the code of all ones free
  const size = new Uint8Array(257);
  const next = new Int16Array(257).fill(-1);
  for (;;) {
    const rarest = rarestOf(frequency, -1);
    const second = rarestOf(frequency, rarest);
    if (second < 0) break;
    frequency[rarest]! += frequency[second]!;
    frequency[second] = 0;
    let last = deepen(rarest, size, next);
    next[last] = second;
    last = deepen(second, size, next);
  }
  const bits = limitLengths(size);
  const symbols: number[] = [];
  for (let length = 1; length <= MAX_LENGTH; length++) {
    for (let symbol = 0; symbol < 256; symbol++) if (size[symbol] === length) symbols.push(symbol);
  }
  return { counts: bits, symbols: Uint8Array.from(symbols) };
}

/** Return the symbol of the smallest count above 0, the last of several; -1 where there is none. */
function rarestOf(frequency: Float64Array, except: number): number {
  let found = -1;
  let least = Infinity;
  for (let i = 0; i <= 256; i++) {
    if (frequency[i]! > 0 && frequency[i]! <= least && i !== except) {
      least = frequency[i]!;
      found = i;
    }
  }
  return found;
}

/** Lengthen the codes of a chain of symbols by one bit, and return its last. */
function deepen(symbol: number, size: Uint8Array, next: Int16Array): number {
  size[symbol]!++;
  while (next[symbol]! >= 0) {
    symbol = next[symbol]!;
    size[symbol]!++;
  }
  return symbol;
}

/** Return how many symbols have each length once none is longer than 16 bits, without the one that was kept free. */
function limitLengths(size: Uint8Array): Uint8Array {
  const bits = new Uint8Array(MAX_LENGTH + 1);
  for (const length of size) if (length) bits[length]!++;
  for (let i = MAX_LENGTH; i > 16; i--) {
    while (bits[i]! > 0) {
      let j = i - 2;
      while (bits[j] === 0) j--;
      bits[i]! -= 2;
      bits[i - 1]!++;
      bits[j + 1]! += 2;
      bits[j]!--;
    }
  }
  let longest = 16;
  while (bits[longest] === 0) longest--;
  bits[longest]!--;
  return bits.slice(1, 17);
}

export function codeOf(spec: HuffmanSpec): HuffmanCode {
  const codes = new Uint16Array(256);
  const lengths = new Uint8Array(256);
  let code = 0;
  let at = 0;
  for (let length = 1; length <= 16; length++) {
    for (let i = 0; i < spec.counts[length - 1]!; i++) {
      codes[spec.symbols[at]!] = code++;
      lengths[spec.symbols[at++]!] = length;
    }
    code <<= 1;
  }
  return { codes, lengths };
}

/** What an entropy coder gives: symbols of a table, and bits as they are. */
export interface Sink {
  symbol(table: number, symbol: number): void;
  bits(value: number, length: number): void;
}

/** Counts symbols, for `bestTable`. */
export class Counter implements Sink {
  readonly counts = [0, 1, 2, 3].map(() => new Uint32Array(256));

  symbol(table: number, symbol: number): void {
    this.counts[table]![symbol]!++;
  }

  bits(): void {
    // nothing to count
  }
}

/** Writes symbols and bits; a byte of all ones is followed by a zero. */
export class BitWriter implements Sink {
  #bits = 0;
  #length = 0;

  constructor(
    private readonly out: ByteWriter,
    private readonly tables: readonly (HuffmanCode | undefined)[],
  ) {}

  symbol(table: number, symbol: number): void {
    const code = this.tables[table]!;
    this.bits(code.codes[symbol]!, code.lengths[symbol]!);
  }

  /** @param length at most 16. */
  bits(value: number, length: number): void {
    this.#bits = (this.#bits << length) | (value & ((1 << length) - 1));
    this.#length += length;
    if (this.#length >= 8) this.#flushBytes();
  }

  #flushBytes(): void {
    const out = this.out.reserve(8);
    let at = this.out.length;
    while (this.#length >= 8) {
      const byte = (this.#bits >>> (this.#length - 8)) & 255;
      out[at++] = byte;
      if (byte === 255) out[at++] = 0;
      this.#length -= 8;
    }
    this.out.length = at;
    this.#bits &= (1 << this.#length) - 1;
  }

  /** Fill the last byte with ones. */
  finish(): void {
    this.bits(0x7f, 7);
    this.#bits = 0;
    this.#length = 0;
  }
}

const list = (...numbers: number[]) => Uint8Array.from(numbers);
const hex = (text: string) => Uint8Array.from(text.match(/../g)!, (byte) => parseInt(byte, 16));
const DC_SYMBOLS = list(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

/** The tables of section K.3: DC and AC of luma, then of chroma. */
export const STANDARD: readonly [HuffmanSpec, HuffmanSpec, HuffmanSpec, HuffmanSpec] = [
  { counts: list(0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0), symbols: DC_SYMBOLS },
  {
    counts: list(0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d),
    symbols: hex(
      "01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a" +
        "434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9" +
        "aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa",
    ),
  },
  { counts: list(0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0), symbols: DC_SYMBOLS },
  {
    counts: list(0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77),
    symbols: hex(
      "000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a35363738393a" +
        "434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999aa2a3a4a5a6a7a8" +
        "a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa",
    ),
  },
];
