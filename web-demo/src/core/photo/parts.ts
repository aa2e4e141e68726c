/** What a photo file is taken apart into. */

import { type Bytes } from "./bytes";

export type Format = "JPEG" | "PNG" | "WEBP";

/** A text with its name: of a JPEG "comment". */
export interface Comment {
  name: string;
  text: string;
}

export interface Parts {
  /** A file of the same kind with the picture alone. */
  picture: Bytes;
  /** The picture's data have an end; without it the last of them may be missing. */
  hasEnd: boolean;
  /** The picture is coded from coarse to fine. */
  progressive: boolean;
  /** The EXIF block, a TIFF file, without "Exif" ahead of it; empty where there is none. */
  exif: Uint8Array;
  /** The orientation in it counts. */
  exifTurns: boolean;
  /** The XMP packet. */
  xmp: Uint8Array;
  /** The ICC profile, not checked. */
  profile: Uint8Array;
  /** PNG chunks, name and body, that say what the numbers mean as colours. */
  colour: [name: string, body: Uint8Array][];
  comments: Comment[];
  /** What else was in the file, in the user's words; it is never written back. */
  others: string[];
}

export function emptyParts(): Parts {
  const nothing = () => new Uint8Array(0);
  return {
    ...{ picture: nothing(), hasEnd: true, progressive: false, exif: nothing(), exifTurns: true },
    ...{ xmp: nothing(), profile: nothing(), colour: [], comments: [], others: [] },
  };
}
