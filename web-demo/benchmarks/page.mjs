// Time and memory of the page: node benchmarks/page.mjs PHOTO [RUNS] [THREADS], JSON lines on stdout. Needs `make web`.
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";
import { preview } from "vite";

const [photo, runs = "2", threads = "2"] = process.argv.slice(2);
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Resident memory of the largest renderer that this process started, now and at its peak since the last call, in MB. */
function rendererMemory() {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((id) => {
    try {
      if (!readFileSync(`/proc/${id}/cmdline`, "utf8").includes("--type=renderer") || !descends(id)) return [];
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      writeFileSync(`/proc/${id}/clear_refs`, "5"); // the peak begins anew
      return [["VmRSS", "VmHWM"].map((name) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1000))];
    } catch {
      return [];
    }
  });
  const [now, peak] = all.sort((one, other) => other[1] - one[1])[0] ?? [0, 0];
  return { now, peak };
}

const say = (facts) => process.stdout.write(`${JSON.stringify(facts)}\n`);

function descends(id) {
  for (let at = id; at > 1; ) {
    if (Number(at) === process.pid) return true;
    at = /PPid:\s+(\d+)/.exec(readFileSync(`/proc/${at}/status`, "utf8"))?.[1] ?? 0;
  }
  return false;
}

const server = await preview({ root: new URL("..", import.meta.url).pathname, preview: { port: 0, headers: threads === "1" ? {} : undefined }, logLevel: "silent" });
const url = `http://localhost:${server.httpServer.address().port}/`;
const profile = mkdtempSync(join(tmpdir(), "page-"));
const launch = () => chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS, acceptDownloads: true });
let context;
try {
  let page;
  for (const load of ["first load", "second load"]) {
    await context?.close();
    context = await launch(); // a new process, as when the page is opened again later
    page = await context.newPage();
    if (threads === "1") await page.addInitScript(() => Object.defineProperty(navigator, "hardwareConcurrency", { value: 1 }));
    const start = performance.now();
    await page.goto(url);
    await page.locator("#state", { hasText: "Ready" }).waitFor({ timeout: 120_000 });
    say({ what: load, ms: Math.round(performance.now() - start), threads: await page.evaluate(() => (self.crossOriginIsolated ? navigator.hardwareConcurrency : 1)), rendererMB: rendererMemory() });
  }
  for (let run = 0; run < Number(runs); run++) {
    const start = performance.now();
    await page.setInputFiles("#files", photo);
    await page.locator("[data-key=protect]").waitFor({ timeout: 120_000 });
    const found = performance.now();
    const looked = rendererMemory();
    // How late the page answers at worst, while it works.
    await page.evaluate(() => {
      self.worst = 0;
      let last = performance.now();
      self.timer = setInterval(() => {
        self.worst = Math.max(self.worst, performance.now() - last - 10);
        last = performance.now();
      }, 10);
    });
    await page.locator("[data-key=protect]").click();
    await page.locator("[data-key=save], [role=alert]:visible").first().waitFor({ timeout: 600_000 });
    const done = performance.now();
    const [download] = await Promise.all([page.waitForEvent("download"), page.locator("[data-key=save]").click()]);
    await download.path();
    const saved = performance.now();
    const { stages, worst, line } = await page.evaluate(() => {
      clearInterval(self.timer);
      return { stages: performance.getEntriesByName("protected").at(-1).detail, worst: self.worst, line: document.querySelector(".results").innerText };
    });
    const round = (ms) => Math.round(ms);
    say({ what: "photo", boxes: round(found - start), protect: round(done - found), save: round(saved - done), total: round(saved - start), stages, pageLate: round(worst), lookedMB: looked, rendererMB: rendererMemory(), line });
    await page.locator("[data-key=remove]").click();
  }
} finally {
  await context?.close();
  await server.close();
}
