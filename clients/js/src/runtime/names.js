/** The names of a model's inputs and outputs in its own file. */

import { HEADS } from "../heads.js";

/** @import { HeadName, OutputsNames } from "../heads.js" */

/**
 * @typedef {object} InputsNames
 * @property {string} [ids]
 * @property {string} [attentionMask]
 * @property {string} [tokenTypeIds]
 */

/**
 * Our names of what a batch holds → the model's own.
 *
 * @param {string[]} inputs of the model
 * @param {InputsNames} [given]
 * @returns {[keyof import("../text/windows.js").Batch, string][] | undefined} undefined where the
 *   model wants something else
 */
export function inputsOf(inputs, given = {}) {
  /** @type {[keyof import("../text/windows.js").Batch, string][]} */
  const known = [
    ["inputIds", given.ids ?? "input_ids"],
    ["attentionMask", given.attentionMask ?? "attention_mask"],
    ["tokenTypeIds", given.tokenTypeIds ?? "token_type_ids"],
  ];
  const found = known.filter(([, name]) => inputs.includes(name));
  return found.length === inputs.length && found[0]?.[0] === "inputIds" ? found : undefined;
}

/**
 * Our names of a head's outputs → the model's own.
 *
 * @param {HeadName} head
 * @param {string[]} outputs of the model
 * @param {OutputsNames} [given]
 * @returns {[string, string][] | undefined} undefined where the model lacks one
 */
export function outputsOf(head, outputs, given = {}) {
  const wanted = Object.entries(HEADS[head].outputs);
  const named = wanted.map(([, { option }]) => given[option]);
  const usual = wanted[0][1].names.map((_, i) => wanted.map(([, { names }]) => names[i]));
  const found = [named, ...usual].find((names) => names.every((one) => one && outputs.includes(one)));
  return found?.map((name, i) => [wanted[i][0], /** @type {string} */ (name)]);
}

/**
 * @param {string} where
 * @param {HeadName} head
 * @param {string[]} inputs
 * @param {string[]} outputs
 */
export function notOfHead(where, head, inputs, outputs) {
  const [takes, gives] = [inputs, outputs].map((names) => [...names].sort().join(", "));
  return `${where} is not ${HEADS[head].title}: it takes ${takes} and gives ${gives}`;
}
