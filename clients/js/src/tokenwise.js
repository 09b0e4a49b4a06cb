/**
 * Texts of any length → what a model says of every token: overlapping windows, put together.
 *
 * Where windows overlap, each word is read where it has the most context: from the window in which
 * its nearer edge is the farthest away. All tokens of a word come from one window.
 */

import { single } from "./cutting.js";
import { split } from "./text/windows.js";

/** @import { Row } from "./rows.js" */
/** @import { Encoded, Tokenizer } from "./text/tokenizer.js" */

/** A row of one text: `[CLS] text [SEP]`. */
const ALONE = Object.freeze({ nBetween: 0, tokenTypes: false });

/**
 * How one text is read.
 *
 * @typedef {object} Reading
 * @property {Row[]} rows
 * @property {[number, number][]} cuts the tokens `[start, stop)` of each
 * @property {Int32Array} chosen the row that each token is read from
 */

/**
 * @param {Tokenizer} tokenizer
 * @param {Encoded} encoded the text
 * @param {Int32Array} words of each token: which belong together
 * @param {{ seqLen: number, stride: number }} options
 * @returns {Reading}
 */
export function readingOf(tokenizer, { ids }, words, { seqLen, stride }) {
  const cuts = split(0, ids.length, { seqLen, stride, layout: ALONE });
  const rows = cuts.map(([start, stop]) => single(tokenizer, ids.subarray(start, stop)));
  return { rows, cuts, chosen: bestCuts(words, cuts) };
}

/**
 * The cut that each token is read from.
 *
 * @param {Int32Array} words of each token; those of one word stand together
 * @param {[number, number][]} cuts that cover all tokens
 * @returns {Int32Array}
 */
export function bestCuts(words, cuts) {
  const n = words.length;
  // The first and the last token of the word of each.
  const [first, last] = [new Int32Array(n), new Int32Array(n)];
  for (let i = 0; i < n; i++) first[i] = i && words[i - 1] === words[i] ? first[i - 1] : i;
  for (let i = n - 1; i >= 0; i--) last[i] = i + 1 < n && words[i + 1] === words[i] ? last[i + 1] : i;
  const chosen = new Int32Array(n);
  const best = new Float64Array(n).fill(-Infinity);
  for (const [number, [start, stop]] of cuts.entries()) {
    for (let i = start; i < stop; i++) {
      // The edges of the text itself cut no context off; a word that an edge cuts counts below 0.
      const left = start ? first[i] - start : Infinity;
      const right = stop < n ? stop - 1 - last[i] : Infinity;
      const context = Math.min(left, right);
      if (context > best[i]) [best[i], chosen[i]] = [context, number];
    }
  }
  return chosen;
}

/**
 * The logits of all tokens, from those of the rows.
 *
 * @param {Reading} reading
 * @param {Float32Array[]} said of each row
 * @param {number} columns logits of a token
 * @returns {Float32Array} of `n * columns`
 */
export function together({ cuts, chosen }, said, columns) {
  const found = new Float32Array(chosen.length * columns);
  chosen.forEach((number, i) => {
    const at = 1 + i - cuts[number][0]; // behind [CLS]
    found.set(said[number].subarray(at * columns, (at + 1) * columns), i * columns);
  });
  return found;
}
