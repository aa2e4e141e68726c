import { readFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type Opened, executable, open, ready } from "./browser";
import { astronaut, dist, isBuilt } from "./home";
import { type Host, serve } from "./server";

describe.skipIf(!executable || !isBuilt)("a host that sets no headers", () => {
  let host: Host;
  let opened: Opened;

  beforeAll(async () => {
    host = await serve(dist);
    opened = await open(host.url);
    await ready(opened.page);
  });

  afterAll(async () => {
    await opened?.context.close();
    await host?.stop();
  });

  it("is isolated by the service worker, and each file is fetched once", async () => {
    expect(await opened.page.evaluate(() => self.crossOriginIsolated)).toBe(true);
    const models = host.requests.filter((path) => path.startsWith("/artifacts/") && !path.endsWith("manifest.json"));
    expect(models.length).toBeGreaterThan(3);
    expect(new Set(models).size).toBe(models.length);
  });

  it("may not lead anywhere else", async () => {
    const outcome = await opened.page.evaluate(() => fetch("https://example.org/").then(() => "sent", () => "refused"));
    expect(outcome).toBe("refused");
    expect(opened.errors.some((line) => line.includes("Content Security Policy"))).toBe(true);
  });

  it("is not needed any more once the page has been opened", async () => {
    await host.stop();
    await opened.page.reload();
    await ready(opened.page);
    await opened.page.setInputFiles("#files", astronaut);
    await opened.page.locator("[data-key=protect]").click();
    await opened.page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
  });

  it("is not needed for a photo that another app shares", async () => {
    const bytes = readFileSync(astronaut).toString("base64");
    await opened.page.evaluate(async (text) => {
      const file = new File([Uint8Array.from(atob(text), (character) => character.charCodeAt(0))], "shared.jpg", { type: "image/jpeg" });
      const [form, input, files] = [document.createElement("form"), document.createElement("input"), new DataTransfer()];
      files.items.add(file);
      Object.assign(input, { type: "file", name: "photos", files: files.files });
      Object.assign(form, { method: "post", enctype: "multipart/form-data", action: "share" });
      form.append(input);
      document.body.append(form);
      form.submit();
    }, bytes);
    await opened.page.waitForURL(/\?shared$/);
    await opened.page.locator("#stage h2", { hasText: "shared.jpg" }).waitFor({ timeout: 120_000 });
    await opened.page.locator("[data-key=protect]").click({ timeout: 120_000 });
    await opened.page.locator("[data-key=save]").waitFor({ timeout: 120_000 });
  });

  it("asks no other origin for anything, and the user for no permission", async () => {
    expect(opened.foreign.filter((url) => url !== "https://example.org/")).toEqual([]);
    const states = await opened.page.evaluate(async () =>
      Promise.all(["camera", "geolocation", "notifications"].map(async (name) => (await navigator.permissions.query({ name: name as PermissionName })).state)),
    );
    expect(states).not.toContain("granted");
  });
});
