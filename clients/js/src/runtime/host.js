/**
 * Models that run in another thread, so that the event loop goes on.
 *
 * One worker for each kind of runtime holds all models of it: libraries are loaded once, and two
 * models do not fight for the same cores. A worker keeps the process alive only while it is asked.
 */

import { AbortedError, ModelError, errorOf, reason } from "../errors.js";
import { pageWorker } from "./page_worker.js";
import { IN_NODE } from "../env.js";

/** @import { Encoder } from "../bundle.js" */
/** @import { Batch } from "../text/windows.js" */
/** @import { HeadName, OutputsNames } from "../heads.js" */
/** @import { InputsNames } from "./names.js" */

/**
 * What a model says of a batch: the outputs of its head, `start` and `end` or `logits`, each of
 * `n * length` values, or of `n`, times the columns.
 *
 * @typedef {Record<string, Float32Array>} Logits
 */

/**
 * Whatever turns a batch of rows into logits.
 *
 * @typedef {object} Session
 * @property {HeadName} head what the model says, and of what
 * @property {number} fixedLength the only length of rows the model takes; 0 for any
 * @property {string} [kernel] of the engine, which computes
 * @property {(batch: Batch, signal?: AbortSignal) => Promise<Logits>} run
 * @property {() => Promise<void>} dispose frees what the model holds; may be called again
 */

/**
 * A model inside the worker.
 *
 * @typedef {object} Engine
 * @property {number} fixedLength
 * @property {string} [kernel]
 * @property {(batch: Batch) => Promise<Logits>} run
 * @property {() => Promise<void>} dispose
 */

/**
 * @typedef {object} EngineOptions
 * @property {string} where the file, for messages
 * @property {HeadName} head
 * @property {string} [path] of a local file or folder
 * @property {Uint8Array} [bytes] of a file that was fetched
 * @property {Record<string, Uint8Array>} [files]
 * @property {Encoder} [encoder] of a model for the engine
 * @property {number} [threads]
 * @property {string} [module] address of the runtime's module, in a page
 * @property {string} [signatureName]
 * @property {InputsNames} [inputsNames]
 * @property {OutputsNames} [outputsNames]
 */

/**
 * @typedef {{ kind: "open", model: number, engine: string, options: EngineOptions }
 *   | { kind: "run", model: number, batch: Batch }
 *   | { kind: "close", model: number }
 *   | { kind: "count" }} Call
 */

/**
 * @typedef {object} Thread
 * @property {(message: any, transfer: any[]) => void} send
 * @property {(busy: boolean) => void} keep whether the process must not end
 */

/** @type {Map<string, Promise<Host>>} */
const hosts = new Map();
let nModels = 0;

class Host {
  /** @param {string} engine */
  constructor(engine) {
    this.engine = engine;
    /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
    this.waiting = new Map();
    this.nCalls = 0;
    /** @type {Error | undefined} */
    this.ended = undefined;
    /** @type {Thread | undefined} */
    this.thread = undefined;
  }

  /** @param {string} engine @returns {Promise<Host>} */
  static async start(engine) {
    const host = new Host(engine);
    host.thread = await (IN_NODE ? nodeThread(host) : pageThread(host));
    return host;
  }

  /**
   * @param {Call} call
   * @param {any[]} [transfer]
   * @returns {Promise<any>}
   */
  call(call, transfer = []) {
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(this.ended);
      const id = this.nCalls++;
      this.waiting.set(id, { resolve, reject });
      const thread = /** @type {Thread} */ (this.thread);
      thread.keep(true);
      thread.send({ ...call, id }, transfer);
    });
  }

  /** @param {{ id: number, value?: any, error?: { code: string, message: string } }} message */
  receive({ id, value, error }) {
    const call = this.waiting.get(id);
    this.waiting.delete(id);
    if (!this.waiting.size) this.thread?.keep(false);
    if (error) call?.reject(errorOf(error.code, error.message));
    else call?.resolve(value);
  }

  /** @param {string} why */
  end(why) {
    this.ended = new ModelError(`the thread that runs models stopped (${why}): open the model again`);
    hosts.delete(this.engine);
    for (const call of this.waiting.values()) call.reject(this.ended);
    this.waiting.clear();
  }
}

/** @param {Host} host @returns {Promise<Thread>} */
async function nodeThread(host) {
  const { Worker } = await import("node:worker_threads");
  // onnxruntime-node reports home where nothing says otherwise. It has to be said here: what a
  // thread sets in its own environment is a copy that native code does not see.
  process.env.ORT_DISABLE_TELEMETRY ??= "1";
  const worker = new Worker(new URL("./worker.js", import.meta.url), {
    execArgv: [], // flags such as --input-type are about the caller's program
  });
  worker.on("message", (message) => host.receive(message));
  worker.on("error", (error) => host.end(reason(error)));
  worker.on("exit", (status) => host.end(`status ${status}`));
  worker.unref();
  return {
    send: (message, transfer) => worker.postMessage(message, transfer),
    keep: (busy) => (busy ? worker.ref() : worker.unref()),
  };
}

/** @param {Host} host @returns {Promise<Thread>} */
async function pageThread(host) {
  const worker = pageWorker();
  worker.addEventListener("message", (event) => host.receive(event.data));
  worker.addEventListener("error", (event) => host.end(event.message || "it could not be loaded"));
  return { send: (message, transfer) => worker.postMessage(message, transfer), keep: () => {} };
}

/** @param {string} engine @returns {Promise<Host>} */
function hostOf(engine) {
  let host = hosts.get(engine);
  if (!host) {
    host = Host.start(engine);
    hosts.set(engine, host);
    host.catch(() => hosts.delete(engine));
  }
  return host;
}

/** @param {string} engine @returns {Promise<number>} models that are open in its thread */
export async function openModels(engine) {
  return hosts.has(engine) ? (await hostOf(engine)).call({ kind: "count" }) : 0;
}

/**
 * Opens a model in its runtime's thread.
 *
 * @param {string} engine
 * @param {EngineOptions} options
 * @param {AbortSignal} [signal]
 * @returns {Promise<Session>}
 */
export async function openSession(engine, options, signal) {
  const host = await hostOf(engine);
  const model = nModels++;
  // The engine copies bytes anyway, and another runtime may have to read those that it refuses.
  const bytes = engine === "native" ? undefined : options.bytes;
  const transfer = [bytes, ...Object.values(options.files ?? {})]
    .filter((one) => one !== undefined)
    .map((one) => one.buffer);
  const { fixedLength, kernel } = await host.call({ kind: "open", engine, model, options }, transfer);
  /** @type {Promise<void> | undefined} */
  let closing;
  const dispose = () => (closing ??= host.ended ? Promise.resolve() : host.call({ kind: "close", model }));
  if (signal?.aborted) {
    await dispose();
    throw new AbortedError();
  }
  return {
    head: options.head,
    fixedLength,
    kernel,
    run: (batch, stop) => {
      if (closing) return Promise.reject(new ModelError("the model was disposed of: open it again"));
      return abortable(host.call({ kind: "run", model, batch }), stop);
    },
    dispose,
  };
}

/**
 * A promise that a signal rejects; what comes later is dropped.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {AbortSignal | undefined} signal
 * @returns {Promise<T>}
 */
export function abortable(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(new AbortedError());
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
