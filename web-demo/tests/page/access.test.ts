import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { addAxe, isWithin, violations } from "./axe";
import { type Opened, executable, open, ready } from "./browser";
import { astronaut, dist, isBuilt } from "./home";
import { type Host, serve } from "./server";

for (const [name, options] of [
  ["on a desktop", { viewport: { width: 1280, height: 860 } }],
  ["on a phone, dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true }],
] as const) {
  describe.skipIf(!executable || !isBuilt)(`the page ${name}`, () => {
    let host: Host;
    let opened: Opened;
    let page: Page;

    beforeAll(async () => {
      host = await serve(dist);
      opened = await open(host.url, { ...options, bypassCSP: true }); // so that axe may be put into it
      page = opened.page;
      await ready(page);
      await addAxe(page);
    });

    afterAll(async () => {
      await opened?.context.close();
      await host?.stop();
    });

    it("has no flaw for screen readers when it is opened", async () => {
      expect(await violations(page)).toEqual([]);
      expect(await isWithin(page)).toBe(true);
    });

    it("has none with a photo, while it works, and with the result", async () => {
      await page.setInputFiles("#files", astronaut);
      const protect = page.locator("[data-key=protect]");
      await protect.waitFor();
      expect(await violations(page)).toEqual([]);
      await protect.click();
      await page.locator(".progress-text", { hasText: "step" }).waitFor();
      expect(await violations(page)).toEqual([]);
      await page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
      expect(await violations(page)).toEqual([]);
      expect(await isWithin(page)).toBe(true);
      await page.locator("[data-key=zoom]").click();
      expect(await violations(page)).toEqual([]);
      await page.locator("[data-key=remove]").click();
    });

    it("can be used by the keyboard alone", async () => {
      await page.setInputFiles("#files", astronaut);
      await page.locator("[data-key=protect]").waitFor();
      await page.locator("[data-key=draw]").focus();
      await page.keyboard.press("Enter"); // a box in the middle, focused
      expect(await page.evaluate(() => (document.activeElement as HTMLElement).dataset["key"])).toBe("mark-1");
      const left = () => page.locator("[data-key=mark-1]").evaluate((mark) => mark.getBoundingClientRect().left);
      const before = await left();
      await page.keyboard.press("ArrowRight");
      expect(await left()).toBeGreaterThan(before);
      await page.keyboard.press("Delete");
      expect(await page.locator("[data-key=mark-1]").count()).toBe(0);
      await page.locator("[data-key=mark-0]").focus();
      await page.keyboard.press("Space");
      expect(await page.locator("[data-key=protect]").isDisabled()).toBe(true);
      await page.keyboard.press("Space");
      await page.locator("[data-key=protect]").focus();
      await page.keyboard.press("Enter");
      await page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
      const focused = await page.evaluate(() => (document.activeElement as HTMLElement).dataset["key"]);
      expect(focused).toBe("save");
      await page.locator("[data-key=slider]").focus();
      const cut = () => page.locator(".compare").evaluate((each) => (each as HTMLElement).style.getPropertyValue("--line"));
      const line = await cut();
      await page.keyboard.press("ArrowRight");
      expect(await cut()).not.toBe(line);
    });
  });
}
