/** All the work on photos, away from the page: the page stays responsive, and can stop it between steps. */

import * as ort from "onnxruntime-web/wasm";

import { ArtifactsError, CanceledError, FaceEncryptionError } from "../core/errors";
import { attack, lookAt } from "../core/explore";
import { enroll } from "../core/gallery";
import { Graphs } from "../core/graphs";
import { readManifest } from "../core/manifest";
import type { Bytes } from "../core/photo/bytes";
import { concat } from "../core/photo/bytes";
import { Live } from "../core/live";
import { Protector } from "../core/protector";
import { DEFAULTS, planCloak } from "../core/settings";
import { browserCodec } from "./browserCodec";
import { protectFrame } from "./frames";
import type { Calls, Kind, Reply, Request, Told } from "./protocol";

type Handlers = { [K in Kind]: (request: Calls[K]["request"], call: Call) => Promise<Calls[K]["reply"]> };

/** Messages are let in so often, in milliseconds. */
const YIELD = 40;

const canceled = new Set<number>();
let protector: Protector | undefined;
let live: Live | undefined;
let queue: Promise<unknown> = Promise.resolve();

/** One request: what is told of it, and whether it has been canceled. */
class Call {
  #last = "";
  #yielded = performance.now();

  constructor(private readonly id: number) {}

  /** Tell the page, let its messages in, and stop where one of them cancels this call. */
  readonly tell = async (told: Told): Promise<void> => {
    const text = JSON.stringify(told);
    if (text !== this.#last) reply({ id: this.id, told });
    this.#last = text;
    if (performance.now() - this.#yielded > YIELD) {
      await nextTask();
      this.#yielded = performance.now();
    }
    if (canceled.has(this.id)) throw new CanceledError("stopped; nothing was written");
  };
}

const handlers: Handlers = {
  async load({ base, threads }, call) {
    ort.env.wasm.wasmPaths = new URL("ort/", base).href;
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = "error";
    const folder = new URL("artifacts/", base);
    const manifest = readManifest(new TextDecoder().decode(await fetchFile(new URL("manifest.json", folder), 2 ** 16)));
    let loaded = 0;
    const names = Object.values(manifest.graphs).filter(({ kind }) => NEEDED.includes(kind)).map(({ file }) => file);
    const of = [...names, "weights.bin"].reduce((sum, name) => sum + (manifest.files[name]?.bytes ?? 0), 0);
    const read = (name: string) => fetchFile(new URL(name, folder), manifest.files[name]?.bytes ?? 0, (count) => void call.tell({ loaded: (loaded += count), of }));
    protector = new Protector(new Graphs(manifest, read), browserCodec);
    await protector.load();
    void protector.loadOthers(inTurn);
    const later = Object.values(manifest.graphs).filter(({ file }) => !names.includes(file));
    void Promise.allSettled(later.map(({ file }) => fetchFile(new URL(file, folder), 0))); // so that it is kept for a time without a network
    const { epsilon, effort } = manifest.label;
    const { steps, step_size: stepSize } = Object.values(effort)[0] ?? { steps: 4, step_size: epsilon / 2 };
    const { classes } = manifest.recognizer;
    return { strengths: Object.keys(manifest.cloak.strength), efforts: Object.keys(manifest.cloak.effort), threads, classes, label: { epsilon, stepSize, steps } };
  },

  async detect({ file, small }, call) {
    const onPart = (step: number, steps: number) => call.tell({ stage: "detect", step, steps });
    return ready().detect(await bytesOf(file), small ? onPart : undefined);
  },

  async protect({ file, detection, settings }, call) {
    const { data, ...rest } = await ready().protect(await bytesOf(file), settings, call.tell, detection);
    return { file: new Blob([data], { type: file.type }), ...rest };
  },

  async enroll({ file }) {
    return enroll(ready().graphs, browserCodec, await bytesOf(file));
  },

  async lookAt({ file, face }) {
    return lookAt(ready().graphs, browserCodec, await bytesOf(file), face);
  },

  async attack({ look, plan }, call) {
    const { graphs } = ready();
    await graphs.load(graphs.name("attack-label-step")); // which nothing else needs
    await graphs.dropWeights();
    return attack(graphs, look, plan, (step, steps) => call.tell({ stage: "protect", step, steps }));
  },

  async live({ frame, steps, isFirst }) {
    const { graphs } = ready();
    if (isFirst || !live) live = new Live(graphs, planCloak(graphs.manifest, DEFAULTS)[0]!);
    return protectFrame(live, frame, steps);
  },
};

const NEEDED = ["detector", "cloak-reference", "attack-feature-begin", "attack-feature-step", "attack-feature-end"];

function ready(): Protector {
  if (!protector) throw new ArtifactsError("the models are not loaded; reload the page");
  return protector;
}

async function bytesOf(file: Blob): Promise<Bytes> {
  return new Uint8Array(await file.arrayBuffer());
}

/** Fetch a file that is expected to have so many bytes. */
async function fetchFile(url: URL, bytes: number, onBytes?: (count: number) => void): Promise<Bytes> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch {
    throw new ArtifactsError("the models are not on this device yet; open the page once with a connection");
  }
  if (!response.ok || !response.body) throw new ArtifactsError(`${url.pathname}: cannot be fetched (${response.status}); reload the page`);
  let data = new Uint8Array(bytes);
  let at = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return data.subarray(0, at);
    if (at + value.length > data.length) data = concat([data, new Uint8Array(value.length + data.length)]);
    data.set(value, at);
    at += value.length;
    onBytes?.(value.length);
  }
}

/** Do a part of the work that nobody has asked for yet: what is asked meanwhile waits for this part at most. */
async function inTurn(part: () => Promise<unknown>): Promise<void> {
  const work = async () => {
    await nextTask(); // lets requests in, which come before the next part
    await part();
  };
  await (queue = queue.then(work).catch(() => undefined)); // what fails is tried again, and told, where it is needed
}

function reply(message: Reply): void {
  self.postMessage(message);
}

const channel = new MessageChannel();
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    channel.port1.onmessage = () => resolve();
    channel.port2.postMessage(null);
  });
}

async function answer<K extends Kind>(id: number, kind: K, request: Calls[K]["request"]): Promise<void> {
  try {
    if (canceled.has(id)) throw new CanceledError("stopped; nothing was written");
    reply({ id, reply: await handlers[kind](request, new Call(id)) });
  } catch (error) {
    const { name, message } = error instanceof FaceEncryptionError ? error : unexpected(error);
    reply({ id, error: { name, message } });
  } finally {
    canceled.delete(id);
  }
}

function unexpected(error: unknown): { name: string; message: string } {
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof RangeError || /memory|allocation/i.test(text)) {
    return { name: "MemoryError", message: "not enough memory; make the photo smaller, or close other pages" };
  }
  return { name: "Error", message: text };
}

self.addEventListener("message", ({ data }: MessageEvent<Request>) => {
  if (data.kind === "cancel") {
    canceled.add(data.id);
    return;
  }
  const { id, kind, ...request } = data;
  queue = queue.then(() => answer(id, kind, request as never));
});
