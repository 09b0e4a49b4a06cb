/** The engine's own file. The file for browsers has it inside: scripts/pack.mjs. */

import { IN_NODE } from "../env.js";

/** Its name, for messages. */
export const ENGINE = "potstill.wasm";

/** @returns {Promise<BufferSource>} */
export async function engineFile() {
  const address = new URL("./potstill.wasm", import.meta.url);
  if (IN_NODE) {
    const { readFile } = await import("node:fs/promises");
    return readFile(address);
  }
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the server answered ${answer.status} for ${address}`);
  return answer.arrayBuffer();
}
