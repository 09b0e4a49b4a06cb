/** What goes in and out of a terminal, a pipe or a file. */

import { InputError } from "../errors.js";
import { UsageError } from "./flags.js";

/** @import { Progress } from "../places.js" */

/**
 * All of standard input.
 *
 * @param {string} instead what else could be given, for messages
 * @returns {Promise<Uint8Array>}
 */
export async function standardInput(instead) {
  if (process.stdin.isTTY) throw new UsageError(`give ${instead}, or text on standard input`);
  const parts = [];
  for await (const part of process.stdin) parts.push(part);
  return Buffer.concat(parts);
}

/** @param {string} instead @returns {Promise<string>} */
export async function standardText(instead) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await standardInput(instead));
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new InputError("standard input is not UTF-8: convert it, for example with iconv");
  }
}

/** @param {string} text */
export function say(text) {
  process.stdout.write(text);
}

/** A note beside the results. @param {string} text */
export function note(text) {
  process.stderr.write(`potstill: ${safe(text)}\n`);
}

/** A text that cannot move a terminal's cursor. @param {string} text */
export function safe(text) {
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ");
}

/** How the loading of a model is told: on a terminal alone. */
export function progress() {
  return process.stderr.isTTY ? show : undefined;
}

/** @param {Progress} progress */
function show({ file, loaded, total }) {
  const done = total ? `${Math.floor((100 * loaded) / total)}%` : `${loaded} bytes`;
  process.stderr.write(`\r\x1b[K${file} ${done}${loaded === total ? "\n" : ""}`);
}
