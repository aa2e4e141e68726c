import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { concat, latin1 } from "../../src/core/photo/bytes";
import { takeApartJpeg } from "../../src/core/photo/jpeg/file";
import { segment } from "../../src/core/photo/jpeg/segments";
import { type MetadataPolicy, decideMetadata } from "../../src/core/photo/metadata";
import { takeApartPng } from "../../src/core/photo/png";
import { adobeRgb, validProfile } from "../../src/core/photo/profiles";
import { recognize } from "../../src/core/photo/read";
import { takeApartWebp } from "../../src/core/photo/webp";

const astronaut = new Uint8Array(readFileSync(join(import.meta.dirname, "../golden/astronaut.jpg")));
const cases = join(import.meta.dirname, "../../../../shared/data/cases");

async function notesOf(data: Uint8Array, policy: MetadataPolicy = "strip"): Promise<string[]> {
  const format = recognize(data);
  const parts = format === "JPEG" ? takeApartJpeg(data) : format === "PNG" ? await takeApartPng(data) : takeApartWebp(data);
  return decideMetadata(parts, { format, size: [100, 80], turned: false, inColour: true, dpi: undefined }, policy).notes;
}

/** The astronaut with more segments behind its start. */
const withSegments = (...segments: Uint8Array[]) => concat([astronaut.subarray(0, 2), ...segments, astronaut.subarray(2)]);

describe("what is removed from a file", () => {
  it("is nothing where there is nothing", async () => {
    expect(await notesOf(astronaut)).toEqual([]);
  });

  it("is told: comments, XMP and what it says, IPTC, and what lies behind the picture", async () => {
    const xmp = '<x xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:GPSLatitude="1"><dc:creator xmlns:dc="dc">me</dc:creator></x>';
    const data = withSegments(
      segment(0xfe, latin1.encode("here")),
      segment(0xe1, latin1.encode(`http://ns.adobe.com/xap/1.0/\0${xmp}`)),
      segment(0xed, latin1.encode("Photoshop 3.0\0")),
    );
    expect(await notesOf(data)).toEqual(["removed from the file: XMP, GPS position, author, comments, IPTC"]);
    expect(await notesOf(concat([astronaut, astronaut]))).toEqual(["removed from the file: second picture"]);
    expect(await notesOf(concat([astronaut, latin1.encode("....ftypmp42")]))).toEqual(["removed from the file: video"]);
  });

  it("is no more in the picture that is decoded", () => {
    const data = withSegments(segment(0xfe, latin1.encode("here")));
    expect([...takeApartJpeg(data).picture]).toEqual([...takeApartJpeg(astronaut).picture]);
  });

  it("is not the profile, unless something hides in it", async () => {
    expect(validProfile(adobeRgb()).length).toBe(adobeRgb().length);
    const hidden = concat([adobeRgb(), astronaut]);
    new DataView(hidden.buffer).setUint32(0, hidden.length);
    expect(validProfile(hidden)).toHaveLength(0);
  });

  const told: Record<string, string[]> = {
    "adobergb_r03.jpg": ["EXIF, GPS position, serial numbers"],
    "app13_07db.jpg": ["IPTC"],
    "big_ztxt.png": ["comments, which are damaged or too large"],
    "bw_cwebp.webp": [],
    "exif_photoshop_thumb.jpg": ["EXIF, GPS position, serial numbers, preview"],
    "icc_holds_jpeg.jpg": ["data behind the colour profile"],
    "motion_google.jpg": ["XMP, video"],
    "prog.jpg": [],
    "ultrahdr_nompf.jpg": ["XMP, HDR gain map"],
    "wide_o6_dims.jpg": ["EXIF, GPS position, serial numbers"],
    "xmp_regions_gps.jpg": ["XMP, GPS position, names of people"],
    "xmp_thumb_xapGImg.jpg": ["XMP, preview"],
  };
  for (const [name, facts] of Object.entries(told)) {
    it.skipIf(!existsSync(join(cases, name)))(`is told as in Python: ${name}`, async () => {
      expect(await notesOf(new Uint8Array(readFileSync(join(cases, name))))).toEqual(facts.map((each) => `removed from the file: ${each}`));
    });
  }
});
