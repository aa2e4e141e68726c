/** Chromium, a page of it, and what the page may not do. */

import { existsSync } from "node:fs";

import { type BrowserContext, type BrowserContextOptions, type Page, chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export const executable = process.env["CHROMIUM"] ?? PLACES.find((place) => existsSync(place));

const FLAGS = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];

export interface Opened {
  context: BrowserContext;
  page: Page;
  /** Requests that left the page's own origin. */
  foreign: string[];
  /** What the console said of errors, violations of the policy among them. */
  errors: string[];
}

/** Open a page in a browser with a new profile. */
export async function open(url: string, options: BrowserContextOptions = {}, flags: string[] = []): Promise<Opened> {
  if (!executable) throw new Error("no Chromium");
  const context = await chromium.launchPersistentContext("", { executablePath: executable, args: [...FLAGS, ...flags], acceptDownloads: true, ...options });
  const [foreign, errors]: string[][] = [[], []];
  context.on("request", (request) => {
    if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url())) foreign!.push(request.url());
  });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && errors!.push(message.text()));
  page.on("pageerror", (error) => errors!.push(String(error)));
  await page.goto(url);
  return { context, page, foreign: foreign!, errors: errors! };
}

/** Wait until the models are loaded. */
export async function ready(page: Page): Promise<void> {
  await page.locator("#state", { hasText: "Ready" }).waitFor({ timeout: 120_000 });
}
