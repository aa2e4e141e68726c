// Copies what the page needs beside its own code into public/: the runtime's WebAssembly, and the exported graphs.
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const home = join(import.meta.dirname, "..");
const artifacts = process.argv[2] ?? join(home, "..", "artifacts");
const KINDS = ["detector", "recognizer", "cloak-reference", "attack-feature-begin", "attack-feature-step", "attack-feature-end", "attack-label-step"];

function copy(from, to, names) {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(to)) if (!names.includes(name)) rmSync(join(to, name));
  for (const name of names) {
    const [source, target] = [join(from, name), join(to, name)];
    const isSame = existsSync(target) && statSync(target).size === statSync(source).size && readFileSync(target).equals(readFileSync(source));
    if (!isSame) copyFileSync(source, target);
  }
}

if (!existsSync(join(artifacts, "manifest.json"))) {
  process.stderr.write(`${artifacts}: no manifest.json; run \`make artifacts\` first\n`);
  process.exit(1);
}
const manifest = JSON.parse(readFileSync(join(artifacts, "manifest.json"), "utf8"));
const graphs = Object.fromEntries(Object.entries(manifest.graphs).filter(([, graph]) => KINDS.includes(graph.kind)));
const names = [...Object.values(graphs).map((graph) => graph.file), "weights.bin"].filter((name) => name in manifest.files);
const files = Object.fromEntries(names.map((name) => [name, manifest.files[name]]));
const target = join(home, "public", "artifacts");
copy(artifacts, target, names);
writeFileSync(join(target, "manifest.json"), JSON.stringify({ ...manifest, graphs, files }));
copy(join(home, "node_modules", "onnxruntime-web", "dist"), join(home, "public", "ort"), ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"]);
