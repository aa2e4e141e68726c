/** A JPEG file taken apart: its segments by their markers, and what lies behind its end. */

import { PhotoError } from "../../errors";
import { bigEndian, concat, indexOf, latin1, startsWith } from "../bytes";
import { trailing } from "../embedded";
import { type Parts, emptyParts } from "../parts";
import { XMP } from "./segments";

const SCAN = 0xda;
const END = 0xd9;
const PROGRESSIVE = new Set([0xc2, 0xc6, 0xca, 0xce]);
// More than a coder writes; each takes a pass over the picture.
const MAX_SCANS = 100;
const [MAX_SEGMENTS, MAX_COMMENTS, MAX_METADATA] = [10_000, 20, 2 ** 20];
const MORE_XMP = "http://ns.adobe.com/xmp/extension/\0";
const ICC = "ICC_PROFILE\0";
const KNOWN = [ICC, "MPF\0", "urn:iso"];

/** Bits to put behind a scan: a decoder that has had all it needed does not look at them. */
export const FILLER = new Uint8Array(64).fill(0x5a);

/** Frames, tables and restart intervals: all that a decoder needs beside the scans. */
const isNeeded = (marker: number) => (marker >= 0xc0 && marker < 0xd0) || (marker >= 0xdb && marker <= 0xdf);

interface Segment {
  marker: number;
  start: number;
  body: number;
  end: number;
}

/**
 * Take a JPEG file apart. Where it is damaged, the picture is what a decoder can be asked about.
 *
 * @throws PhotoError there are more scans than any coder writes.
 */
export function takeApartJpeg(data: Uint8Array): Parts {
  const parts = emptyParts();
  const picture: Uint8Array[] = [Uint8Array.of(0xff, 0xd8)];
  const profile = new Map<number, Uint8Array>();
  let scan = data.length;
  for (const { marker, start, body, end } of segments(data)) {
    const content = data.subarray(body, end);
    if (marker === SCAN) {
      scan = start;
    } else if (isNeeded(marker)) {
      picture.push(data.subarray(start, end));
      parts.progressive ||= PROGRESSIVE.has(marker);
    } else if (marker === 0xe0 && startsWith(content, "JFIF\0") && content.length >= 14) {
      picture.push(Uint8Array.of(0xff, 0xe0, 0, 16), content.subarray(0, 12), Uint8Array.of(0, 0)); // without its thumbnail
      if (content.length > 14) parts.others.push("thumbnail");
    } else if (marker === 0xee && startsWith(content, "Adobe") && content.length >= 12) {
      picture.push(data.subarray(start, end)); // says what the channels are
    } else if (marker === 0xe2 && startsWith(content, ICC) && content.length > 14) {
      profile.set(content[12]!, content.subarray(14));
    } else {
      readMetadata(parts, marker, content);
    }
  }
  parts.profile = concat([...profile].sort(([one], [other]) => one - other).map(([, part]) => part));
  const [end, hasEnd] = endOfScans(data, scan);
  parts.hasEnd = hasEnd;
  let stop = end;
  if (!hasEnd) while (stop > scan && data[stop - 1] === 0xff) stop--;
  picture.push(data.subarray(scan, stop));
  if (!hasEnd) picture.push(Uint8Array.of(0xff, END));
  parts.picture = concat(picture);
  parts.others.push(...trailing(data, end, data.subarray(2, Math.min(scan, MAX_METADATA))));
  return parts;
}

function readMetadata(parts: Parts, marker: number, content: Uint8Array): void {
  if (marker === 0xe1 && startsWith(content, "Exif\0")) {
    // A long one goes on in the next segment.
    if (parts.exif.length < MAX_METADATA) parts.exif = concat([parts.exif, content.subarray(6)]);
  } else if (marker === 0xe1 && startsWith(content, XMP)) {
    parts.xmp = content.subarray(XMP.length);
  } else if (marker === 0xe1 && startsWith(content, MORE_XMP)) {
    parts.others.push("extended XMP");
  } else if (marker === 0xed && startsWith(content, "Photoshop 3.0\0")) {
    parts.others.push("IPTC");
    if (["8BIM\x04\x09", "8BIM\x04\x0c"].some((mark) => indexOf(content, mark) >= 0)) parts.others.push("thumbnail");
  } else if (marker === 0xfe) {
    if (parts.comments.length < MAX_COMMENTS) parts.comments.push({ name: "comment", text: latin1.decode(content) });
  } else if (marker === 0xe0) {
    if (startsWith(content, "JFXX\0")) parts.others.push("thumbnail");
  } else if (marker === 0xeb && startsWith(content, "JP")) {
    parts.others.push("content credentials");
  } else if (marker >= 0xe0 && marker <= 0xef && marker !== 0xee && !KNOWN.some((start) => startsWith(content, start))) {
    parts.others.push("other data");
  }
}

