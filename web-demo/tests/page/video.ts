/** A video for Chromium's camera that is none: the astronaut, moving a little, as JPEGs one behind the other. */

import { readFileSync, writeFileSync } from "node:fs";

import { chromium } from "playwright-core";

import { executable } from "./browser";
import { astronaut } from "./home";

const FRAMES = 60;

/** Write frames of 640 x 480 to a file ending in `.mjpeg`. */
export async function makeVideo(path: string): Promise<void> {
  const browser = await chromium.launch({ executablePath: executable!, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const page = await browser.newPage();
    const source = `data:image/jpeg;base64,${readFileSync(astronaut).toString("base64")}`;
    const frames = await page.evaluate(drawFrames, { source, count: FRAMES });
    writeFileSync(path, Buffer.concat(frames.map((frame) => Buffer.from(frame, "base64"))));
  } finally {
    await browser.close();
  }
}

/** Runs in the browser. */
async function drawFrames({ source, count }: { source: string; count: number }): Promise<string[]> {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 480];
  const context = canvas.getContext("2d")!;
  const frames: string[] = [];
  for (let i = 0; i < count; i++) {
    const angle = (2 * Math.PI * i) / count;
    const scale = 1.25 + 0.04 * Math.sin(angle);
    context.fillStyle = "#777";
    context.fillRect(0, 0, 640, 480);
    context.drawImage(image, 60 + 12 * Math.cos(angle), 10 + 6 * Math.sin(2 * angle), image.width * scale * (512 / image.width), image.height * scale * (512 / image.width));
    frames.push(canvas.toDataURL("image/jpeg", 0.92).split(",")[1]!);
  }
  return frames;
}
