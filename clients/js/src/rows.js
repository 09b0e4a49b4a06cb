/** Rows, the input ids of texts, pairs or windows → what a model says of each. */

import { ModelError, checkSignal } from "./errors.js";
import { HEADS } from "./heads.js";
import { byTokenBudget, pad } from "./text/windows.js";

/** @import { Logits, Session } from "./runtime/host.js" */
/** @import { Tokenizer } from "./text/tokenizer.js" */

/**
 * @typedef {object} Row
 * @property {Int32Array} ids special tokens included
 * @property {number} secondAt where the pair's second text starts; the length of the row where there
 *   is none
 */

/**
 * Runs rows of any lengths in batches of similar length.
 *
 * @param {Session} session
 * @param {Row[]} rows
 * @param {Tokenizer} tokenizer that they are of
 * @param {number} tokenBudget most tokens of a batch, padding included; a longer row runs alone
 * @param {AbortSignal} [signal]
 * @returns {Promise<Logits[]>} of each row: of a head that speaks of tokens, each output has as many
 *   columns of each token, without those of padding
 * @throws {ModelError} the model gives something else than finite numbers of that shape
 */
export async function runRows(session, rows, tokenizer, tokenBudget, signal) {
  const { byToken } = HEADS[session.head];
  /** @type {Logits[]} */
  const said = new Array(rows.length);
  for (const indices of byTokenBudget(rows.map(({ ids }) => ids.length), tokenBudget)) {
    checkSignal(signal);
    const group = indices.map((i) => rows[i]);
    const [ids, at] = [group.map((row) => row.ids), group.map(({ secondAt }) => secondAt)];
    const batch = pad(ids, at, tokenizer.padId, tokenizer.layout, session.fixedLength);
    const outputs = Object.entries(await session.run(batch, signal));
    const units = byToken ? batch.n * batch.length : batch.n;
    for (const [, values] of outputs) checked(values, units, batch, byToken);
    for (const [i, number] of indices.entries()) {
      said[number] = Object.fromEntries(
        outputs.map(([name, values]) => {
          const size = values.length / batch.n;
          const own = byToken ? (size / batch.length) * ids[i].length : size;
          return [name, values.slice(i * size, i * size + own)];
        }),
      );
    }
  }
  checkSignal(signal);
  return said;
}

/**
 * @param {Float32Array} values
 * @param {number} units
 * @param {{ n: number, length: number }} batch
 * @param {boolean} byToken
 */
function checked(values, units, { n, length }, byToken) {
  if (!values.length || values.length % units) {
    throw new ModelError(`the model gives no logits of the shape [${n}${byToken ? `, ${length}` : ""}, …]`);
  }
  if (!values.every(Number.isFinite)) {
    throw new ModelError("the model gives NaN or infinite logits: the weights are damaged");
  }
}