/** Return marker and place of the next segment's marker, or undefined. */
function nextMarker(data: Uint8Array, from: number): [marker: number, at: number] | undefined {
  for (let at = data.indexOf(0xff, from); at >= 0 && at + 1 < data.length; at = data.indexOf(0xff, at + 1)) {
    const marker = data[at + 1]!;
    if (marker !== 0 && marker !== 0xff && !(marker >= 0xd0 && marker <= 0xd7)) return [marker, at];
  }
  return undefined;
}

/** The segments up to the first scan, and the scan's header. */
function* segments(data: Uint8Array): Generator<Segment> {
  let at = 2;
  for (let i = 0; i < MAX_SEGMENTS; i++) {
    const found = nextMarker(data, at);
    if (!found || found[0] === END) return;
    const [marker, start] = found;
    at = start + 2;
    if (marker === 0x01 || marker === 0xd8) continue; // markers without a length
    const length = bigEndian(data, at, 2);
    yield { marker, start, body: at + 2, end: Math.min(at + length, data.length) };
    if (marker === SCAN) return;
    at += Math.max(2, length);
  }
}

/** Return where the picture ends that has its first scan here, and whether an end is marked there. */
function endOfScans(data: Uint8Array, at: number): [end: number, hasEnd: boolean] {
  let scans = 0;
  for (let found = nextMarker(data, at); found; found = nextMarker(data, at)) {
    const [marker, start] = found;
    at = start + 2;
    if (marker === END) return [at, true];
    if (marker === 0xd8) return [start, false]; // another picture begins; this one's end is missing
    if (isNeeded(marker) || marker === SCAN || marker >= 0xe0) at += bigEndian(data, at, 2);
    if (marker === SCAN && ++scans > MAX_SCANS) throw new PhotoError(`the JPEG has more than ${MAX_SCANS} scans; save the photo again`);
  }
  return [data.length, false];
}

/** What the frame and the tables of a picture say; width and height are 0 where there is no frame. */
export interface JpegHeader {
  width: number;
  height: number;
  components: number;
  /** Quantization tables in the order of their numbers, each 64 numbers in the order of the file. */
  tables: Uint16Array[];
  /** Dots per inch, where the file says. */
  dpi?: [x: number, y: number];
}

export function readHeader(picture: Uint8Array): JpegHeader {
  const header: JpegHeader = { width: 0, height: 0, components: 0, tables: [] };
  const tables = new Map<number, Uint16Array>();
  for (const { marker, body, end } of segments(picture)) {
    if (marker === 0xdb) readTables(picture.subarray(body, end), tables);
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      [header.height, header.width] = [bigEndian(picture, body + 1, 2), bigEndian(picture, body + 3, 2)];
      header.components = picture[body + 5] ?? 0;
    } else if (marker === 0xe0 && startsWith(picture, "JFIF\0", body)) {
      const [unit, x, y] = [picture[body + 7], bigEndian(picture, body + 8, 2), bigEndian(picture, body + 10, 2)];
      if (unit === 1) header.dpi = [x, y];
      if (unit === 2) header.dpi = [x * 2.54, y * 2.54];
    }
  }
  header.tables = [...tables].sort(([one], [other]) => one - other).map(([, table]) => table);
  return header;
}

function readTables(content: Uint8Array, tables: Map<number, Uint16Array>): void {
  for (let at = 0; at < content.length; ) {
    const size = content[at]! >> 4 ? 2 : 1;
    const table = Uint16Array.from({ length: 64 }, (_, i) => bigEndian(content, at + 1 + size * i, size));
    if (at + 1 + 64 * size <= content.length) tables.set(content[at]! & 15, table);
    at += 1 + 64 * size;
  }
}
