import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { orientation, readExif } from "../../src/core/photo/exif";
import { readHeader, takeApartJpeg } from "../../src/core/photo/jpeg/file";
import { decideMetadata } from "../../src/core/photo/metadata";
import { readPngHeader, takeApartPng } from "../../src/core/photo/png";
import { recognize } from "../../src/core/photo/read";
import { readWebpHeader, takeApartWebp } from "../../src/core/photo/webp";
import { hasPython, python, astronaut, shared } from "../page/home";

/** Its data are missing, and so it is no photo. */
const REFUSED = "trunc2.jpg";

/** What the page would write of the metadata beside a photo's pixels, were they to be kept. */
async function kept(data: Uint8Array): Promise<{ exif: string; xmp: string; comments: [string, string][]; notes: string[] }> {
  const format = recognize(data);
  const parts = format === "JPEG" ? takeApartJpeg(data) : format === "PNG" ? await takeApartPng(data) : takeApartWebp(data);
  const read = { JPEG: readHeader, PNG: readPngHeader, WEBP: readWebpHeader }[format];
  const { width, height } = read(parts.picture);
  const turn = parts.exifTurns ? orientation(readExif(parts.exif)) : 1;
  const size = turn > 4 ? ([height, width] as const) : ([width, height] as const);
  const { beside, notes } = decideMetadata(parts, { format, size, turned: turn > 1, inColour: true, dpi: undefined }, "keep");
  const base64 = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("base64");
  return { exif: base64(beside.exif), xmp: base64(beside.xmp), comments: beside.comments.map(({ name, text }) => [name, text]), notes };
}

describe.skipIf(!hasPython)("metadata that are kept", () => {
  it("are those that Python keeps", { timeout: 60_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "kept-"));
    const script = join(import.meta.dirname, "kept.py");
    execFileSync(python, [script, "make", astronaut, folder]);
    const cases = join(shared, "cases");
    if (existsSync(cases)) for (const name of readdirSync(cases)) if (name !== REFUSED) cpSync(join(cases, name), join(folder, name));
    const names = readdirSync(folder);
    expect(names.length).toBeGreaterThan(5);
    const ours: Record<string, unknown> = {};
    for (const name of names) ours[name] = await kept(new Uint8Array(readFileSync(join(folder, name))));
    const differences = JSON.parse(execFileSync(python, [script, "compare", folder], { input: JSON.stringify(ours), encoding: "utf8", maxBuffer: 1 << 26 })) as Record<string, string[]>;
    for (const [name, lines] of Object.entries(differences)) expect.soft(lines, name).toEqual([]);
    expect(Object.keys(differences)).toHaveLength(names.length);
  });
});
