/** A PNG file taken apart into its chunks, and chunks written. */

import { PhotoError } from "../errors";
import { type Bytes, bigEndian, concat, latin1, startsWith } from "./bytes";
import { crc32 } from "./crc";
import { trailing } from "./embedded";
import { type Parts, emptyParts } from "./parts";

export const SIGNATURE = "\x89PNG\r\n\x1a\n";
// Chunks that say what the numbers of a PNG without an ICC profile mean as colours, and their lengths.
const COLOUR: Record<string, number> = { cHRM: 32, cICP: 4, gAMA: 4, sRGB: 1 };
// Known ones that say nothing of the photo's owner, or no longer hold for changed pixels.
const DROPPED = ["IEND", "bKGD", "hIST", "sBIT", "sPLT", "tIME", "acTL", "fcTL", "fdAT", "pHYs", "tRNS", "iDOT"];
const [MAX_PROFILE, MAX_TEXT, MAX_CHUNKS] = [2 ** 23, 2 ** 20, 10 ** 6];
const NO_TEXT = "comments, which are damaged or too large";
const NO_PROFILE = "colour profile, which is damaged";
export const XMP = "XML:com.adobe.xmp";
const RAW_EXIF = ["Raw profile type exif", "Raw profile type APP1"]; // as ImageMagick writes it

interface Chunk {
  name: string;
  /** The whole chunk. */
  whole: Uint8Array;
  content: Uint8Array;
}

/**
 * Take a PNG file apart. Where it is damaged, the picture is what a decoder can be asked about. Chunks whose checksum is
 * wrong are dropped where the picture can do without them.
 *
 * @throws PhotoError the file is animated.
 */
export async function takeApartPng(data: Uint8Array): Promise<Parts> {
  const parts = emptyParts();
  const picture: Uint8Array[] = [latin1.encode(SIGNATURE)];
  let pixels = false;
  let room = MAX_TEXT;
  let end = data.length;
  for (const { name, whole, content } of chunks(data)) {
    if (name === "IDAT") {
      picture.push(whole);
      pixels = true;
    } else if (name === "IHDR" || name === "PLTE") {
      picture.push(whole);
    } else if (crc32(whole.subarray(4, 8 + content.length)) !== bigEndian(whole, 8 + content.length, 4)) {
      parts.others.push("damaged data");
    } else if (name === "acTL" && content.length >= 4 && bigEndian(content, 0, 4) > 1) {
      throw new PhotoError("an animated picture is not supported; save one frame as a photo");
    } else if (!pixels && (name === "tRNS" || (name === "pHYs" && content.length === 9))) {
      picture.push(whole);
    } else if (["tEXt", "zTXt", "iTXt"].includes(name)) {
      room -= await readText(parts, name, content, pixels, room);
    } else {
      await readMetadata(parts, name, content, pixels);
    }
    if (name === "IEND") {
      end = whole.byteOffset - data.byteOffset + whole.length;
      break;
    }
  }
  picture.push(chunk("IEND", new Uint8Array(0)));
  parts.picture = concat(picture);
  parts.others.push(...trailing(data, end, parts.xmp));
  return parts;
}

export function* chunks(data: Uint8Array): Generator<Chunk> {
  let at = SIGNATURE.length;
  for (let i = 0; i < MAX_CHUNKS && at + 8 <= data.length; i++) {
    const length = bigEndian(data, at, 4);
    const name = latin1.decode(data.subarray(at + 4, at + 8));
    if (!/^[A-Za-z]{4}$/.test(name)) return;
    const whole = data.subarray(at, at + 12 + length);
    yield { name, whole, content: data.subarray(at + 8, Math.min(at + 8 + length, data.length - 4)) };
    at += 12 + length;
  }
}

