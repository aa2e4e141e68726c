/** Results leave the page: as a file, by the share sheet, all of them in a ZIP or in a folder. */

import { downloadZip } from "client-zip";

import type { Format } from "../core/photo/parts";

export interface Output {
  name: string;
  file: Blob;
}

const SUFFIXES: Record<Format, string> = { JPEG: ".jpg", PNG: ".png", WEBP: ".webp" };

/** `<stem>_protected.<suffix>`: a photo keeps its format, and so its suffix. */
export function protectedName(name: string, format: Format): string {
  const dot = name.lastIndexOf(".");
  const [stem, suffix] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, SUFFIXES[format]];
  return `${stem || "photo"}_protected${suffix}`;
}

/** Names of which none is there twice: a number goes behind those that are. */
export function distinctNames(names: readonly string[], isTaken: (name: string) => boolean = () => false): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const dot = name.lastIndexOf(".");
    let candidate = name;
    for (let i = 2; taken.has(candidate.toLowerCase()) || isTaken(candidate); i++) candidate = `${name.slice(0, dot)}_${i}${name.slice(dot)}`;
    taken.add(candidate.toLowerCase());
    return candidate;
  });
}

export function download({ name, file }: Output): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  [link.href, link.download] = [url, name];
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export async function downloadAll(outputs: readonly Output[]): Promise<void> {
  const names = distinctNames(outputs.map(({ name }) => name));
  const zip = downloadZip(outputs.map(({ file }, i) => ({ name: names[i]!, input: file, lastModified: new Date() })));
  download({ name: "protected_photos.zip", file: await zip.blob() });
}

const asFile = ({ name, file }: Output) => new File([file], name, { type: file.type });

export function canShare(outputs: readonly Output[]): boolean {
  return typeof navigator.canShare === "function" && navigator.canShare({ files: outputs.map(asFile) });
}

/** Share; that the user changes their mind is no failure. */
export async function share(outputs: readonly Output[]): Promise<void> {
  try {
    await navigator.share({ files: outputs.map(asFile) });
  } catch (error) {
    if (!(error instanceof DOMException && error.name === "AbortError")) throw error;
  }
}

interface FolderHandle {
  keys(): AsyncIterable<string>;
  getFileHandle(name: string, options: { create: boolean }): Promise<{ createWritable(): Promise<WritableStream<Blob> & { write(data: Blob): Promise<void>; close(): Promise<void> }> }>;
}

declare global {
  interface Window {
    showDirectoryPicker?: (options: { mode: string }) => Promise<FolderHandle>;
  }
}

export const canSaveToFolder = (): boolean => typeof window.showDirectoryPicker === "function";

/** Write into a folder that the user chooses; a file that is there is never replaced. Returns whether it was done. */
export async function saveToFolder(outputs: readonly Output[]): Promise<boolean> {
  let folder: FolderHandle;
  try {
    folder = await window.showDirectoryPicker!({ mode: "readwrite" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return false;
    throw error;
  }
  const there = new Set<string>();
  for await (const name of folder.keys()) there.add(name);
  const names = distinctNames(outputs.map(({ name }) => name), (name) => there.has(name));
  for (const [i, { file }] of outputs.entries()) {
    const writable = await (await folder.getFileHandle(names[i]!, { create: true })).createWritable(); // whole or not at all: renamed when closed
    await writable.write(file);
    await writable.close();
  }
  return true;
}
