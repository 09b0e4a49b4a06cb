/** The thread of a page. The file for browsers has its source inside: scripts/pack.mjs. */

/** @returns {Worker} */
export function pageWorker() {
  return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
}
