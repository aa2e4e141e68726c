import { beforeAll, describe, expect, it } from "vitest";

import { addAxe, isWithin, violations } from "./axe";
import { canOpen, openForAll } from "./browser";
import { astronaut } from "./home";

for (const [name, options] of [
  ["on a desktop", { viewport: { width: 1280, height: 860 } }],
  ["on a phone, dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true }],
] as const) {
  describe.skipIf(!canOpen)(`the page ${name}`, () => {
    const site = openForAll(() => ({ ...options, bypassCSP: true })); // so that axe may be put into it

    beforeAll(() => addAxe(site.page));

    it("has no flaw for screen readers when it is opened", async () => {
      expect(await violations(site.page)).toEqual([]);
      expect(await isWithin(site.page)).toBe(true);
    });

    it("has none with a photo, while it works, and with the result", async () => {
      await site.page.setInputFiles("#files", astronaut);
      const protect = site.page.locator("[data-key=protect]");
      await protect.waitFor();
      expect(await violations(site.page)).toEqual([]);
      await protect.click();
      await site.page.locator(".progress-text", { hasText: "step" }).waitFor();
      expect(await violations(site.page)).toEqual([]);
      await site.page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
      expect(await violations(site.page)).toEqual([]);
      expect(await isWithin(site.page)).toBe(true);
      await site.page.locator("[data-key=zoom]").click();
      expect(await violations(site.page)).toEqual([]);
      await site.page.locator("[data-key=remove]").click();
    });

    it("can be used by the keyboard alone", async () => {
      await site.page.setInputFiles("#files", astronaut);
      await site.page.locator("[data-key=protect]").waitFor();
      await site.page.locator("[data-key=draw]").focus();
      await site.page.keyboard.press("Enter"); // a box in the middle, focused
      expect(await site.page.evaluate(() => (document.activeElement as HTMLElement).dataset["key"])).toBe("mark-1");
      const left = () => site.page.locator("[data-key=mark-1]").evaluate((mark) => mark.getBoundingClientRect().left);
      const before = await left();
      await site.page.keyboard.press("ArrowRight");
      expect(await left()).toBeGreaterThan(before);
      await site.page.keyboard.press("Delete");
      expect(await site.page.locator("[data-key=mark-1]").count()).toBe(0);
      await site.page.locator("[data-key=mark-0]").focus();
      await site.page.keyboard.press("Space");
      expect(await site.page.locator("[data-key=protect]").isDisabled()).toBe(true);
      await site.page.keyboard.press("Space");
      await site.page.locator("[data-key=protect]").focus();
      await site.page.keyboard.press("Enter");
      await site.page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
      const focused = await site.page.evaluate(() => (document.activeElement as HTMLElement).dataset["key"]);
      expect(focused).toBe("save");
      await site.page.locator("[data-key=slider]").focus();
      const cut = () => site.page.locator(".compare").evaluate((each) => (each as HTMLElement).style.getPropertyValue("--line"));
      const line = await cut();
      await site.page.keyboard.press("ArrowRight");
      expect(await cut()).not.toBe(line);
    });
  });
}
