/** int8 ONNX files of Potstill in its own engine. Runs in a worker. */

import { ModelError, UnfitError, reason } from "../errors.js";
import { IN_NODE } from "../env.js";
import { HEADS } from "../heads.js";
import { Refusal, Status } from "./library.js";
import { wasmLibrary } from "./wasm.js";

/** @import { Encoder } from "../bundle.js" */
/** @import { Head } from "../heads.js" */
/** @import { Batch } from "../text/windows.js" */
/** @import { Engine, EngineOptions } from "./host.js" */
/** @import { Library } from "./library.js" */

/** `potstill_activation`. */
const ACTIVATIONS = ["gelu", "gelu_new", "relu", "tanh"];

/**
 * @param {EngineOptions} options
 * @returns {Promise<Engine>}
 * @throws {UnfitError} another runtime may run it
 * @throws {ModelError} the file is damaged
 */
export async function open(options) {
  const { where, threads = 1 } = options;
  const head = HEADS[options.head];
  const model = await tried(where, async () => {
    const config = described(/** @type {Encoder} */ (options.encoder), head);
    const library = await libraryHere();
    return library.open(await bytesOf(options), config);
  });
  return {
    fixedLength: 0,
    kernel: model.kernel,
    async run(batch) {
      const rows = unpadded(batch);
      if (!rows) throw new ModelError(`${where} takes padding behind a row only: the mask has holes`);
      const { ids, types, lengths } = rows;
      const out = await tried(where, async () => model.run(ids, types, lengths, threads));
      const names = Object.keys(head.outputs);
      const size = out.length / names.length;
      const parts = names.map((_, i) => out.subarray(i * size, (i + 1) * size));
      const found = head.byToken ? parts.map((part) => padded(part, lengths, batch.length)) : parts;
      return Object.fromEntries(names.map((name, i) => [name, found[i]]));
    },
    async dispose() {
      model.close();
    },
  };
}

/** @returns {Promise<Library>} the quickest there is: the addon, else WebAssembly */
async function libraryHere() {
  // As Python's engine does, POTSTILL_KERNEL names what computes.
  const named = IN_NODE ? process.env.POTSTILL_KERNEL : undefined;
  if (IN_NODE && !named?.startsWith("wasm")) {
    const { addonLibrary } = await import("./addon.js");
    const addon = await addonLibrary();
    if (addon) return addon;
  }
  return wasmLibrary(named !== "wasm");
}

/**
 * @template T
 * @param {string} where
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function tried(where, work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw new ModelError(`${where} could not be run: ${reason(error)}`);
    const Kind = error.status === Status.UNFIT ? UnfitError : ModelError;
    throw new Kind(`${where}: ${error.message}`);
  }
}

/** @param {EngineOptions} options @returns {Promise<Uint8Array>} */
async function bytesOf({ bytes, path }) {
  if (bytes || !IN_NODE) return /** @type {Uint8Array} */ (bytes);
  const { readFile } = await import("node:fs/promises");
  return readFile(/** @type {string} */ (path));
}

/** @param {Encoder} encoder @param {Head} head @returns {Uint8Array} a `potstill_config` */
function described({ type, headWidth, activation, pooler, padId, normEps }, head) {
  if (type) throw new Refusal(Status.UNFIT, `the engine runs no ${type} models`);
  const config = new DataView(new ArrayBuffer(28));
  // Heads that speak of every token have no pooler: 0.
  const [known, inner] = [activation, head.byToken ? "gelu" : pooler].map((one) => ACTIVATIONS.indexOf(one));
  if (known < 0) throw new Refusal(Status.UNFIT, `the engine knows no activation '${activation}'`);
  if (!Number.isInteger(headWidth) || headWidth < 1) {
    throw new Refusal(Status.UNFIT, `heads are ${headWidth} wide by config.json`);
  }
  [28, head.number, headWidth, known, inner].forEach((value, i) => config.setUint32(4 * i, value, true));
  config.setInt32(20, padId, true);
  config.setFloat32(24, normEps, true);
  return new Uint8Array(config.buffer);
}

/** @param {Batch} batch @returns its rows one behind the other; undefined where a mask has holes */
function unpadded({ n, length, inputIds, attentionMask, tokenTypeIds }) {
  const lengths = new Uint32Array(n);
  for (let row = 0; row < n; row++) {
    const mask = attentionMask.subarray(row * length, (row + 1) * length);
    const end = mask.lastIndexOf(1) + 1;
    if (mask.subarray(0, end).includes(0)) return undefined;
    lengths[row] = end;
  }
  const total = lengths.reduce((sum, one) => sum + one, 0);
  const [ids, types] = [new Int32Array(total), new Int32Array(total)];
  for (let row = 0, at = 0; row < n; at += lengths[row++]) {
    const [first, last] = [row * length, row * length + lengths[row]];
    ids.set(inputIds.subarray(first, last), at);
    types.set(tokenTypeIds.subarray(first, last), at);
  }
  return { ids, types, lengths };
}

/** @param {Float32Array} values of each token @param {Uint32Array} lengths @param {number} length */
function padded(values, lengths, length) {
  const columns = values.length / lengths.reduce((sum, one) => sum + one, 0);
  const found = new Float32Array(lengths.length * length * columns);
  for (let row = 0, at = 0; row < lengths.length; at += columns * lengths[row++]) {
    found.set(values.subarray(at, at + columns * lengths[row]), row * length * columns);
  }
  return found;
}
