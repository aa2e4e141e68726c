import { describe, expect, it } from "vitest";

import { addAxe, isWithin, violations } from "./axe";
import { canOpen, openForAll } from "./browser";
import { astronaut } from "./home";

const PHONE = { viewport: { width: 390, height: 844 }, colorScheme: "dark", hasTouch: true, bypassCSP: true } as const;

describe.skipIf(!canOpen)("explore", () => {
  const site = openForAll(() => PHONE);

  const names = (figure: number) => site.page.locator(".look").nth(figure).locator("li span").allInnerTexts();
  const choose = async (attack: string) => {
    await site.page.locator(`input[name=attack][value=${attack}]`).focus();
    await site.page.keyboard.press("Space");
  };
  const answer = () => site.page.locator(".explore [role=status]", { hasText: "Similarity" });

  it("asks for a photo, and needs no network any more", async () => {
    await site.page.waitForFunction(async () => {
      const [models, files] = [await caches.open("face-encryption-models"), ["attack-label-step", "recognizer"]];
      return (await Promise.all(files.map((file) => models.match(new URL(`artifacts/${file}.onnx`, location.href))))).every(Boolean);
    });
    await site.host.stop();
    await site.page.locator("#explore > summary").focus();
    await site.page.keyboard.press("Enter");
    await site.page.getByText("Choose a photo first.").waitFor();
    await site.page.setInputFiles("#files", astronaut);
    await site.page.locator(".look canvas").waitFor({ timeout: 120_000 });
    expect(await names(0)).toHaveLength(5);
  });

  it("leads away from the name that is seen", async () => {
    await choose("non-targeted");
    await answer().waitFor({ timeout: 120_000 });
    expect(site.host.requests.filter((path) => path.includes("attack-label"))).toEqual(["/artifacts/attack-label-step.onnx"]);
    expect((await names(1))[0]).not.toBe((await names(0))[0]);
  });

  it("leads to a name whose person agrees, and to no other", async () => {
    await choose("targeted");
    const consent = site.page.locator(".explore .check input");
    await site.page.locator(".explore [role=status]", { hasText: "Say that they agree." }).waitFor();
    expect(await site.page.locator(".look").count()).toBe(1);
    await consent.focus();
    await site.page.keyboard.press("Space");
    await answer().waitFor({ timeout: 120_000 });
    const target = site.page.locator(".explore select").last();
    expect((await names(1))[0]).toBe(await target.evaluate((each) => (each as HTMLSelectElement).selectedOptions[0]!.text));
    await target.focus();
    await site.page.keyboard.press("ArrowDown");
    expect(await consent.isChecked()).toBe(false);
    await site.page.locator(".explore [role=status]", { hasText: "Say that they agree." }).waitFor();
    expect(await site.page.locator(".look").count()).toBe(1);
  });

  it("takes steps of any size and number", async () => {
    await choose("non-targeted");
    await answer().waitFor({ timeout: 120_000 });
    const before = await answer().innerText();
    await site.page.locator(".explore .range input").last().focus();
    await site.page.keyboard.press("Home"); // one step
    expect(await site.page.locator(".explore output").last().innerText()).toBe("1");
    await site.page.waitForFunction((text) => {
      const now = document.querySelector(".explore [role=status]")!.textContent!;
      return now.includes("Similarity") && now !== text;
    }, before);
  });

  it("has no flaw for screen readers, and fits a phone", async () => {
    await addAxe(site.page);
    expect(await violations(site.page)).toEqual([]);
    expect(await isWithin(site.page)).toBe(true);
  });

  it("asks no other origin for anything", () => {
    expect(site.foreign).toEqual([]);
    expect(site.errors).toEqual([]);
  });
});
