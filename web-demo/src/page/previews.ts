/** Smaller copies of photos, from the worker that makes them. */

import type { PreviewReply, PreviewRequest } from "../worker/previews";

const open = new Map<number, (copy: Blob | undefined) => void>();
let worker: Worker | undefined;
let next = 0;

/** Return a picture whose longer side is so long at most; undefined where it cannot be decoded. */
export function shrink(file: Blob, side: number): Promise<Blob | undefined> {
  worker ??= start();
  const id = next++;
  return new Promise((resolve) => {
    open.set(id, resolve);
    worker!.postMessage({ id, file, side } satisfies PreviewRequest);
  });
}

function start(): Worker {
  const started = new Worker(new URL("../worker/previews.ts", import.meta.url), { type: "module" });
  started.addEventListener("message", ({ data: { id, copy } }: MessageEvent<PreviewReply>) => {
    open.get(id)?.(copy);
    open.delete(id);
  });
  started.addEventListener("error", () => {
    for (const resolve of open.values()) resolve(undefined); // the page shows no picture, and works
    open.clear();
  });
  return started;
}
