/** What axe-core finds wrong in a page. */

import { createRequire } from "node:module";

import type { Page } from "playwright-core";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Put axe into the page, which its policy has to allow: open it with `bypassCSP`. */
export async function addAxe(page: Page): Promise<void> {
  await page.addScriptTag({ path: axe });
}

/** Return a line for each flaw. */
export async function violations(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const { violations: found } = await (window as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }).axe.run();
    return found.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}

/** Nothing makes the page wider than its window. */
export async function isWithin(page: Page): Promise<boolean> {
  return page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);
}
