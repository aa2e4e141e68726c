/** EXIF: which way up a photo is, and what the block tells. A flaw in it costs a tag or the block, never the photo. */

import { holdsPicture } from "./embedded";
import { latin1 } from "./bytes";

export interface Value {
  type: number;
  count: number;
  bytes: Uint8Array;
}

export type Directory = Map<number, Value>;

export interface Exif {
  main: Directory;
  details: Directory;
  gps: Directory;
  interop: Directory;
  thumbnail: Directory;
  littleEndian: boolean;
}

const SIZES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];
const [ASCII, SHORT, LONG, RATIONAL, UNDEFINED, SIGNED_RATIONAL] = [2, 3, 4, 5, 7, 10];
const SERIAL_NUMBERS = [0xa431, 0xa435]; // of the camera body and of the lens
const AUTHORS = [0x013b, 0x8298, 0x9c9d]; // artist, copyright, Windows' author
const IMAGE = [0x0201, 0x0111, 0x0100]; // of a thumbnail
// Longer ones that are not text are no camera setting, and could be pixels.
const MAX_BINARY = 1024;
const MAX_ENTRIES = 1000;

/** Return the tags of a block, or undefined where there are none or it cannot be read. */
export function readExif(block: Uint8Array): Exif | undefined {
  const order = latin1.decode(block.subarray(0, 4));
  if (order !== "II*\0" && order !== "MM\0*") return undefined;
  const littleEndian = order[0] === "I";
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  const directory = (at: number) => (at > 0 && at + 2 <= block.length ? readDirectory(block, view, at, littleEndian) : undefined);
  const first = directory(view.byteLength >= 8 ? view.getUint32(4, littleEndian) : 0);
  if (!first || first.tags.size === 0) return undefined;
  const below = (parent: Directory, tag: number) => directory(numberOf(parent.get(tag), littleEndian) ?? 0)?.tags ?? new Map<number, Value>();
  const details = below(first.tags, 0x8769);
  return {
    main: first.tags,
    details,
    gps: below(first.tags, 0x8825),
    interop: below(details, 0xa005),
    thumbnail: directory(first.next)?.tags ?? new Map<number, Value>(),
    littleEndian,
  };
}

function readDirectory(block: Uint8Array, view: DataView, at: number, littleEndian: boolean): { tags: Directory; next: number } {
  const tags: Directory = new Map();
  const count = Math.min(view.getUint16(at, littleEndian), MAX_ENTRIES);
  for (let i = 0, entry = at + 2; i < count && entry + 12 <= block.length; i++, entry += 12) {
    const [tag, type, number] = [view.getUint16(entry, littleEndian), view.getUint16(entry + 2, littleEndian), view.getUint32(entry + 4, littleEndian)];
    const length = (SIZES[type] ?? 0) * number;
    const start = length > 4 ? view.getUint32(entry + 8, littleEndian) : entry + 8;
    if (length > 0 && start + length <= block.length) tags.set(tag, { type, count: number, bytes: block.subarray(start, start + length) });
  }
  const behind = at + 2 + 12 * count;
  return { tags, next: behind + 4 <= block.length ? view.getUint32(behind, littleEndian) : 0 };
}

/** Return a tag's first number. */
function numberOf(value: Value | undefined, littleEndian: boolean): number | undefined {
  if (!value) return undefined;
  const view = new DataView(value.bytes.buffer, value.bytes.byteOffset, value.bytes.length);
  if (value.type === SHORT) return view.getUint16(0, littleEndian);
  if (value.type === LONG) return view.getUint32(0, littleEndian);
  if (value.type === RATIONAL || value.type === SIGNED_RATIONAL) return view.getUint32(0, littleEndian) / view.getUint32(4, littleEndian);
  return undefined;
}

/** Return the orientation, 1 to 8; 1, upright, where the block says none. */
export function orientation(exif: Exif | undefined): number {
  const value = numberOf(exif?.main.get(0x0112), exif?.littleEndian ?? true) ?? 1;
  return value >= 1 && value <= 8 ? value : 1;
}

/** Return dots per inch, where the block says. */
export function resolution({ main, littleEndian }: Exif): [x: number, y: number] | undefined {
  const [x, y, unit] = [0x011a, 0x011b, 0x0128].map((tag) => numberOf(main.get(tag), littleEndian));
  return x === undefined || y === undefined ? undefined : [x * (unit === 3 ? 2.54 : 1), y * (unit === 3 ? 2.54 : 1)];
}

/** Tell whether the block says that the colours are Adobe RGB: by DCF's R03, or by the value that some write. */
export function isAdobeRgb({ details, interop, littleEndian }: Exif): boolean {
  const index = latin1.decode(interop.get(0x0001)?.bytes ?? new Uint8Array(0)).replace(/[\0 ]+$/, "");
  const space = numberOf(details.get(0xa001), littleEndian);
  return space === 2 || (index === "R03" && space !== 1);
}

/** Return what the block tells, in the user's words. */
export function exifFacts({ main, details, gps }: Exif): string[] {
  return [
    ...(gps.size ? ["GPS position"] : []),
    ...(SERIAL_NUMBERS.some((tag) => details.has(tag)) ? ["serial numbers"] : []),
    ...(AUTHORS.some((tag) => main.has(tag)) ? ["author"] : []),
  ];
}

export function hasThumbnail(exif: Exif | undefined): boolean {
  return IMAGE.some((tag) => exif?.thumbnail.has(tag));
}

/** Tell whether a value is a picture, or what could be one. */
export function isPicture({ type, count, bytes }: Value): boolean {
  if (type === ASCII) return holdsPicture(bytes);
  if (type === 1 || type === UNDEFINED) return holdsPicture(bytes) || (bytes.length > MAX_BINARY && !isText(bytes));
  return count > MAX_BINARY;
}

function isText(bytes: Uint8Array): boolean {
  // Eight bytes ahead of a user's comment name its encoding.
  for (const [start, encoding] of [[0, "utf-8"], [8, "utf-8"], [8, "utf-16le"], [8, "utf-16be"], [0, "utf-16le"]] as const) {
    try {
      const text = [...new TextDecoder(encoding, { fatal: true }).decode(bytes.subarray(start)).replace(/\0+$/, "")];
      const readable = text.filter((each) => /[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}\s]/u.test(each)).length;
      if (readable > 0.98 * text.length) return true;
    } catch {
      continue;
    }
  }
  return false;
}
