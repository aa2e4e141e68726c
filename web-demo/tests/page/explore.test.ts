import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { addAxe, isWithin, violations } from "./axe";
import { type Opened, executable, open, ready } from "./browser";
import { astronaut, dist, isBuilt } from "./home";
import { type Host, serve } from "./server";

const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true, bypassCSP: true } as const;

describe.skipIf(!executable || !isBuilt)("explore", () => {
  let host: Host;
  let opened: Opened;
  let page: Page;

  beforeAll(async () => {
    host = await serve(dist);
    opened = await open(host.url, PHONE);
    page = opened.page;
    await ready(page);
  });

  afterAll(async () => {
    await opened?.context.close();
    await host?.stop();
  });

  const names = (figure: number) => page.locator(".look").nth(figure).locator("li span").allInnerTexts();
  const choose = async (attack: string) => {
    await page.locator(`input[name=attack][value=${attack}]`).focus();
    await page.keyboard.press("Space");
  };
  const answer = () => page.locator(".explore [role=status]", { hasText: "Similarity" });

  it("asks for a photo, and loads the attack when it is used", async () => {
    expect(host.requests.some((path) => path.includes("attack-label"))).toBe(false);
    await page.locator("#explore > summary").focus();
    await page.keyboard.press("Enter");
    await page.getByText("Choose a photo first.").waitFor();
    await page.setInputFiles("#files", astronaut);
    await page.locator(".look canvas").waitFor({ timeout: 120_000 });
    expect(await names(0)).toHaveLength(5);
    expect(host.requests.some((path) => path.includes("attack-label"))).toBe(false);
  });

  it("leads away from the name that is seen", async () => {
    await choose("non-targeted");
    await answer().waitFor({ timeout: 120_000 });
    expect(host.requests.filter((path) => path.includes("attack-label"))).toEqual(["/artifacts/attack-label-step.onnx"]);
    expect((await names(1))[0]).not.toBe((await names(0))[0]);
  });

  it("leads to a name whose person agrees, and to no other", async () => {
    await choose("targeted");
    const consent = page.locator(".explore .check input");
    await page.locator(".explore [role=status]", { hasText: "Say that they agree." }).waitFor();
    expect(await page.locator(".look").count()).toBe(1);
    await consent.focus();
    await page.keyboard.press("Space");
    await answer().waitFor({ timeout: 120_000 });
    const target = page.locator(".explore select").last();
    expect((await names(1))[0]).toBe(await target.evaluate((each) => (each as HTMLSelectElement).selectedOptions[0]!.text));
    await target.focus();
    await page.keyboard.press("ArrowDown");
    expect(await consent.isChecked()).toBe(false);
    await page.locator(".explore [role=status]", { hasText: "Say that they agree." }).waitFor();
    expect(await page.locator(".look").count()).toBe(1);
  });

  it("takes steps of any size and number", async () => {
    await choose("non-targeted");
    await answer().waitFor({ timeout: 120_000 });
    const before = await answer().innerText();
    await page.locator(".explore .range input").last().focus();
    await page.keyboard.press("Home"); // one step
    expect(await page.locator(".explore output").last().innerText()).toBe("1");
    await page.waitForFunction((text) => {
      const now = document.querySelector(".explore [role=status]")!.textContent!;
      return now.includes("Similarity") && now !== text;
    }, before);
  });

  it("has no flaw for screen readers, and fits a phone", async () => {
    await addAxe(page);
    expect(await violations(page)).toEqual([]);
    expect(await isWithin(page)).toBe(true);
  });

  it("asks no other origin for anything", () => {
    expect(opened.foreign).toEqual([]);
    expect(opened.errors).toEqual([]);
  });
});
