/** The exported graphs in onnxruntime-web: each is checked against the manifest and loaded when it is first needed. */

import * as ort from "onnxruntime-web/wasm";

import { ArtifactsError } from "./errors";
import { type Bytes, release } from "./photo/bytes";
import type { GraphEntry, Manifest } from "./manifest";

/** Returns the bytes of a file of the export, by its name. */
export type FileReader = (name: string) => Promise<Bytes>;

export type Feeds = Record<string, ort.Tensor>;
export type Outputs = Record<string, ort.Tensor>;

const WEIGHTS = "weights.bin";

export class Graphs {
  readonly #sessions = new Map<string, Promise<ort.InferenceSession>>();
  /** What has been read and checked: of each graph until it is loaded, and the weights until they are dropped. */
  readonly #files = new Map<string, Promise<Bytes>>();

  constructor(
    readonly manifest: Manifest,
    private readonly read: FileReader,
  ) {}

  /** The name of the graph of a cloak's step: the recognizers are asked in the order of a round. */
  step(iteration: number): string {
    const { turns } = this.manifest.cloak;
    return this.name("attack-feature-step", turns[iteration % turns.length]);
  }

  /** The name of the only graph of a kind; of the step graphs of a cloak the one of this turn. */
  name(kind: string, turn?: number): string {
    const fits = (entry: GraphEntry) => entry.kind === kind && (turn === undefined || (entry.turn ?? 0) === turn);
    const found = Object.entries(this.manifest.graphs).find(([, entry]) => fits(entry));
    if (!found) {
      const which = turn === undefined ? kind : `${kind} of turn ${turn}`;
      throw new ArtifactsError(`manifest.json: no graph of the kind ${which}; export the artifacts again`);
    }
    return found[0];
  }

  /** Read and check the files of graphs that are loaded later. */
  async fetch(names: readonly string[]): Promise<void> {
    const files = names.map((name) => this.#file(name));
    if (WEIGHTS in this.manifest.files) files.push(WEIGHTS);
    await Promise.all(files.map((file) => this.#checked(file)));
  }

  /** Load a graph, once. */
  async load(name: string): Promise<ort.InferenceSession> {
    let session = this.#sessions.get(name);
    if (!session) {
      session = this.#create(name);
      this.#sessions.set(name, session);
      session.catch(() => this.#sessions.delete(name)); // so that a later try reads the files again
    }
    return session;
  }

  /** Run a graph and return its outputs; only the named ones where `outputs` names some. */
  async run(name: string, feeds: Feeds, outputs?: string[]): Promise<Outputs> {
    const session = await this.load(name);
    try {
      return await (outputs ? session.run(feeds, outputs) : session.run(feeds));
    } catch (error) {
      throw new ArtifactsError(`${name}.onnx: cannot be run (${oneLine(error)})`);
    }
  }

  /** Let go of the file of weights, of which each session has a copy; a graph loaded later reads it again. */
  async dropWeights(): Promise<void> {
    const weights = this.#files.get(WEIGHTS);
    this.#files.delete(WEIGHTS);
    if (weights) release(await weights);
  }

  async #create(name: string): Promise<ort.InferenceSession> {
    const file = this.#file(name);
    const graph = await this.#checked(file);
    this.#files.delete(file);
    const needsWeights = name !== this.name("detector") && WEIGHTS in this.manifest.files;
    const externalData = needsWeights ? [{ path: WEIGHTS, data: await this.#checked(WEIGHTS) }] : undefined;
    try {
      return await ort.InferenceSession.create(graph, { executionProviders: ["wasm"], ...(externalData && { externalData }) });
    } catch (error) {
      throw new ArtifactsError(`${file}: cannot be loaded (${oneLine(error)})`);
    }
  }

  #file(name: string): string {
    return this.manifest.graphs[name]?.file ?? `${name}.onnx`;
  }

  #checked(file: string): Promise<Bytes> {
    let data = this.#files.get(file);
    if (!data) {
      data = this.#readChecked(file);
      this.#files.set(file, data);
      data.catch(() => this.#files.delete(file)); // so that a later try reads it again
    }
    return data;
  }

  async #readChecked(file: string): Promise<Bytes> {
    const entry = this.manifest.files[file];
    if (!entry) throw new ArtifactsError(`manifest.json: files.${file} is missing; export the artifacts again`);
    const data = await this.read(file);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex !== entry.sha256) throw new ArtifactsError(`${file}: not the file that manifest.json names; reload the page`);
    return data;
  }
}

export const tensor = {
  /** A picture, u8 [height, width, 3]. */
  pixels: (data: Uint8Array, height: number, width = height) => new ort.Tensor("uint8", data, [height, width, 3]),
  floats: (data: Float32Array, dims: number[]) => new ort.Tensor("float32", data, dims),
  float: (value: number) => new ort.Tensor("float32", [value], []),
  integer: (value: number) => new ort.Tensor("int64", [BigInt(value)], []),
};

/** The numbers of an output of the type f32. */
export function floatsOf(outputs: Outputs, name: string): Float32Array {
  return outputs[name]!.data as Float32Array;
}

/** The pixels of an output of the type u8. */
export function pixelsOf(outputs: Outputs, name: string): Uint8Array {
  return outputs[name]!.data as Uint8Array;
}

function oneLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split(/\s+/).join(" ").slice(0, 200);
}
