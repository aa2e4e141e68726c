import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { canOpen, openForAll, ready } from "./browser";
import { astronaut } from "./home";

describe.skipIf(!canOpen)("a host that sets no headers", () => {
  const site = openForAll();

  it("is isolated by the service worker, and each file is fetched once", async () => {
    expect(await site.page.evaluate(() => self.crossOriginIsolated)).toBe(true);
    const models = site.host.requests.filter((path) => path.startsWith("/artifacts/") && !path.endsWith("manifest.json"));
    expect(models.length).toBeGreaterThan(3);
    expect(new Set(models).size).toBe(models.length);
  });

  it("may not lead anywhere else", async () => {
    const outcome = await site.page.evaluate(() => fetch("https://example.org/").then(() => "sent", () => "refused"));
    expect(outcome).toBe("refused");
    expect(site.errors.some((line) => line.includes("Content Security Policy"))).toBe(true);
  });

  it("is not needed any more once the page has been opened", async () => {
    await site.host.stop();
    await site.page.reload();
    await ready(site.page);
    await site.page.setInputFiles("#files", astronaut);
    await site.page.locator("[data-key=protect]").click();
    await site.page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
  });

  it("is not needed for a photo that another app shares", async () => {
    const bytes = readFileSync(astronaut).toString("base64");
    await site.page.evaluate(async (text) => {
      const file = new File([Uint8Array.from(atob(text), (character) => character.charCodeAt(0))], "shared.jpg", { type: "image/jpeg" });
      const [form, input, files] = [document.createElement("form"), document.createElement("input"), new DataTransfer()];
      files.items.add(file);
      Object.assign(input, { type: "file", name: "photos", files: files.files });
      Object.assign(form, { method: "post", enctype: "multipart/form-data", action: "share" });
      form.append(input);
      document.body.append(form);
      form.submit();
    }, bytes);
    await site.page.waitForURL(/\?shared$/);
    await site.page.locator("#stage h2", { hasText: "shared.jpg" }).waitFor({ timeout: 120_000 });
    await site.page.locator("[data-key=protect]").click({ timeout: 120_000 });
    await site.page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
  });

  it("asks no other origin for anything, and the user for no permission", async () => {
    expect(site.foreign.filter((url) => url !== "https://example.org/")).toEqual([]);
    const states = await site.page.evaluate(async () =>
      Promise.all(["camera", "geolocation", "notifications"].map(async (name) => (await navigator.permissions.query({ name: name as PermissionName })).state)),
    );
    expect(states).not.toContain("granted");
  });
});
