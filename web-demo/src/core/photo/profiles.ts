/** ICC profiles: which are kept, and one for photos whose EXIF alone says that their colours are Adobe RGB. */

import { type Bytes, bigEndian, concat, latin1, startsWith } from "./bytes";
import { holdsWholePicture } from "./embedded";

const HEADER = 128;

/** Return a profile cut to the length that it declares; nothing where it is not one, or holds a picture. */
export function validProfile(profile: Uint8Array): Uint8Array {
  const nothing = new Uint8Array(0);
  if (profile.length < HEADER + 4 || !startsWith(profile, "acsp", 36)) return nothing;
  const length = bigEndian(profile, 0, 4);
  if (length < HEADER + 4 || length > profile.length || !hasTags(profile, length)) return nothing;
  const cut = profile.subarray(0, length);
  return holdsWholePicture(cut) ? nothing : cut;
}

/** Tell whether the tags that a profile lists lie inside it. */
function hasTags(profile: Uint8Array, length: number): boolean {
  const count = bigEndian(profile, HEADER, 4);
  if (count > 100 || HEADER + 4 + 12 * count > length) return false;
  for (let at = HEADER + 4; at < HEADER + 4 + 12 * count; at += 12) {
    if (bigEndian(profile, at + 4, 4) + bigEndian(profile, at + 8, 4) > length) return false;
  }
  return true;
}

/**
 * Return a profile compatible with Adobe RGB (1998), of version 2: three primaries, a white point and a gamma.
 *
 * The primaries are those of the Adobe RGB (1998) encoding, adapted to D50 as its annex has them.
 */
export function adobeRgb(): Bytes {
  const gamma = concat([latin1.encode("curv"), number(0, 4), number(1, 4), number(0x0233, 2)]); // 563 / 256
  const name = latin1.encode("Compatible with Adobe RGB (1998)\0");
  const tags: [string, Uint8Array][] = [
    ["desc", concat([latin1.encode("desc"), number(0, 4), number(name.length, 4), name, new Uint8Array(4 + 4 + 2 + 1 + 67)])],
    ["cprt", concat([latin1.encode("text"), number(0, 4), latin1.encode("No copyright, use freely\0")])],
    ["wtpt", xyz(0.95045, 1.0, 1.08905)],
    ["rXYZ", xyz(0.60974, 0.31111, 0.01947)],
    ["gXYZ", xyz(0.20528, 0.62567, 0.06087)],
    ["bXYZ", xyz(0.14919, 0.06322, 0.74457)],
    ["rTRC", gamma],
    ["gTRC", gamma],
    ["bTRC", gamma],
  ];
  const table: Uint8Array[] = [number(tags.length, 4)];
  const bodies: Uint8Array[] = [];
  let at = HEADER + 4 + 12 * tags.length;
  for (const [tag, body] of tags) {
    table.push(latin1.encode(tag), number(at, 4), number(body.length, 4));
    bodies.push(body, new Uint8Array(-body.length & 3));
    at += body.length + (-body.length & 3);
  }
  const header = new Uint8Array(HEADER);
  header.set(concat([number(at, 4), new Uint8Array(4), number(0x02100000, 4), latin1.encode("mntrRGB XYZ ")]));
  header.set(concat([...[2000, 1, 1, 0, 0, 0].map((each) => number(each, 2)), latin1.encode("acsp")]), 24);
  header.set(xyz(0.9642, 1.0, 0.82491).subarray(8), 68);
  return concat([header, ...table, ...bodies]);
}

function number(value: number, length: number): Bytes {
  return Uint8Array.from({ length }, (_, i) => Math.floor(value / 256 ** (length - 1 - i)) & 255);
}

function xyz(...values: number[]): Bytes {
  return concat([latin1.encode("XYZ "), number(0, 4), ...values.map((value) => number(Math.round(value * 65536), 4))]);
}
