/** The engine's own files. The file for browsers has them inside: scripts/pack.mjs. */

import { IN_NODE } from "../env.js";

/** Their names: of fixed SIMD, which every browser has, and of relaxed SIMD, which is quicker. */
export const ENGINE = "potstill.wasm";
export const RELAXED = "potstill-relaxed.wasm";

/** @param {string} name @returns {Promise<BufferSource>} */
export async function engineFile(name) {
  const address = new URL(`./${name}`, import.meta.url);
  if (IN_NODE) {
    const { readFile } = await import("node:fs/promises");
    return readFile(address);
  }
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the server answered ${answer.status} for ${address}`);
  return answer.arrayBuffer();
}
