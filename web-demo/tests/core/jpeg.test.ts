import { describe, expect, it } from "vitest";

import { type JpegOptions, encodeJpeg, standardTables } from "../../src/core/photo/jpeg/encode";
import { iccSegments } from "../../src/core/photo/jpeg/segments";
import golden from "../golden/jpeg.json";
import { pixels } from "./pixels";

describe("a JPEG of given pixels and tables", () => {
  for (const [number, each] of golden.entries()) {
    const [width, height] = each.size as [number, number];
    const name = `${width}x${height}, ${each.channels} channels, ${each.tables.length} tables${each.optimize ? ", optimized" : ""}${each.progressive ? ", progressive" : ""}`;
    it(`${number}: ${name}: has Pillow's bytes`, async () => {
      const options: JpegOptions = { tables: each.tables.map((table) => Uint16Array.from(table)) };
      if (each.optimize) options.optimize = true;
      if (each.progressive) options.progressive = true;
      if (each.dpi) options.dpi = each.dpi as [number, number];
      if (each.icc) options.segments = iccSegments(Uint8Array.from({ length: each.icc }, (_, i) => i % 251));
      const file = await encodeJpeg(pixels(width, height, each.channels), width, height, each.channels as 1 | 3, options);
      const expected = Buffer.from(each.file, "base64");
      expect(file.findIndex((byte, i) => byte !== expected[i])).toBe(-1); // one long difference would take minutes to print
      expect(file.length).toBe(expected.length);
    });
  }

  it("has libjpeg's tables at a quality", () => {
    expect(standardTables(90).map((table) => [...table])).toEqual(golden[1]?.tables);
    expect(standardTables(30).map((table) => [...table])).toEqual(golden[4]?.tables);
  });
});
