/** The astronaut, moving a little: a video file, and frames for Chromium's camera that is none. */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { executable } from "./browser";
import { astronaut } from "./home";

const FRAMES = 60;
/** Of the video file: after a second it begins again. */
const MILLISECONDS = 1000;

export interface Videos {
  /** JPEGs one behind the other. */
  camera: string;
  /** WebM. */
  file: string;
}

/** Write two videos of 640 x 480 into a folder. */
export async function makeVideos(folder: string): Promise<Videos> {
  const videos = { camera: join(folder, "camera.mjpeg"), file: join(folder, "video.webm") };
  const browser = await chromium.launch({ executablePath: executable!, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const page = await browser.newPage();
    const source = `data:image/jpeg;base64,${readFileSync(astronaut).toString("base64")}`;
    const { frames, video } = await page.evaluate(drawFrames, { source, count: FRAMES, milliseconds: MILLISECONDS });
    writeFileSync(videos.camera, Buffer.concat(frames.map((frame) => Buffer.from(frame, "base64"))));
    writeFileSync(videos.file, Buffer.from(video, "base64"));
  } finally {
    await browser.close();
  }
  return videos;
}

/** Runs in the browser. */
async function drawFrames({ source, count, milliseconds }: { source: string; count: number; milliseconds: number }): Promise<{ frames: string[]; video: string }> {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [640, 480];
  document.body.append(canvas); // what is not shown is not recorded
  const context = canvas.getContext("2d")!;
  const draw = (i: number) => {
    const angle = (2 * Math.PI * i) / count;
    const scale = 1.25 + 0.04 * Math.sin(angle);
    context.fillStyle = "#777";
    context.fillRect(0, 0, 640, 480);
    context.drawImage(image, 60 + 12 * Math.cos(angle), 10 + 6 * Math.sin(2 * angle), image.width * scale * (512 / image.width), image.height * scale * (512 / image.width));
  };
  const base64 = (url: string) => url.slice(url.indexOf(",") + 1);
  const frames: string[] = [];
  for (let i = 0; i < count; i++) {
    draw(i);
    frames.push(base64(canvas.toDataURL("image/jpeg", 0.92)));
  }
  const recorder = new MediaRecorder(canvas.captureStream(), { mimeType: "video/webm;codecs=vp9", videoBitsPerSecond: 4e6 });
  const written = new Promise<Blob>((resolve) => recorder.addEventListener("dataavailable", ({ data }) => resolve(data)));
  recorder.start();
  for (const end = performance.now() + milliseconds; performance.now() < end; ) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    draw(Math.round((performance.now() / milliseconds) * count));
  }
  recorder.stop();
  const reader = new FileReader();
  reader.readAsDataURL(await written);
  await new Promise((resolve) => (reader.onload = resolve));
  return { frames, video: base64(reader.result as string) };
}
