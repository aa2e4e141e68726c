import { cpSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { canOpen, openForAll } from "./browser";
import { astronaut } from "./home";

const COUNT = 10;
const TIMEOUT = 600_000;

describe.skipIf(!canOpen)("ten photos at once", () => {
  const site = openForAll();

  const count = (state: string) => site.page.locator(`.thumbnail.${state}`).count();

  it("are looked at, and one that is none does not hold up the others", { timeout: TIMEOUT }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "many-"));
    const paths = Array.from({ length: COUNT }, (_, i) => join(folder, `photo-${i}.jpg`));
    paths.forEach((path, i) => (i === 4 ? writeFileSync(path, "no photo") : cpSync(astronaut, path)));
    await site.page.setInputFiles("#files", paths);
    await expect.poll(() => count("ready"), { timeout: TIMEOUT, interval: 500 }).toBe(COUNT - 1);
    expect(await count("failed")).toBe(1);
    expect(await site.page.locator("[data-key=protect-all]").innerText()).toBe(`Protect all ${COUNT - 1}`);
  });

  it("are protected until they are stopped: what is done stays, the others can be started again", { timeout: TIMEOUT }, async () => {
    await site.page.locator("[data-key=protect-all]").click();
    await expect.poll(() => count("done"), { timeout: TIMEOUT, interval: 200 }).toBeGreaterThanOrEqual(2);
    await site.page.locator("[data-key=cancel-all]").click();
    await expect.poll(() => count("working"), { timeout: TIMEOUT, interval: 200 }).toBe(0);
    const done = await count("done");
    expect(done).toBeGreaterThanOrEqual(2);
    expect(await count("ready")).toBe(COUNT - 1 - done);
    expect(await site.page.locator("[data-key=zip]").innerText()).toBe(`Save all ${done} as ZIP`);
    const [download] = await Promise.all([site.page.waitForEvent("download"), site.page.locator("[data-key=zip]").click()]);
    expect(download.suggestedFilename()).toBe("protected_photos.zip");
  });

  it("can be started again", { timeout: TIMEOUT }, async () => {
    const before = await count("done");
    await site.page.locator(".thumbnail.ready").first().click();
    await site.page.locator("[data-key=protect]").click();
    await expect.poll(() => count("done"), { timeout: TIMEOUT, interval: 200 }).toBe(before + 1);
    expect(site.errors).toEqual([]);
  });
});
