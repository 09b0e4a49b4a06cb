/** The engine as an addon for Node, native/node/addon.cpp: a package of its own for each platform. */

import { Refusal } from "./library.js";

/** @import { Library, OpenModel } from "./library.js" */

/**
 * @typedef {object} Addon
 * @property {(file: Uint8Array, config: Uint8Array) => object} open a model
 * @property {(model: object) => string} kernel
 * @property {(model: object, ids: Int32Array, types: Int32Array, lengths: Uint32Array, threads: number) =>
 *   Float32Array} run `types` may be empty
 * @property {(model: object) => void} close
 */

/** @returns {Promise<Library | undefined>} undefined where there is none for this platform */
export async function addonLibrary() {
  const addon = await load();
  return addon && { open: async (file, config) => open(addon, file, config) };
}

/** @returns {Promise<Addon | undefined>} */
async function load() {
  const { createRequire } = await import("node:module");
  const require = createRequire(import.meta.url);
  const platform = `${process.platform}-${process.arch}`;
  // An optional dependency; in a checkout, what `make addon` built.
  for (const place of [`potstill-${platform}`, `../../platforms/${platform}`]) {
    try {
      const addon = require(`${place}/potstill.node`);
      if (addon.open) return addon;
    } catch {
      // It is not installed, or for another C library.
    }
  }
  return undefined;
}

/** @param {Addon} addon @param {Uint8Array} file @param {Uint8Array} config @returns {OpenModel} */
function open(addon, file, config) {
  const model = tried(() => addon.open(file, config));
  return {
    kernel: addon.kernel(model),
    run: (ids, types, lengths, threads) =>
      tried(() => addon.run(model, ids, types ?? new Int32Array(), lengths, threads)),
    close: () => addon.close(model),
  };
}

/**
 * @template T
 * @param {() => T} work
 * @returns {T}
 */
function tried(work) {
  try {
    return work();
  } catch (error) {
    const { code, message } = /** @type {Error & { code: string }} */ (error);
    throw new Refusal(Number(code), message);
  }
}
