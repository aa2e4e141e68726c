/** Pictures that hide in other data: previews, second pictures, videos. */

import { bigEndian, indexOf, latin1, startsWith } from "./bytes";

// How files of pictures and videos begin. TIFF is left out: every EXIF block begins so.
const START = new RegExp(
  "\\xff\\xd8\\xff[\\xc0-\\xfe]|\\x89PNG\\r\\n\\x1a\\n|RIFF....WEBP|GIF8[79]a|....ftyp(?:heic|heix|mif1|msf1|avif|avis)" +
    "|^\\xff\\x0a|\\0\\0\\0\\x0cJXL |\\0\\0\\0\\x0cjP {2}|\\xff\\x4f\\xff\\x51",
  "s",
);
const BASE64 = /[A-Za-z0-9+/\s]{40,}={0,2}/g;
const HEX = /[0-9A-Fa-f\s]{40,}/g;
const GAIN_MAP = ["hdrgm:Version", "GainMap", "hdrgainmap", "urn:iso:std:iso:ts:21496"];
const PADDING = new Set([0, 0xff, 0x0d, 0x0a, 0x09, 0x20]);

/** Tell whether data hold what looks like the start of a picture, as it is, in base64 or in hexadecimal digits. */
export function holdsPicture(data: Uint8Array): boolean {
  const text = latin1.decode(data);
  return START.test(text) || decoded(text).some((each) => START.test(each));
}

function decoded(text: string): string[] {
  const found: string[] = [];
  for (const [run] of text.matchAll(HEX)) {
    const digits = run.replace(/\s/g, "").match(/../g) ?? [];
    found.push(String.fromCharCode(...digits.slice(0, 64).map((pair) => parseInt(pair, 16))));
  }
  for (const [run] of text.matchAll(BASE64)) {
    const digits = run.replace(/[^A-Za-z0-9+/]/g, "");
    // Text ahead of it may run into the digits, so try each of the four places where a group of them may begin.
    for (let at = 0; at < 4; at++) found.push(atob(digits.slice(at, at + Math.floor((digits.length - at) / 4) * 4)));
  }
  return found;
}

/** Tell whether data hold a picture with a whole header: for tables of numbers, where any few bytes may occur. */
export function holdsWholePicture(data: Uint8Array): boolean {
  for (let at = 0; at + 24 < data.length; at++) {
    if (data[at] === 0xff && data[at + 1] === 0xd8 && data[at + 2] === 0xff && hasFrame(data, at + 2)) return true;
    if (startsWith(data, "\x89PNG\r\n\x1a\n", at) && startsWith(data, "IHDR", at + 12)) return true;
    if (startsWith(data, "RIFF", at) && startsWith(data, "WEBPVP8", at + 8)) return true;
    if (startsWith(data, "GIF87a", at) || startsWith(data, "GIF89a", at)) return true;
  }
  return false;
}

/** Tell whether segments of a JPEG follow one another from here up to a frame. */
function hasFrame(data: Uint8Array, at: number): boolean {
  while (at + 4 <= data.length && data[at] === 0xff) {
    const marker = data[at + 1]!;
    if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) return true;
    if (marker < 0xc0 || marker === 0xd9) return false;
    at += 2 + bigEndian(data, at + 2, 2);
  }
  return false;
}

/**
 * Return what lies behind a picture in its file, in the user's words.
 *
 * @param end where the picture ends.
 * @param hints metadata of the picture, which may say that a gain map follows.
 */
export function trailing(data: Uint8Array, end: number, hints: Uint8Array): string[] {
  let at = end;
  while (at < data.length && PADDING.has(data[at]!)) at++;
  if (at >= data.length) return [];
  const found: string[] = [];
  const video = indexOf(data, "ftyp", end);
  const stop = video >= 0 ? video : data.length;
  let picture = indexOf(data, "\xff\xd8\xff", end, stop);
  while (picture >= 0 && !(data[picture + 3]! >= 0xc0 && data[picture + 3]! <= 0xfe)) picture = indexOf(data, "\xff\xd8\xff", picture + 1, stop);
  if (picture >= 0) {
    const isGainMap = GAIN_MAP.some((mark) => indexOf(data, mark, end) >= 0 || indexOf(hints, mark) >= 0);
    found.push(isGainMap ? "HDR gain map" : "second picture");
  }
  if (video >= 0) found.push("video");
  return found.length ? found : ["data behind the picture"];
}
