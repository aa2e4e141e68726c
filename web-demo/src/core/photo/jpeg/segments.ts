/** Segments of a JPEG file that go with the picture. */

import { type Bytes, concat, latin1 } from "../bytes";
import type { Beside } from "../metadata";

const MAX_PROFILE_PART = 65519;
export const XMP = "http://ns.adobe.com/xap/1.0/\0";

/** All that is written beside the pixels. */
export function metadataSegments({ exif, xmp, profile, comments }: Beside): Bytes[] {
  const segments: Bytes[] = [];
  if (exif) segments.push(segment(0xe1, concat([latin1.encode("Exif\0\0"), exif])));
  if (xmp) segments.push(segment(0xe1, concat([latin1.encode(XMP), xmp])));
  if (profile) segments.push(...iccSegments(profile));
  for (const { text } of comments) segments.push(segment(0xfe, latin1.encode(text)));
  return segments;
}

/** A segment: marker, length, content. */
export function segment(marker: number, content: Uint8Array): Bytes {
  const length = content.length + 2;
  return concat([Uint8Array.of(0xff, marker, length >> 8, length & 255), content]);
}

/** The segments that hold a colour profile, in parts where it is long. */
export function iccSegments(profile: Uint8Array): Bytes[] {
  const count = Math.ceil(profile.length / MAX_PROFILE_PART);
  return Array.from({ length: count }, (_, i) => {
    const part = profile.subarray(i * MAX_PROFILE_PART, (i + 1) * MAX_PROFILE_PART);
    return segment(0xe2, concat([latin1.encode("ICC_PROFILE\0"), Uint8Array.of(i + 1, count), part]));
  });
}
