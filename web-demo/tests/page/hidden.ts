/** Chromium as its users have it: a page behind another is hidden there, which Playwright otherwise prevents. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type BrowserContext, chromium } from "playwright-core";

import { FLAGS, executable } from "./browser";

export interface Plain {
  context: BrowserContext;
  close(): Promise<void>;
}

export async function openPlain(): Promise<Plain> {
  const profile = mkdtempSync(join(tmpdir(), "plain-"));
  const started = spawn(executable!, ["--headless", "--remote-debugging-port=0", `--user-data-dir=${profile}`, ...FLAGS], { stdio: ["ignore", "ignore", "pipe"] });
  const browser = await chromium.connectOverCDP(await address(started), { noDefaults: true });
  const close = async () => {
    await browser.close();
    started.kill();
  };
  return { context: browser.contexts()[0]!, close };
}

/** Where Chromium says that it listens. */
async function address({ stderr }: ChildProcess): Promise<string> {
  let said = "";
  for await (const part of stderr!) {
    said += String(part);
    const found = /DevTools listening on (ws:\S+)/.exec(said);
    if (found) return found[1]!;
  }
  throw new Error(said);
}
