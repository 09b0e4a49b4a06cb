/** The engine in WebAssembly, native/include/potstill.h: each model in memory of its own. */

import { reason } from "../errors.js";
import { ENGINE, engineFile } from "./engine_file.js";
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
 * @property {(model: number) => number} potstill_kernel
 * @property {(model: number, rows: number, tokens: number) => number} potstill_outputs
 * @property {(model: number, ids: number, types: number, lengths: number, rows: number,
 *   threads: number, out: number, nOut: number, message: number, room: number) => number} potstill_run
 */

/** Bytes for a message. */
const ROOM = 512;

/** @type {Promise<WebAssembly.Module> | undefined} */
let loading;

/** @returns {Promise<Library>} @throws {Refusal} its file is missing, or there is no SIMD here */
export async function wasmLibrary() {
  loading ??= load();
  try {
    const module = await loading;
    return { open: (file, config) => open(module, file, config) };
  } catch (error) {
    loading = undefined; // the next one tries again
    throw new Refusal(Status.UNFIT, `${ENGINE} cannot be loaded: ${reason(error)}`);
  }
}

/** @returns {Promise<WebAssembly.Module>} */
async function load() {
  return WebAssembly.compile(await engineFile());
}

/**
 * @param {WebAssembly.Module} module
 * @param {Uint8Array} file
 * @param {Uint8Array} config
 * @returns {Promise<OpenModel>}
 */
async function open(module, file, config) {
  const instance = await WebAssembly.instantiate(module);
  const engine = /** @type {Exports} */ (/** @type {unknown} */ (instance.exports));
  engine._initialize();
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
