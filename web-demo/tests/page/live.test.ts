import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { addAxe, isWithin, violations } from "./axe";
import { type Opened, executable, open, ready } from "./browser";
import { dist, isBuilt } from "./home";
import { type Host, serve } from "./server";
import { makeVideo } from "./video";

/** So many frames at least, and then none may be a match: how long that takes is the machine's affair. */
const FRAMES = 12;

describe.skipIf(!executable || !isBuilt)("live", () => {
  let host: Host;
  let opened: Opened;
  let page: Page;

  beforeAll(async () => {
    const video = join(mkdtempSync(join(tmpdir(), "camera-")), "camera.mjpeg");
    await makeVideo(video);
    host = await serve(dist);
    opened = await open(host.url, { bypassCSP: true, viewport: { width: 390, height: 844 } }, [
      ...["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-video-capture=${video}`],
    ]);
    page = opened.page;
    await ready(page);
    await page.evaluate(countCameras);
  });

  afterAll(async () => {
    await opened?.context.close();
    await host?.stop();
  });

  const cameras = () => page.evaluate(() => (window as unknown as Watched).cameras.map((track) => track.readyState));
  const start = async () => {
    await page.locator("[data-key=camera]").focus();
    await page.keyboard.press("Enter");
    await page.locator(".rate", { hasText: "frames a second" }).waitFor({ timeout: 120_000 });
  };

  it("asks for the camera when it is started, and not before", async () => {
    await page.locator("#live > summary").focus();
    await page.keyboard.press("Enter");
    await page.locator("[data-key=camera]").waitFor({ timeout: 120_000 });
    expect(await cameras()).toEqual([]);
    await start();
    expect(await cameras()).toEqual(["live"]);
  });

  it("protects the face that moves", async () => {
    const steps = () => page.evaluate(() => Number(document.querySelector<HTMLElement>(".live-picture")!.dataset["frames"]));
    const first = await steps();
    await page.waitForFunction((count) => Number(document.querySelector<HTMLElement>(".live-picture")!.dataset["frames"]) >= count, first + FRAMES, { timeout: 120_000 });
    await page.locator(".live .verdict", { hasText: "no longer matches" }).waitFor({ timeout: 120_000 });
    const text = await page.locator(".live .results").innerText();
    expect(text).toMatch(/similarity -?[\d.]+; [\d.]+ and more count as the same person/);
    expect(text).toMatch(/before: .+ [\d.]+/);
    expect(await page.locator(".live-marks .mark").count()).toBe(1);
  });

  it("has no flaw for screen readers, and fits a phone", async () => {
    await addAxe(page);
    expect(await violations(page)).toEqual([]);
    expect(await isWithin(page)).toBe(true);
  });

  it("gives the camera back when it is stopped, when it is closed, and when the page is hidden", async () => {
    await page.locator("[data-key=stop]").focus();
    await page.keyboard.press("Enter");
    expect(await cameras()).toEqual(["ended"]);
    await start();
    await page.locator("#live > summary").click();
    await expect.poll(cameras).toEqual(["ended", "ended"]);
    await page.locator("#live > summary").click();
    await start();
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    expect(await cameras()).toEqual(["ended", "ended", "ended"]);
  });

  it("asks no other origin for anything", () => {
    expect(opened.foreign).toEqual([]);
    expect(opened.errors).toEqual([]);
  });
});

interface Watched {
  cameras: MediaStreamTrack[];
}

/** Runs in the page: keeps the tracks of the cameras that it is given. */
function countCameras(): void {
  const watched = window as unknown as Watched;
  watched.cameras = [];
  const { mediaDevices } = navigator;
  const original = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = async (constraints) => {
    const stream = await original(constraints);
    watched.cameras.push(...stream.getVideoTracks());
    return stream;
  };
}
