// The golden vectors by onnxruntime-web in node: node read.mjs ONNXRUNTIME_WEB ARTIFACTS
// ONNXRUNTIME_WEB is the folder of the npm package, ARTIFACTS what `face-encryption export` wrote.
import assert from "node:assert";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { inflateSync } from "node:zlib";

const [runtime, artifacts] = process.argv.slice(2).map((path) => resolve(path));
const ort = await import(`${runtime}/dist/ort.node.min.mjs`);
const here = (name) => readFileSync(new URL(name, import.meta.url));
const golden = JSON.parse(here("golden.json"));
const { tolerance, cloak, label, square } = golden;
const manifest = JSON.parse(readFileSync(`${artifacts}/manifest.json`));
const names = manifest.surrogates.map((each) => each.name);
assert.deepEqual([manifest.checkpoint_sha256, names], [golden.artifacts.checkpoint_sha256, golden.artifacts.surrogates],
  `the golden vectors belong to other artifacts; make them again: ${golden.made_by}`);

/** The pixels of a PNG of 8-bit RGB, checked against their hash. */
function picture({ file, sha256 }) {
  const data = here(file), [width, height] = [data.readUInt32BE(16), data.readUInt32BE(20)], parts = [];
  for (let at = 8; at < data.length; at += 12 + data.readUInt32BE(at))
    if (data.toString("latin1", at + 4, at + 8) === "IDAT")
      parts.push(data.subarray(at + 8, at + 8 + data.readUInt32BE(at)));
  const raw = inflateSync(Buffer.concat(parts)), pixels = new Uint8Array(3 * width * height), row = 3 * width;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < row; x++) {
      const a = x < 3 ? 0 : pixels[y * row + x - 3], b = y ? pixels[(y - 1) * row + x] : 0;
      const c = y && x >= 3 ? pixels[(y - 1) * row + x - 3] : 0;
      const [pa, pb, pc] = [b - c, a - c, a + b - 2 * c].map(Math.abs);
      const guess = [0, a, b, (a + b) >> 1, pa <= pb && pa <= pc ? a : pb <= pc ? b : c][raw[y * (row + 1)]];
      pixels[y * row + x] = raw[y * (row + 1) + 1 + x] + guess;
    }
  assert.equal(createHash("sha256").update(pixels).digest("hex"), sha256, file);
  return { pixels, width, height };
}

const externalData = [{ path: "weights.bin", data: readFileSync(`${artifacts}/weights.bin`) }];
const open = (name) =>
  ort.InferenceSession.create(readFileSync(`${artifacts}/${name}.onnx`), name === "detector" ? {} : { externalData });
const f32 = (values, dims = []) => new ort.Tensor("float32", Float32Array.from([values].flat(3)), dims);
const i64 = (value) => new ort.Tensor("int64", BigInt64Array.of(BigInt(value)), []);
const u8 = (pixels, side) => new ort.Tensor("uint8", pixels, [side, side, 3]);
const near = (got, want, most, what) =>
  want.flat(3).forEach((value, i) => assert(Math.abs(got[i] - value) <= most, `${what} ${i}: ${got[i]}, not ${value}`));
const difference = (one, other) => one.reduce((sum, value, i) => sum + Math.abs(value - other[i]), 0) / one.length;

const photo = picture(golden.photo), side = square.side, [left, top] = square.corner;
const cut = new Uint8Array(3 * side * side), row = 3 * side, start = (y) => 3 * ((top + y) * photo.width + left);
for (let y = 0; y < side; y++) cut.set(photo.pixels.subarray(start(y), start(y) + row), y * row);
assert.equal(createHash("sha256").update(cut).digest("hex"), square.sha256);

const { score, faces } = golden.detector, image = u8(photo.pixels, photo.width);
const seen = await (await open("detector")).run({ image, score_threshold: f32(score), max_faces: i64(100) });
near(seen.boxes.data, faces.map((face) => face.box), tolerance.box, "box");
near(seen.scores.data, faces.map((face) => face.score), tolerance.score, "score");
const { embedding } = await (await open("recognizer")).run({ face: u8(cut, side) });
near(embedding.data, golden.recognizer.embedding, tolerance.embedding, "embedding");

/** What each step gives. */
async function steps(graphs, said, feeds) {
  const sessions = [], results = [];
  for (const name of graphs) sessions.push(await open(name));
  for (let number = 0; number < said.steps; number++) {
    const result = await sessions[number % sessions.length].run({ ...feeds, iteration: i64(number) });
    feeds = { ...feeds, perturbation: result.next_perturbation, momentum_buffer: result.next_momentum_buffer };
    near(result.loss.data, [said.losses[number]], tolerance.similarity, `loss of step ${number + 1}`);
    results.push(result);
  }
  return results;
}

const keypoints = f32(cloak.keypoints, [6, 2]), reference = f32(cloak.reference, [cloak.reference.length]);
const embed = await open("cloak-reference");
const before = (await embed.run({ face: u8(cut, side), keypoints })).reference.data;
near(before, cloak.reference, tolerance.reference, "reference");
const clamp = f32(cloak.clamp), numbers = { budget: f32(cloak.budget), clamp, steps: i64(cloak.steps) };
const turns = manifest.cloak.turns.map((turn) => `attack-feature-step-${turn}`);
const face = u8(cut, side), end = await open("attack-feature-end");
const begin = await (await open("attack-feature-begin")).run({ face, keypoints, clamp, seed: i64(cloak.seed) });
const results = await steps(turns, cloak, { ...begin, reference, ...numbers });
for (const stage of cloak.after) {
  const perturbation = results[stage.done - 1].next_perturbation;
  const got = (await end.run({ face, perturbation, clamp })).protected.data;
  const apart = difference(got, picture(stage).pixels);
  const after = (await embed.run({ face: u8(got, side), keypoints })).reference.data;
  let begin = 0;
  const similarities = manifest.surrogates.map(({ embedding: length }) => {
    const part = [...before.slice(begin, begin + length)].reduce((sum, value, i) => sum + value * after[begin + i], 0);
    begin += length;
    return part;
  });
  got.forEach((value, i) => assert(Math.abs(value - cut[i]) <= cloak.clamp));
  if (stage.done === 1) assert(apart <= tolerance.first_step);
  near(similarities, stage.similarities, tolerance.similarity, `similarity after ${stage.done}`);
  const [ours, theirs] = [similarities, stage.similarities].map((values) => values.map((each) => each.toFixed(3)));
  console.log(`cloak, ${stage.done} steps: mean difference ${apart.toFixed(3)}, similarities ${ours}, not ${theirs}`);
}

const floats = ["direction", "epsilon", "step_size", "momentum", "diversity"].map((name) => [name, f32(label[name])]);
const target = { ...Object.fromEntries(floats), label: i64(label.label), seed: i64(label.seed) };
const grid = Math.min(side, 336), zeros = f32(Array(3 * grid * grid).fill(0), [3, grid, grid]);
const state = { perturbation: zeros, momentum_buffer: zeros };
const labelled = (await steps(["attack-label-step"], label, { face, ...target, ...state })).at(-1).protected.data;
labelled.forEach((value, i) => assert(Math.abs(value - cut[i]) <= label.epsilon));
console.log(`label, ${label.steps} steps: mean difference ${difference(labelled, picture(label).pixels).toFixed(3)}`);

const { pixels } = picture(cloak.after.at(-1));
for (let y = 0; y < side; y++) photo.pixels.set(pixels.subarray(y * row, (y + 1) * row), start(y));
assert.equal(createHash("sha256").update(photo.pixels).digest("hex"), golden.pasted.sha256);
console.log("golden vectors: all agree");
