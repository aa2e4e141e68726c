import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { beforeAll, describe, expect, it } from "vitest";

import { addAxe, isWithin, violations } from "./axe";
import { canOpen, openForAll } from "./browser";
import { astronaut } from "./home";
import { type Videos, makeVideos } from "./video";

/** So many frames at least, and then none may be a match: how long that takes is the machine's affair. */
const FRAMES = 12;

describe.skipIf(!canOpen)("live", () => {
  let videos: Videos;
  const site = openForAll(async () => {
    videos = await makeVideos(mkdtempSync(join(tmpdir(), "video-")));
    const flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", `--use-file-for-fake-video-capture=${videos.camera}`];
    return { bypassCSP: true, viewport: { width: 390, height: 844 }, flags };
  });

  beforeAll(() => site.page.evaluate(countCameras));

  const cameras = () => site.page.evaluate(() => (window as unknown as Watched).cameras.map((track) => track.readyState));
  /** Wait for so many more frames. */
  const more = async () => {
    const frames = () => site.page.evaluate(() => Number(document.querySelector<HTMLElement>(".live-picture")!.dataset["frames"]));
    const first = await frames();
    await expect.poll(frames, { timeout: 120_000 }).toBeGreaterThanOrEqual(first + FRAMES);
  };
  const start = async () => {
    await site.page.locator("[data-key=camera]").focus();
    await site.page.keyboard.press("Enter");
    await site.page.locator(".rate", { hasText: "frames a second" }).waitFor({ timeout: 120_000 });
  };

  it("asks for the camera when it is started, and not before", async () => {
    await site.page.locator("#live > summary").focus();
    await site.page.keyboard.press("Enter");
    await site.page.locator("[data-key=camera]").waitFor({ timeout: 120_000 });
    expect(await cameras()).toEqual([]);
    await start();
    expect(await cameras()).toEqual(["live"]);
  });

  it("protects the face that moves", async () => {
    await more();
    await site.page.locator(".live .verdict", { hasText: "no longer matches" }).waitFor({ timeout: 120_000 });
    const text = await site.page.locator(".live .results").innerText();
    expect(text).toMatch(/similarity -?[\d.]+; [\d.]+ and more count as the same person/);
    expect(text).toMatch(/before: .+ [\d.]+/);
    expect(await site.page.locator(".live-marks .mark").count()).toBe(1);
  });

  it("protects the face in a video, and goes on where that ends", async () => {
    await site.page.locator("[data-key=stop]").click();
    await site.page.setInputFiles("#video", videos.file);
    await site.page.locator(".rate", { hasText: "640 × 480" }).waitFor({ timeout: 120_000 });
    await more();
    await site.page.locator(".live .verdict", { hasText: "no longer matches" }).waitFor({ timeout: 120_000 });
    expect(await cameras()).toEqual(["ended"]);
    await site.page.locator("[data-key=stop]").click();
    await site.page.setInputFiles("#video", astronaut);
    await site.page.locator(".live [role=status]", { hasText: "This video cannot be played here." }).waitFor();
    await start();
  });

  it("has no flaw for screen readers, and fits a phone", async () => {
    await addAxe(site.page);
    expect(await violations(site.page)).toEqual([]);
    expect(await isWithin(site.page)).toBe(true);
  });

  it("gives the camera back when it is stopped, when it is closed, and when the page is hidden", async () => {
    await site.page.locator("[data-key=stop]").focus();
    await site.page.keyboard.press("Enter");
    expect(await cameras()).toEqual(["ended", "ended"]);
    await start();
    await site.page.locator("#live > summary").click();
    await expect.poll(cameras).toEqual(["ended", "ended", "ended"]);
    await site.page.locator("#live > summary").click();
    await start();
    await site.page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    expect(await cameras()).toEqual(["ended", "ended", "ended", "ended"]);
  });

  it("asks no other origin for anything", () => {
    expect(site.foreign).toEqual([]);
    expect(site.errors).toEqual([]);
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
