/** The engine's border, native/include/potstill.h, as all ways of loading it give it. */

/** `potstill_status` of native/include/potstill.h. */
export const Status = Object.freeze({ UNFIT: 2, BAD_CALL: 4, NO_MEMORY: 5 });

/** The engine refused. */
export class Refusal extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * A model that is open in the engine.
 *
 * @typedef {object} OpenModel
 * @property {string} kernel what computes
 * @property {(ids: Int32Array, types: Int32Array | undefined, lengths: Uint32Array, threads: number) =>
 *   Float32Array} run rows that lie one behind the other, as potstill.h describes them
 * @property {() => void} close
 */

/**
 * The engine, however it is loaded. Both throw a `Refusal`.
 *
 * @typedef {object} Library
 * @property {(file: Uint8Array, config: Uint8Array) => Promise<OpenModel>} open `config` is a
 *   `potstill_config`
 */
