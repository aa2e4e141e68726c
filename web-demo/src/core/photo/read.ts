/** Read photos: what is not one is refused, in words that say what to do. */

import { PhotoError } from "../errors";
import type { Corner } from "../faces";
import { type Bytes, bigEndian, concat, latin1, startsWith } from "./bytes";
import type { Codec } from "./codec";
import { crc32 } from "./crc";
import { orientation, readExif } from "./exif";
import { standardTables } from "./jpeg/encode";
import { FILLER, readHeader, takeApartJpeg } from "./jpeg/file";
import { iccSegments } from "./jpeg/segments";
import { type MetadataPolicy, decideMetadata } from "./metadata";
import type { Format, Parts } from "./parts";
import { type Coding, Photo } from "./photo";
import { readPngHeader, SIGNATURE, takeApartPng } from "./png";
import { type Raster, isGrey, readRaster, readSquare } from "./raster";
import { readWebpHeader, takeApartWebp } from "./webp";
import { webpQuality } from "./webpQuality";

export const SUPPORTED = "JPEG, PNG and WebP";
/** Beyond these, decoding, detecting and encoding would take more than a gigabyte. */
const MAX_MEGAPIXELS = { JPEG: 80, "progressive JPEG": 60, PNG: 60, WebP: 40, "lossless WebP": 20 };
/** Huffman tables made for the picture save 4 % of a JPEG; in larger ones that would take longest of all that is done. */
const MAX_OPTIMIZED = 4 * 10 ** 6;
/** Of JPEGs without quantization tables to reuse, and of WebPs whose quality cannot be told. */
const QUALITY = 95;
const OTHER_FORMATS: [start: string, name: string][] = [["GIF8", "GIF"], ["II*\0", "TIFF"], ["MM\0*", "TIFF"], ["BM", "BMP"], ["%PDF", "PDF"], ["8BPS", "PSD"]];

/** What the headers of a photo say. */
interface Stored {
  width: number;
  height: number;
  channels: Raster["channels"];
  cmyk: boolean;
  dpi: [x: number, y: number] | undefined;
  coding: Coding;
  notes: string[];
}

/**
 * Decode a JPEG, PNG or WebP file, and turn it upright as browsers do: by EXIF, ahead of the pixels in a PNG.
 *
 * @param metadata what `Photo.encode` will write back of EXIF, XMP and comments.
 * @param pause is asked now and then; it may wait, and throws to stop.
 * @throws PhotoError the bytes are not such a photo, or one that is damaged, animated, 16-bit or too large.
 */
export async function readPhoto(data: Uint8Array, codec: Codec, metadata: MetadataPolicy = "strip", pause?: () => Promise<void> | undefined): Promise<Photo> {
  const format = recognize(data);
  const parts = await takeApart(format, data);
  const stored = describe(format, parts);
  checkSize(format, parts, stored);
  const turn = parts.exifTurns ? orientation(readExif(parts.exif)) : 1;
  const raster = await decode(format, parts, stored, turn, codec, pause);
  if (stored.cmyk) parts.profile = new Uint8Array(0);
  const picture = { format, size: [raster.width, raster.height], turned: turn > 1, inColour: stored.channels > 2, dpi: stored.dpi } as const;
  const { beside, notes } = decideMetadata(parts, picture, metadata);
  return new Photo(raster, isGrey(raster), format, [...notes, ...stored.notes], stored.coding, beside);
}

/** Tell the format by the first bytes, and refuse what the header already rules out. */
export function recognize(data: Uint8Array): Format {
  if (data.length === 0) throw new PhotoError("the file is empty; fetch the photo again");
  if (startsWith(data, "\xff\xd8\xff")) return "JPEG";
  if (startsWith(data, SIGNATURE)) {
    if (data.length >= 25) {
      const [width, height, depth] = [bigEndian(data, 16, 4), bigEndian(data, 20, 4), data[24]];
      if (width === 0 || height === 0) throw new PhotoError(`the photo is ${width} x ${height} pixels, it has none to protect`);
      if (depth === 16) throw new PhotoError("a PNG of 16 bits a channel is not supported; save it with 8 bits");
    }
    return "PNG";
  }
  if (startsWith(data, "RIFF") && startsWith(data, "WEBP", 8)) return "WEBP";
  const other = startsWith(data, "ftyp", 4) ? "HEIC, AVIF or video" : OTHER_FORMATS.find(([start]) => startsWith(data, start))?.[1];
  if (other) throw new PhotoError(`${other} is not supported; save the photo as one of ${SUPPORTED}`);
  throw new PhotoError(`not an image; ${SUPPORTED} photos are read`);
}

/** A square of a photo: its upper left corner and its side. */
export interface Place {
  corner: Corner;
  side: number;
}

