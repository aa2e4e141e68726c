/** The worker as the page sees it: calls that can be followed and stopped. */

import { CanceledError } from "../core/errors";
import type { Calls, Facts, Kind, Reply, Told } from "../worker/protocol";

/** Threads that do not answer within this, in milliseconds, hang: then one thread has to do. */
const PATIENCE = 60_000;
const MAX_THREADS = 4;

interface Open {
  resolve: (reply: never) => void;
  reject: (error: Error) => void;
  told: ((told: Told) => void) | undefined;
}

export class Engine {
  #worker: Worker;
  #next = 0;
  readonly #open = new Map<number, Open>();

  constructor(private readonly base: string) {
    this.#worker = this.#start();
  }

  /** Load the runtime and the models; with several threads where the page may have them. */
  async load(onTold: (told: Told) => void): Promise<Facts> {
    const threads = self.crossOriginIsolated ? Math.min(MAX_THREADS, navigator.hardwareConcurrency || 1) : 1;
    if (threads === 1) return this.call("load", { base: this.base, threads }, onTold);
    try {
      return await this.#patiently(threads, onTold);
    } catch (error) {
      if (!(error instanceof HangError)) throw error;
      this.#worker.terminate();
      this.#worker = this.#start();
      return this.call("load", { base: this.base, threads: 1 }, onTold);
    }
  }

  async #patiently(threads: number, onTold: (told: Told) => void): Promise<Facts> {
    return new Promise((resolve, reject) => {
      let timer = 0;
      const wait = () => {
        clearTimeout(timer);
        timer = window.setTimeout(() => reject(new HangError()), PATIENCE);
      };
      wait();
      const told = (each: Told) => {
        wait();
        onTold(each);
      };
      this.call("load", { base: this.base, threads }, told).then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /** Ask the worker; it works on one call after the other. */
  call<K extends Kind>(kind: K, request: Calls[K]["request"], onTold?: (told: Told) => void, signal?: AbortSignal): Promise<Calls[K]["reply"]> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { resolve, reject, told: onTold });
      signal?.addEventListener("abort", () => this.#worker.postMessage({ id, kind: "cancel" }), { once: true });
      this.#worker.postMessage({ id, kind, ...request });
    });
  }

  #start(): Worker {
    const worker = new Worker(new URL("../worker/worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.#receive(data));
    worker.addEventListener("error", (event) => {
      for (const open of this.#open.values()) open.reject(new Error(event.message || "the worker stopped; reload the page"));
      this.#open.clear();
    });
    return worker;
  }

  #receive(message: Reply): void {
    const open = this.#open.get(message.id);
    if (!open) return;
    if ("told" in message) {
      open.told?.(message.told);
      return;
    }
    this.#open.delete(message.id);
    if ("reply" in message) open.resolve(message.reply as never);
    else open.reject(restore(message.error));
  }
}

class HangError extends Error {}

function restore({ name, message }: { name: string; message: string }): Error {
  const error = name === "CanceledError" ? new CanceledError(message) : new Error(message);
  error.name = name;
  return error;
}

/** Tell whether WebAssembly has SIMD here, without which the runtime does not run. */
export function hasSimd(): boolean {
  // A function that returns i8x16.popcnt of a splat.
  const probe = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  return typeof WebAssembly === "object" && WebAssembly.validate(Uint8Array.from(probe));
}
