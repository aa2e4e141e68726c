/** A WebP file taken apart into its chunks, and a picture put together with its colour profile. */

import { PhotoError } from "../errors";
import { type Bytes, concat, latin1, littleEndian, startsWith } from "./bytes";
import { trailing } from "./embedded";
import type { Beside } from "./metadata";
import { type Parts, emptyParts } from "./parts";

const PICTURE = ["ANIM", "ANMF", "ALPH", "VP8 ", "VP8L"];
const [ANIMATION, XMP, EXIF, ALPHA, PROFILE] = [0x02, 0x04, 0x08, 0x10, 0x20]; // flags

interface Chunk {
  name: string;
  body: number;
  stop: number;
}

/**
 * Take a WebP file apart. Where it is damaged, the picture is what a decoder can be asked about.
 *
 * @throws PhotoError the file is animated.
 */
export function takeApartWebp(data: Uint8Array): Parts {
  const parts = emptyParts();
  const picture: Uint8Array[] = [];
  let frames = 0;
  const end = Math.min(data.length, 8 + Math.floor(littleEndian(data, 4, 4) / 2) * 2);
  for (const { name, body, stop } of chunks(data, Math.max(end, 20))) {
    const content = data.subarray(body, stop);
    if (name === "VP8X" && content.length >= 10) {
      const flags = content[0]! & (ANIMATION | ALPHA);
      picture.push(data.subarray(body - 8, body), Uint8Array.of(flags), data.subarray(body + 1, stop));
    } else if (PICTURE.includes(name)) {
      picture.push(data.subarray(body - 8, stop), new Uint8Array(content.length % 2));
      if (name === "ANMF" && ++frames > 1) throw new PhotoError("an animated picture is not supported; save one frame as a photo");
    } else if (name === "EXIF") {
      parts.exif = startsWith(content, "Exif\0\0") ? content.subarray(6) : content;
    } else if (name === "XMP ") {
      parts.xmp = content;
    } else if (name === "ICCP") {
      parts.profile = content;
    } else {
      parts.others.push(name === "C2PA" ? "content credentials" : "other data");
    }
  }
  parts.picture = riff(picture);
  parts.others.push(...trailing(data, end, parts.xmp));
  return parts;
}

/** Name, start and end of the content of each chunk. */
function* chunks(data: Uint8Array, end: number): Generator<Chunk> {
  for (let at = 12; at + 8 <= end; ) {
    const length = littleEndian(data, at + 4, 4);
    const name = latin1.decode(data.subarray(at, at + 4));
    yield { name, body: at + 8, stop: Math.min(at + 8 + length, data.length) };
    at += 8 + length + (length % 2);
  }
}

function riff(parts: readonly Uint8Array[]): Bytes {
  const length = 4 + parts.reduce((sum, part) => sum + part.length, 0);
  return concat([latin1.encode("RIFF"), number(length, 4), latin1.encode("WEBP"), ...parts]);
}

function number(value: number, length: number): Bytes {
  return Uint8Array.from({ length }, (_, i) => (value >>> (8 * i)) & 255);
}

export interface WebpHeader {
  /** 0 where the first chunk is damaged. */
  width: number;
  height: number;
  alpha: boolean;
  lossless: boolean;
}

/** Return what the first chunk of a picture says. */
export function readWebpHeader(picture: Uint8Array): WebpHeader {
  const body = picture.subarray(20, 32);
  const lossless = frameOf(picture).name === "VP8L";
  if (startsWith(picture, "VP8X", 12)) {
    return { width: littleEndian(body, 4, 3) + 1, height: littleEndian(body, 7, 3) + 1, alpha: (body[0]! & ALPHA) > 0, lossless };
  }
  if (startsWith(picture, "VP8L", 12)) {
    const bits = littleEndian(body, 1, 4);
    return { width: (bits & 0x3fff) + 1, height: (Math.floor(bits / 0x4000) & 0x3fff) + 1, alpha: Math.floor(bits / 2 ** 28) % 2 === 1, lossless };
  }
  return { width: littleEndian(body, 6, 2) & 0x3fff, height: littleEndian(body, 8, 2) & 0x3fff, alpha: false, lossless };
}

/** Return name and content of the chunk with the pixels, which is in another one in a file made for animations. */
export function frameOf(picture: Uint8Array): { name: string; content: Uint8Array } {
  for (const { name, body, stop } of chunks(picture, picture.length)) {
    if (name === "ANMF") return frameOf(concat([new Uint8Array(12), picture.subarray(body + 16, stop)]));
    if (name === "VP8 " || name === "VP8L") return { name, content: picture.subarray(body, stop) };
  }
  return { name: "", content: new Uint8Array(0) };
}

/** Return a file of an encoded picture and what goes with it: a colour profile ahead of the pixels, the rest behind. */
export function withMetadata(picture: Bytes, { profile, exif, xmp }: Pick<Beside, "profile" | "exif" | "xmp">): Bytes {
  if (!profile && !exif && !xmp) return picture;
  const { width, height, alpha } = readWebpHeader(picture);
  const first = startsWith(picture, "VP8X", 12) ? 30 : 12;
  const flags = (profile ? PROFILE : 0) | (alpha ? ALPHA : 0) | (exif ? EXIF : 0) | (xmp ? XMP : 0);
  const extended = [latin1.encode("VP8X"), number(10, 4), number(flags, 4), number(width - 1, 3), number(height - 1, 3)];
  const chunk = (name: string, content: Uint8Array | undefined) =>
    content ? [latin1.encode(name), number(content.length, 4), content, new Uint8Array(content.length % 2)] : [];
  return riff([...extended, ...chunk("ICCP", profile), picture.subarray(first), ...chunk("EXIF", exif), ...chunk("XMP ", xmp)]);
}
