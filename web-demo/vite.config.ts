import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";

import { type Plugin, build, defineConfig } from "vite";

/** Nothing from another origin, ever; `wasm-unsafe-eval` lets WebAssembly be compiled, and nothing else. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "img-src 'self' blob:",
  "media-src 'self' blob:",
  "style-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
].join("; ");

const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Content-Security-Policy": POLICY,
};

/** Puts the policy into the page, for hosts that set no headers. */
function policy(): Plugin {
  return {
    name: "policy",
    apply: "build",
    transformIndexHtml: () => [{ tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: POLICY }, injectTo: "head-prepend" }],
  };
}

/** Builds the service worker with the list of all files but the models, and a version made of their contents. */
function serviceWorker(): Plugin {
  return {
    name: "service-worker",
    apply: "build",
    async closeBundle() {
      const out = join(import.meta.dirname, "dist");
      const files = list(out).filter((file) => !file.startsWith("artifacts/") && file !== "sw.js" && file !== "index.html");
      const hash = createHash("sha256");
      for (const file of [...files, "index.html"]) hash.update(file).update(readFileSync(join(out, file)));
      const shell = { version: hash.digest("hex").slice(0, 16), files: ["./", ...files], policy: POLICY };
      await build({
        configFile: false,
        logLevel: "warn",
        publicDir: false,
        define: { __SHELL__: JSON.stringify(shell) },
        build: {
          outDir: out,
          emptyOutDir: false,
          rollupOptions: { input: join(import.meta.dirname, "src/sw/sw.ts"), output: { entryFileNames: "sw.js", format: "iife" } },
        },
      });
    },
  };
}

function list(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).map((file) => join(folder, file));
  return files.filter((file) => statSync(file).isFile()).map((file) => relative(folder, file)).sort();
}

export default defineConfig({
  base: "./",
  plugins: [policy(), serviceWorker()],
  // onnxruntime-web then takes its WebAssembly from a folder beside the page; bundled, it fails with several threads.
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "import", "default"] },
  worker: { format: "es", rollupOptions: { output: { entryFileNames: "assets/[name]-[hash].js" } } },
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { headers: HEADERS },
  preview: { headers: HEADERS, port: 8080 },
});
