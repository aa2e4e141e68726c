/** Smaller copies of photos for the page to show, made away from it: drawing 24 megapixels takes longer than a page may hang. */

export interface PreviewRequest {
  id: number;
  file: Blob;
  /** The longer side of the copy is this at most, in pixels. */
  side: number;
}

export interface PreviewReply {
  id: number;
  /** Missing where the file cannot be decoded. */
  copy: Blob | undefined;
}

self.addEventListener("message", ({ data: { id, file, side } }: MessageEvent<PreviewRequest>) => {
  void shrink(file, side).then((copy) => self.postMessage({ id, copy } satisfies PreviewReply));
});

async function shrink(file: Blob, side: number): Promise<Blob | undefined> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return undefined;
  }
  const scale = side / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) {
    bitmap.close();
    return file;
  }
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)));
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  const copy = await canvas.convertToBlob(file.type === "image/jpeg" ? { type: file.type, quality: 0.95 } : { type: "image/png" });
  canvas.width = 0; // its memory comes back at once
  return copy;
}
