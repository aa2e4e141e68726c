/** Chromium, a page of it, and what the page may not do. */

import { existsSync } from "node:fs";

import { type BrowserContext, type BrowserContextOptions, type Page, chromium } from "playwright-core";
import { afterAll, beforeAll } from "vitest";

import { dist, isBuilt } from "./home";
import { type Host, serve } from "./server";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export const executable = process.env["CHROMIUM"] ?? PLACES.find((place) => existsSync(place));

/** There is a browser, and a page for it. */
export const canOpen = executable !== undefined && isBuilt;

export const FLAGS = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync"],
];

/** How to open it; flags are Chromium's own. */
export interface Opening extends BrowserContextOptions {
  flags?: string[];
}

export interface Opened {
  context: BrowserContext;
  page: Page;
  /** Requests that left the page's own origin. */
  foreign: string[];
  /** What the console said of errors, violations of the policy among them. */
  errors: string[];
}

/** The page on a host of its own. */
export interface Site extends Opened {
  host: Host;
}

/** Open the page, with its models loaded, for all tests of a group; what is returned is there once they run. */
export function openForAll(opening: () => Opening | Promise<Opening> = () => ({})): Site {
  const site = {} as Site;
  beforeAll(async () => {
    site.host = await serve(dist);
    Object.assign(site, await open(site.host.url, await opening()));
    await ready(site.page);
  });
  afterAll(async () => {
    await site.context?.close();
    await site.host?.stop();
  });
  return site;
}

/** Open a page in a browser with a new profile. */
async function open(url: string, { flags = [], ...options }: Opening): Promise<Opened> {
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