async function readMetadata(parts: Parts, name: string, content: Uint8Array, pixels: boolean): Promise<void> {
  if (name === "eXIf") {
    parts.exif = content;
    // Browsers ignore an orientation behind the pixels, and the third edition of PNG forbids it there.
    parts.exifTurns = !pixels;
  } else if (name === "iCCP") {
    if (parts.profile.length || parts.others.includes(NO_PROFILE)) return;
    parts.profile = await expand(content.subarray(content.indexOf(0) + 2), MAX_PROFILE);
    if (!parts.profile.length) parts.others.push(NO_PROFILE);
  } else if (COLOUR[name] !== undefined) {
    if (content.length === COLOUR[name] && !pixels && parts.colour.every(([known]) => known !== name)) parts.colour.push([name, content]);
  } else if (name === "caBX") {
    parts.others.push("content credentials");
  } else if (!DROPPED.includes(name)) {
    parts.others.push("other data");
  }
}

/** Read a text, and return how much of the room for texts it takes. */
async function readText(parts: Parts, kind: string, content: Uint8Array, pixels: boolean, room: number): Promise<number> {
  if (parts.others.includes(NO_TEXT)) room = 0;
  const name = latin1.decode(content.subarray(0, content.indexOf(0) < 0 ? content.length : content.indexOf(0)));
  const rest = content.subarray(name.length + 1);
  let text: Uint8Array = rest;
  if (kind === "zTXt") text = await expand(rest.subarray(1), room);
  if (kind === "iTXt") {
    const behindLanguage = rest.indexOf(0, 2) + 1;
    text = rest.subarray(rest.indexOf(0, behindLanguage) + 1);
    if (rest[0] === 1) text = await expand(text, room);
  }
  if (name === XMP) {
    parts.xmp = text;
  } else if (RAW_EXIF.includes(name)) {
    if (!parts.exif.length) [parts.exif, parts.exifTurns] = [rawProfile(latin1.decode(text)), !pixels];
  } else if (name.startsWith("Raw profile type")) {
    parts.others.push(name.endsWith("iptc") ? "IPTC" : "other data");
  } else if ((!text.length && rest.length > 1) || text.length > room) {
    parts.others.push(NO_TEXT);
  } else {
    parts.comments.push({ name, text: kind === "iTXt" ? new TextDecoder().decode(text) : latin1.decode(text) });
    return text.length;
  }
  return 0;
}

/** Return what was compressed; nothing where that is damaged or longer than the limit. */
async function expand(compressed: Uint8Array, limit: number): Promise<Uint8Array> {
  const nothing = new Uint8Array(0);
  if (limit <= 0) return nothing;
  try {
    const stream = new Blob([compressed as Bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const read: Uint8Array[] = [];
    let length = 0;
    for (const reader = stream.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return concat(read);
      read.push(value);
      length += value.length;
      if (length > limit) {
        await reader.cancel();
        return nothing;
      }
    }
  } catch {
    return nothing;
  }
}

/** Return the EXIF block of a text of a name, a length and hexadecimal digits; nothing where it is damaged. */
function rawProfile(text: string): Uint8Array {
  const digits = text.split(/\s+/).filter(Boolean).slice(2).join("");
  if (!/^([0-9A-Fa-f]{2})*$/.test(digits)) return new Uint8Array(0);
  const block = Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  return startsWith(block, "Exif\0\0") ? block.subarray(6) : block;
}

export function chunk(name: string, content: Uint8Array): Bytes {
  const body = concat([latin1.encode(name), content]);
  const number = (value: number) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
  return concat([number(content.length), body, number(crc32(body))]);
}

/** What the header says: colour type 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha. */
export interface PngHeader {
  width: number;
  height: number;
  depth: number;
  colourType: number;
  transparent: boolean;
  dpi?: [x: number, y: number];
}

export function readPngHeader(picture: Uint8Array): PngHeader {
  const header: PngHeader = {
    ...{ width: bigEndian(picture, 16, 4), height: bigEndian(picture, 20, 4) },
    ...{ depth: picture[24] ?? 8, colourType: picture[25] ?? 2, transparent: ((picture[25] ?? 2) & 4) > 0 },
  };
  for (const { name, content } of chunks(picture)) {
    if (name === "tRNS") header.transparent = true;
    if (name === "pHYs" && content[8] === 1) header.dpi = [bigEndian(content, 0, 4) * 0.0254, bigEndian(content, 4, 4) * 0.0254];
    if (name === "IDAT") break;
  }
  return header;
}
