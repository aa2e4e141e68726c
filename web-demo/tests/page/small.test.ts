import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { addAxe, isWithin, violations } from "./axe";
import { canOpen, openForAll } from "./browser";
import { artifacts, astronaut, hasPython, runPython } from "./home";

const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true, bypassCSP: true } as const;

describe.skipIf(!canOpen || !hasPython)("small faces", () => {
  const site = openForAll(() => PHONE);
  const photo = join(mkdtempSync(join(tmpdir(), "small-")), "crowd.png");
  const found = (count: string) => site.page.locator(".panel", { hasText: `${count} found` });
  const closer = () => site.page.locator("[data-key=closer]");

  beforeAll(async () => {
    runPython("../core/small.py", artifacts, astronaut, photo);
    await addAxe(site.page);
  });

  it("are not looked for where one look sees all", async () => {
    await site.page.setInputFiles("#files", astronaut);
    await found("One face").waitFor();
    expect(await closer().count()).toBe(0);
    await site.page.locator("[data-key=remove]").click();
  });

  it("are looked for until that is canceled", async () => {
    await site.page.setInputFiles("#files", photo);
    await found("One face").waitFor();
    await closer().focus();
    await site.page.keyboard.press("Enter");
    await site.page.locator(".progress-text", { hasText: /part \d of 6/ }).waitFor();
    expect(await violations(site.page)).toEqual([]);
    expect(await site.page.getByRole("progressbar", { name: "Looking for small faces in crowd.png" }).count()).toBe(1);
    await site.page.locator("[data-key=cancel]").focus();
    await site.page.keyboard.press("Enter");
    await found("One face").waitFor();
  });

  it("are found by the keyboard alone, and what was chosen before stays", async () => {
    await site.page.locator("[data-key=mark-0]").focus();
    await site.page.keyboard.press("Space"); // the face that is there is left as it is
    await site.page.locator("[data-key=draw]").focus();
    await site.page.keyboard.press("Enter"); // a box by hand, in the middle
    await closer().focus();
    await site.page.keyboard.press("Enter");
    await found("5 faces").waitFor();
    expect(await site.page.evaluate(() => (document.activeElement as HTMLElement).dataset["key"])).toBe("protect");
    expect(await site.page.locator(".mark[aria-pressed=false]").count()).toBe(1);
    expect(await site.page.locator(".mark.hand").count()).toBe(1);
    expect(await site.page.locator("[data-key=protect]").innerText()).toBe("Protect 4 faces");
    expect(await closer().count()).toBe(0);
    expect(await violations(site.page)).toEqual([]);
    expect(await isWithin(site.page)).toBe(true);
    expect(site.errors).toEqual([]);
  });
});
