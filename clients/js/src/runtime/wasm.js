/** The engine in WebAssembly, native/include/potstill.h: each model in memory of its own. */

import { reason } from "../errors.js";
import { ENGINE, RELAXED, engineFile } from "./engine_file.js";
import { Refusal, Status } from "./library.js";

/** @import { Library, OpenModel } from "./library.js" */

/**
 * What potstill.wasm gives; addresses and sizes are in bytes of its memory.
 *
 * @typedef {object} Exports
 * @property {WebAssembly.Memory} memory
 * @property {() => void} _initialize
 * @property {(size: number) => number} malloc
 * @property {(at: number) => void} free
 * @property {(file: number, size: number, config: number, kernel: number, model: number,
 *   message: number, room: number) => number} potstill_open
 * @property {() => number} potstill_kernels
 * @property {(model: number) => number} potstill_kernel
 * @property {(model: number, rows: number, tokens: number) => number} potstill_outputs
 * @property {(model: number, ids: number, types: number, lengths: number, rows: number,
 *   threads: number, out: number, nOut: number, message: number, room: number) => number} potstill_run
 */

/** Bytes for a message. */
const ROOM = 512;

/** A module with nothing but i32x4.relaxed_dot_i8x16_i7x16_add_s, by which relaxed SIMD is known. */
const PROBE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 19, 1, 17, 0,
  65, 0, 253, 15, 65, 0, 253, 15, 65, 0, 253, 15, 253, 147, 2, 11,
);

/** @type {Map<boolean, Promise<WebAssembly.Module>>} */
const loading = new Map();

/**
 * @param {boolean} [relaxed] whether relaxed SIMD may be used, where it is there
 * @returns {Promise<Library>}
 * @throws {Refusal} its file is missing, or there is no SIMD here
 */
export async function wasmLibrary(relaxed = true) {
  try {
    if (!loading.has(relaxed)) loading.set(relaxed, load(relaxed));
    const module = await /** @type {Promise<WebAssembly.Module>} */ (loading.get(relaxed));
    return { open: (file, config) => open(module, file, config) };
  } catch (error) {
    loading.delete(relaxed); // the next one tries again
    throw new Refusal(Status.UNFIT, `${ENGINE} cannot be loaded: ${reason(error)}`);
  }
}

/** @param {boolean} relaxed @returns {Promise<WebAssembly.Module>} */
async function load(relaxed) {
  if (relaxed && WebAssembly.validate(PROBE)) {
    const module = await WebAssembly.compile(await engineFile(RELAXED));
    const engine = await started(module);
    // A processor that makes neither of two things of a byte's eighth bit gives the reference alone.
    if (text(engine, engine.potstill_kernels()).startsWith("wasm")) return module;
  }
  return WebAssembly.compile(await engineFile(ENGINE));
}

/** @param {WebAssembly.Module} module @returns {Promise<Exports>} */
async function started(module) {
  const instance = await WebAssembly.instantiate(module);
  const engine = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
  engine._initialize();
  return engine;
}

/**
 * @param {WebAssembly.Module} module
 * @param {Uint8Array} file
 * @param {Uint8Array} config
 * @returns {Promise<OpenModel>}
 */
async function open(module, file, config) {
  const engine = await started(module);
  const call = new Arguments(engine);
  const message = call.room(ROOM);
  const found = call.room(4);
  const status = engine.potstill_open(
    call.copy(file), file.length, call.copy(config), 0, found, message, ROOM,
  );
  if (status) throw new Refusal(status, text(engine, message));
  const model = new DataView(engine.memory.buffer).getUint32(found, true);
  return {
    kernel: text(engine, engine.potstill_kernel(model)),
    run(ids, types, lengths) {
      const given = new Arguments(engine);
      try {
        const nOut = engine.potstill_outputs(model, lengths.length, ids.length);
        const [at, said] = [given.room(nOut * 4), given.room(ROOM)];
        const failed = engine.potstill_run(
          model, given.copy(ids), types ? given.copy(types) : 0, given.copy(lengths), lengths.length,
          1, at, nOut, said, ROOM,
        );
        if (failed) throw new Refusal(failed, text(engine, said));
        return new Float32Array(engine.memory.buffer, at, nOut).slice();
      } finally {
        given.free();
      }
    },
    close() {}, // its memory goes with the instance
  };
}

/** What lies in the engine's memory for a call. */
class Arguments {
  /** @param {Exports} engine */
  constructor(engine) {
    this.engine = engine;
    /** @type {number[]} */
    this.taken = [];
  }

  /** @param {number} size in bytes @returns {number} where it lies, aligned for all kinds */
  room(size) {
    const at = this.engine.malloc(size || 1) >>> 0;
    if (!at) throw new Refusal(Status.NO_MEMORY, "there is not enough memory");
    this.taken.push(at);
    return at;
  }

  /** @param {Uint8Array | Int32Array | Uint32Array} values @returns {number} */
  copy(values) {
    const at = this.room(values.byteLength);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    new Uint8Array(this.engine.memory.buffer).set(bytes, at); // memory may have grown: not kept
    return at;
  }

  free() {
    for (const at of this.taken) this.engine.free(at);
  }
}

/** @param {Exports} engine @param {number} at @returns {string} */
function text(engine, at) {
  const bytes = new Uint8Array(engine.memory.buffer, at, ROOM);
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}
