import { cpSync, existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { describe, expect, it } from "vitest";

import { canOpen, openForAll } from "./browser";
import { artifacts, astronaut, hasPython, runPython, shared } from "./home";

interface Compared {
  same_mode: boolean;
  same_profile: boolean;
  same_density: boolean;
  same_coding: boolean;
  metadata: string[];
  outside: number;
  inside: number;
  matched: boolean[];
  their_matched: boolean[];
  similarity: number[];
  their_similarity: number[];
  grey: boolean;
  notes: string[];
}

/** The largest difference in similarity between runtimes, whose rounding differs. */
const TOLERANCE = 0.05;
/** A lossy WebP's coding depends on the whole picture: a pixel here moves others far from it. */
const WEBP = { outside: 24, similarity: 0.06, inside: 0.1 };

/** A group, and a phone's photo stored on its side. */
const REAL = ["photos/group-couple.jpg", "cases/wide_o6_dims.jpg"];

describe.skipIf(!canOpen)("a photo in the page", () => {
  const site = openForAll();
  const folder = mkdtempSync(join(tmpdir(), "page-"));

  /** Choose a photo, protect it with all defaults, save it, and return the panel's text. */
  async function protect(path: string): Promise<string> {
    await site.page.setInputFiles("#files", path);
    await site.page.locator("#stage h2", { hasText: basename(path) }).waitFor();
    await site.page.locator("[data-key=protect]").click();
    await site.page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
    const text = await site.page.locator(".panel").innerText();
    const [download] = await Promise.all([site.page.waitForEvent("download"), site.page.locator("[data-key=save]").click()]);
    await download.saveAs(join(folder, download.suggestedFilename()));
    cpSync(path, join(folder, basename(path)));
    return text;
  }

  const openMore = async () => {
    if (!(await site.page.locator("[data-key=metadata]").isVisible())) await site.page.locator(".more > summary").click();
  };

  it("is protected, and saved under its own name", async () => {
    const text = await protect(astronaut);
    expect(text).toContain("The face no longer matches.");
    expect(readdirSync(folder)).toContain("astronaut_protected.jpg");
    await site.page.locator("[data-key=remove]").click();
  });

  it.skipIf(!hasPython)("of any kind comes out as from Python", { timeout: 600_000 }, async () => {
    const made = mkdtempSync(join(tmpdir(), "photos-"));
    runPython("photos.py", astronaut, made);
    for (const photo of REAL) if (existsSync(join(shared, photo))) cpSync(join(shared, photo), join(made, basename(photo)));
    const texts: Record<string, string> = {};
    for (const name of readdirSync(made)) {
      texts[name] = await protect(join(made, name));
      await site.page.locator("[data-key=remove]").click();
    }
    const results = JSON.parse(runPython("compare.py", artifacts, folder)) as Record<string, Compared>;
    expect(Object.keys(results)).toHaveLength(readdirSync(made).length + 1);
    for (const [name, result] of Object.entries(results)) {
      expect.soft(result, name).toMatchObject({ same_mode: true, same_profile: true, same_density: true, same_coding: true, metadata: [] });
      const isLossyWebp = name === "lossy.webp";
      expect.soft(result.outside, name).toBeLessThanOrEqual(isLossyWebp ? WEBP.outside : 0);
      expect.soft(result.inside, name).toBeLessThan(isLossyWebp ? WEBP.inside : 0.02);
      expect.soft(result.their_matched, name).toEqual(result.matched);
      for (const [i, similarity] of result.similarity.entries()) {
        expect.soft(Math.abs(similarity - result.their_similarity[i]!), name).toBeLessThan(isLossyWebp ? WEBP.similarity : TOLERANCE);
      }
      if (name.startsWith("grey")) expect.soft(result.grey, name).toBe(true);
      for (const note of result.notes) expect.soft(texts[name]?.toLowerCase() ?? note, name).toContain(note.toLowerCase().split(" at ")[0]);
    }
  });

  it.skipIf(!hasPython)("keeps what its file tells where that is asked for, as in Python", { timeout: 600_000 }, async () => {
    const made = mkdtempSync(join(tmpdir(), "told-"));
    runPython("../core/kept.py", "make", astronaut, made);
    for (const name of ["told6.jpg", "told6.png", "told6.webp"]) {
      await site.page.setInputFiles("#files", join(made, name));
      await site.page.locator("#stage h2", { hasText: name }).waitFor();
      await site.page.locator("[data-key=protect]").waitFor();
      await site.page.locator("[data-key=draw]").focus();
      await site.page.keyboard.press("Enter"); // the face is too small to be found
      await openMore();
      await site.page.locator("[data-key=metadata]").check();
      await site.page.locator("[data-key=protect]").click();
      await site.page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
      expect(await site.page.locator(".notes").innerText()).toContain("Still in the file: EXIF, GPS position, serial numbers, author, XMP");
      const [download] = await Promise.all([site.page.waitForEvent("download"), site.page.locator("[data-key=save]").click()]);
      const path = join(made, `${name}.written`);
      await download.saveAs(path);
      expect(JSON.parse(runPython("../core/kept.py", "same", join(made, name), path)), name).toEqual([]);
      await site.page.locator("[data-key=change]").click();
      await site.page.locator("[data-key=metadata]").uncheck();
      await site.page.locator("[data-key=remove]").click();
    }
  });

  it("moves away from other photos of the person, too", async () => {
    await site.page.setInputFiles("#files", astronaut);
    await site.page.locator("[data-key=protect]").waitFor();
    await openMore();
    await site.page.setInputFiles("#gallery", astronaut);
    await site.page.getByText("1 face in 1 photo.").waitFor({ timeout: 120_000 });
    await site.page.locator("[data-key=protect]").click();
    await site.page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
    expect(await site.page.locator(".results").innerText()).toContain("moved away from 1 more photo of the person, too");
    await site.page.locator("[data-key=change]").click();
    await site.page.locator("[data-key=gallery-clear]").click();
    expect(await site.page.getByText("1 face in 1 photo.").count()).toBe(0);
    await site.page.locator("[data-key=remove]").click();
  });

  it("is refused in one line where it is none", async () => {
    const refused: [name: string, content: Uint8Array, line: string][] = [
      ["empty.jpg", new Uint8Array(0), "The file is empty; fetch the photo again"],
      ["text.jpg", Buffer.from("not a photo"), "Not an image; JPEG, PNG and WebP photos are read"],
      ["phone.heic", Buffer.from("\0\0\0\x18ftypheic", "latin1"), "HEIC, AVIF or video is not supported; save the photo as one of JPEG, PNG and WebP"],
      ["cut.jpg", Buffer.from("\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0", "latin1"), "The JPEG data is damaged or cut off"],
    ];
    for (const [name, content, line] of refused) {
      writeFileSync(join(folder, name), content);
      await site.page.setInputFiles("#files", join(folder, name));
      await site.page.locator("#stage [role=alert]", { hasText: line }).waitFor();
      await site.page.locator("[data-key=remove]").click();
    }
  });

  it("is not changed where the work is stopped", async () => {
    await site.page.setInputFiles("#files", astronaut);
    await site.page.locator("[data-key=protect]").click();
    await site.page.locator(".progress-text", { hasText: /step \d/ }).waitFor();
    await site.page.locator("[data-key=cancel]").click();
    await site.page.locator("[data-key=protect]").waitFor();
    expect(await site.page.locator("[data-key=save]").count()).toBe(0);
  });

  it("never leaves the device", () => {
    expect(site.foreign).toEqual([]);
    expect(site.errors).toEqual([]);
  });
});