/** Decode what `Photo.encode` returned, and return what `Photo.cut` gives of each place. */
export async function readSquares(data: Bytes, codec: Codec, places: readonly Place[]): Promise<Uint8Array[]> {
  const format = recognize(data);
  const parts = await takeApart(format, data);
  const { channels } = describe(format, parts);
  const source = await codec.decode({ format, picture: parts.picture, alpha: channels === 2 || channels === 4 });
  try {
    return places.map(({ corner, side }) => readSquare(source, corner, side));
  } finally {
    source.close();
  }
}

async function takeApart(format: Format, data: Uint8Array): Promise<Parts> {
  if (format === "JPEG") return takeApartJpeg(data);
  return format === "PNG" ? takeApartPng(data) : takeApartWebp(data);
}

function describe(format: Format, parts: Parts): Stored {
  const { picture } = parts;
  if (format === "JPEG") return describeJpeg(parts);
  if (format === "PNG") {
    const { width, height, depth, colourType, transparent, dpi } = readPngHeader(picture);
    const grey = colourType === 0 || colourType === 4;
    const notes = colourType === 3 ? ["written with full colours in place of a palette"] : grey && depth === 1 ? ["written as 8-bit grey"] : [];
    return { width, height, channels: channelsOf(grey, transparent), cmyk: false, dpi, coding: { format }, notes };
  }
  const { width, height, alpha, lossless } = readWebpHeader(picture);
  const coding = { format, lossless, quality: lossless ? QUALITY : (webpQuality(picture) ?? QUALITY) };
  return { width, height, channels: channelsOf(false, alpha), cmyk: false, dpi: undefined, coding, notes: [] };
}

function describeJpeg(parts: Parts): Stored {
  const { width, height, components, tables, dpi } = readHeader(parts.picture);
  const cmyk = components === 4;
  const optimize = width * height <= MAX_OPTIMIZED;
  const known = tables.length > 0 && tables.length <= 4;
  const coding: Coding = { format: "JPEG", tables: known ? tables : standardTables(QUALITY), optimize, progressive: parts.progressive };
  const notes = cmyk ? ["converted from CMYK to RGB, without the CMYK colour profile"] : [];
  return { width, height, channels: components === 1 ? 1 : 3, cmyk, dpi, coding, notes };
}

function channelsOf(grey: boolean, alpha: boolean): Raster["channels"] {
  if (grey) return alpha ? 2 : 1;
  return alpha ? 4 : 3;
}

function checkSize(format: Format, parts: Parts, { width, height, coding }: Stored): void {
  let name: keyof typeof MAX_MEGAPIXELS = format === "WEBP" ? "WebP" : format;
  if (parts.progressive) name = "progressive JPEG";
  else if (coding.format === "WEBP" && coding.lossless) name = "lossless WebP";
  if (width * height > MAX_MEGAPIXELS[name] * 10 ** 6) {
    throw new PhotoError(`${width} x ${height} pixels are more than ${MAX_MEGAPIXELS[name]} megapixels, the most for a ${name}; make the photo smaller`);
  }
}

async function decode(format: Format, parts: Parts, stored: Stored, turn: number, codec: Codec, pause?: () => Promise<void> | undefined): Promise<Raster> {
  const { channels, cmyk, width, height } = stored;
  const alpha = channels === 2 || channels === 4;
  const read = async (picture: Bytes) => {
    const source = await codec.decode({ format, alpha, picture: cmyk ? withProfile(picture, parts.profile) : picture });
    try {
      if (width * height > 0 && (source.width !== width || source.height !== height)) throw new Error("another size than its header says");
      return await readRaster(source, channels, turn, pause);
    } finally {
      source.close();
    }
  };
  try {
    const raster = await read(parts.picture);
    if (!parts.hasEnd) {
      // Other bits behind the data change nothing when none of them are missing.
      const { picture } = parts;
      const longer = await read(concat([picture.subarray(0, -2), FILLER, picture.subarray(-2)]));
      if (crc32(longer.data) !== crc32(raster.data)) throw new PhotoError("the JPEG data is cut off; fetch the photo again");
    }
    return raster;
  } catch (error) {
    if (error instanceof RangeError) throw new PhotoError("not enough memory to decode it; make the photo smaller");
    if (error instanceof DOMException || (error instanceof Error && error.constructor === Error) || typeof error === "string") {
      const reason = String(typeof error === "string" ? error : error.message).split(/\s+/).join(" ");
      throw new PhotoError(`the ${format} data is damaged or cut off (${reason}); fetch the photo again`);
    }
    throw error;
  }
}

/** A JPEG of CMYK with its profile, by which the decoder converts. */
function withProfile(picture: Bytes, profile: Uint8Array): Bytes {
  if (!profile.length) return picture;
  const at = startsWith(picture, latin1.decode(Uint8Array.of(0xff, 0xe0)), 2) ? 4 + bigEndian(picture, 4, 2) : 2;
  return concat([picture.subarray(0, at), ...iccSegments(profile), picture.subarray(at)]);
}
