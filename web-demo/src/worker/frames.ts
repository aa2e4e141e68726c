/** A frame of a camera or a video: its pixels out of the browser, and back with the faces protected. */

import type { Live } from "../core/live";
import type { LiveFrame } from "./protocol";

let canvas: OffscreenCanvas | undefined;

/** Protect the faces in a frame, which is closed. */
export async function protectFrame(live: Live, frame: ImageBitmap, steps: number): Promise<LiveFrame> {
  const { width, height } = frame;
  if (canvas?.width !== width || canvas.height !== height) canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  context.drawImage(frame, 0, 0);
  frame.close();
  const { data: rgba } = context.getImageData(0, 0, width, height);
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0, at = 0; i < pixels.length; i += 3, at += 4) {
    pixels[i] = rgba[at]!;
    pixels[i + 1] = rgba[at + 1]!;
    pixels[i + 2] = rgba[at + 2]!;
  }
  const faces = await live.frame(pixels, width, height, steps);
  for (let i = 0, at = 0; i < pixels.length; i += 3, at += 4) {
    rgba[at] = pixels[i]!;
    rgba[at + 1] = pixels[i + 1]!;
    rgba[at + 2] = pixels[i + 2]!;
  }
  return { pixels: rgba, width, height, faces };
}
