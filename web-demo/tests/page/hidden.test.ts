import { cpSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { canOpen, ready } from "./browser";
import { type Plain, openPlain } from "./hidden";
import { astronaut, dist } from "./home";
import { type Host, serve } from "./server";

const COUNT = 4;
const TIMEOUT = 600_000;

describe.skipIf(!canOpen)("a page behind another", () => {
  let host: Host;
  let plain: Plain;
  let page: Page;

  beforeAll(async () => {
    host = await serve(dist);
    plain = await openPlain();
    page = await plain.context.newPage();
    await page.goto(host.url);
    await ready(page);
  });

  afterAll(async () => {
    await plain?.close();
    await host?.stop();
  });

  it("goes on with all photos", { timeout: TIMEOUT }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "hidden-"));
    const paths = Array.from({ length: COUNT }, (_, i) => join(folder, `photo-${i}.jpg`));
    for (const path of paths) cpSync(astronaut, path);
    const count = (state: string) => page.evaluate((name) => document.querySelectorAll(`.thumbnail.${name}`).length, state);
    await page.setInputFiles("#files", paths);
    await expect.poll(() => count("ready"), { timeout: TIMEOUT, interval: 500 }).toBe(COUNT);
    await page.evaluate(() => document.querySelector<HTMLElement>("[data-key=protect-all]")!.click());
    const other = await plain.context.newPage();
    await other.bringToFront();
    await expect.poll(() => page.evaluate(() => document.visibilityState)).toBe("hidden");
    expect(await count("done")).toBeLessThan(COUNT);
    await expect.poll(() => count("done"), { timeout: TIMEOUT, interval: 500 }).toBe(COUNT);
    expect(await page.evaluate(() => document.visibilityState)).toBe("hidden");
    await other.close();
    await page.bringToFront();
    expect(await page.locator("[data-key=zip]").innerText()).toBe(`Save all ${COUNT} as ZIP`);
  });
});
