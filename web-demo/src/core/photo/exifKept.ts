/** EXIF that is written back: without pictures and other files, and true of the picture as it is written. */

import { type Bytes, concat, latin1 } from "./bytes";
import { holdsPicture } from "./embedded";
import { type Directory, type Exif, type Value, isPicture } from "./exif";

const [DETAILS, GPS, INTEROP, MAKER_NOTE, ORIENTATION] = [0x8769, 0x8825, 0xa005, 0x927c, 0x0112];
// Width and height: in the main directory, in that of the details, in that of interoperability.
const SIZES: [width: number, height: number][] = [[0x0100, 0x0101], [0xa002, 0xa003], [0x1001, 0x1002]];
const SUBJECT = [0x9214, 0xa214]; // where in the picture
// Tags that hold another file or point to one: XMP, directories, strips and tiles of pixels, JPEG data, IPTC, Photoshop's
// resources, an ICC profile, private data of a raw converter.
const OTHER_FILES = new Set([
  ...[0x014a, 0x0111, 0x0117, 0x0144, 0x0145, 0x015b, 0x0201, 0x0202, 0x0207, 0x0208, 0x0209, 0x02bc],
  ...[0x83bb, 0x8649, 0x8773, 0xc634, MAKER_NOTE],
]);
const NAMES: Record<number, string> = { [MAKER_NOTE]: "maker note", 0x02bc: "XMP in EXIF", 0x83bb: "IPTC", 0x8649: "Photoshop's data" };
const [SHORT, LONG] = [3, 4];
const HEADER = 8;

/**
 * Remove what must not be written back, in place, and make the rest true of the picture.
 *
 * @param size width and height of the upright photo.
 * @param turned the photo was not stored upright.
 * @returns what was removed, in the user's words.
 */
export function cleanExif(exif: Exif, size: readonly [width: number, height: number], turned: boolean): string[] {
  const { main, details, gps, interop, littleEndian } = exif;
  const directories = [main, details, gps, interop];
  const removed: string[] = [];
  for (const directory of directories) {
    for (const [tag, value] of [...directory]) {
      const picture = isPicture(value);
      if (picture) removed.push("preview");
      if (!picture && !OTHER_FILES.has(tag)) continue;
      if (NAMES[tag]) removed.push(NAMES[tag]);
      directory.delete(tag);
    }
  }
  main.set(ORIENTATION, numberValue(SHORT, 1, littleEndian));
  for (const directory of directories) {
    for (const tags of SIZES) {
      if (tags.some((tag) => directory.has(tag))) tags.forEach((tag, i) => directory.set(tag, numberValue(LONG, size[i]!, littleEndian)));
    }
    if (turned) SUBJECT.forEach((tag) => directory.delete(tag));
  }
  return removed;
}

/** Return the block to write, a TIFF file; empty where a picture is left in it. */
export function exifBlock({ main, details, gps, interop, littleEndian }: Exif): Bytes {
  const below = new Map<number, Entry>(details);
  below.delete(INTEROP);
  if (interop.size) below.set(INTEROP, interop);
  const first = new Map<number, Entry>(main);
  first.delete(DETAILS);
  first.delete(GPS);
  if (below.size) first.set(DETAILS, below);
  if (gps.size) first.set(GPS, gps);
  const header = concat([latin1.encode(littleEndian ? "II*\0" : "MM\0*"), number(LONG, HEADER, littleEndian)]);
  const block = concat([header, directoryBytes(first, HEADER, littleEndian)]);
  return holdsPicture(block) ? new Uint8Array(0) : block;
}

/** A tag's value, or the directory to which it points. */
type Entry = Value | Map<number, Entry> | Directory;

/** Return a directory that begins at `start` of the block, with what its tags hold behind it. */
function directoryBytes(directory: ReadonlyMap<number, Entry>, start: number, littleEndian: boolean): Bytes {
  const tags = [...directory].sort(([one], [other]) => one - other);
  const entries: Uint8Array[] = [number(SHORT, tags.length, littleEndian)];
  const contents: Uint8Array[] = [];
  let at = start + 2 + 12 * tags.length + 4;
  for (const [tag, entry] of tags) {
    const isDirectory = entry instanceof Map;
    const [type, count] = isDirectory ? [LONG, 1] : [entry.type, entry.count];
    const bytes = isDirectory ? directoryBytes(entry, at, littleEndian) : entry.bytes;
    const fits = !isDirectory && bytes.length <= 4;
    const place = fits ? concat([bytes, new Uint8Array(4 - bytes.length)]) : number(LONG, at, littleEndian);
    entries.push(number(SHORT, tag, littleEndian), number(SHORT, type, littleEndian), number(LONG, count, littleEndian), place);
    if (fits) continue;
    contents.push(bytes, new Uint8Array(bytes.length % 2));
    at += bytes.length + (bytes.length % 2);
  }
  return concat([...entries, number(LONG, 0, littleEndian), ...contents]);
}

function numberValue(type: typeof SHORT | typeof LONG, value: number, littleEndian: boolean): Value {
  return { type, count: 1, bytes: number(type, value, littleEndian) };
}

function number(type: number, value: number, littleEndian: boolean): Bytes {
  const view = new DataView(new ArrayBuffer(type === SHORT ? 2 : 4));
  if (type === SHORT) view.setUint16(0, value, littleEndian);
  else view.setUint32(0, value, littleEndian);
  return new Uint8Array(view.buffer);
}
