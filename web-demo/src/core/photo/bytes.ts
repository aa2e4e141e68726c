/** Bytes: reading numbers, joining, comparing. */

/** Bytes in a buffer of their own kind, which the browser's interfaces ask for. */
export type Bytes = Uint8Array<ArrayBuffer>;

export const latin1 = {
  encode: (text: string): Bytes => Uint8Array.from(text, (character) => character.charCodeAt(0)),
  decode: (bytes: Uint8Array): string => {
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return text;
  },
};

export function startsWith(bytes: Uint8Array, start: string, at = 0): boolean {
  if (at + start.length > bytes.length) return false;
  for (let i = 0; i < start.length; i++) if (bytes[at + i] !== start.charCodeAt(i)) return false;
  return true;
}

export function concat(parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Read an unsigned big-endian number; what lies behind the end counts as 0. */
export function bigEndian(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = 0; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}

export function littleEndian(bytes: Uint8Array, at: number, length: number): number {
  let value = 0;
  for (let i = length - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}

/** Return where a text of Latin letters begins in some bytes, or -1. */
export function indexOf(bytes: Uint8Array, text: string, from = 0, end = bytes.length): number {
  const first = text.charCodeAt(0);
  for (let at = bytes.indexOf(first, from); at >= 0 && at + text.length <= end; at = bytes.indexOf(first, at + 1)) {
    if (startsWith(bytes, text, at)) return at;
  }
  return -1;
}

/** Bytes that are written one behind the other. */
export class ByteWriter {
  #bytes = new Uint8Array(1 << 16);
  #length = 0;

  /** Make room for so many more bytes and return the buffer, for writers that fill it themselves. */
  reserve(count: number): Bytes {
    if (this.#length + count > this.#bytes.length) {
      const longer = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + count));
      longer.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = longer;
    }
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  set length(length: number) {
    this.#length = length;
  }

  write(...values: number[]): void {
    this.reserve(values.length).set(values, this.#length);
    this.#length += values.length;
  }

  write16(value: number): void {
    this.write((value >> 8) & 255, value & 255);
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length).set(bytes, this.#length);
    this.#length += bytes.length;
  }

  finish(): Bytes {
    return this.#bytes.slice(0, this.#length);
  }
}

const { port1: nowhere, port2: end } = new MessageChannel();
end.close();

/** Give back the memory of large bytes at once, rather than when the browser next collects; nobody may use them later. */
export function release({ buffer }: Uint8Array | Uint8ClampedArray): void {
  if (buffer.byteLength > 0) nowhere.postMessage(null, [buffer as ArrayBuffer]); // `ArrayBuffer.transfer` keeps what a canvas made
}
