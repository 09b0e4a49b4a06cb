/** Texts and pairs of texts → the rows they are read in: every task but reading. */

import { EmptyInputError, InputError, kindOf } from "./errors.js";
import { SPACES, isBlank } from "./text/unicode.js";

/** @import { Row } from "./rows.js" */
/** @import { Encoded, Tokenizer } from "./text/tokenizer.js" */

/** Units of a text for each token of a row that are looked at first: the rest of a long one rarely matters. */
const UNITS = 16;

/**
 * A text as messages call it: by number, but for one alone.
 *
 * @param {string} what
 * @param {number} number
 * @param {number} n
 */
export function nameOf(what, number, n) {
  return n === 1 ? `the ${what}` : `${what} ${number}`;
}

/**
 * @param {unknown} text
 * @param {string} name
 * @returns {string}
 * @throws {InputError} it is no string
 * @throws {EmptyInputError} it is blank
 */
export function checkedText(text, name) {
  if (typeof text !== "string") throw new InputError(`${name} must be a string, not ${kindOf(text)}`);
  if (isBlank(text)) throw new EmptyInputError(`${name} is empty; give some text`);
  return text;
}

/**
 * Special tokens around a text.
 *
 * @param {Tokenizer} tokenizer
 * @param {Int32Array} ids
 * @returns {Row}
 */
export function single({ clsId, sepId }, ids) {
  const row = new Int32Array(ids.length + 2).fill(sepId);
  row[0] = clsId;
  row.set(ids, 1);
  return { ids: row, secondAt: row.length };
}

/** @param {Tokenizer} tokenizer @param {Int32Array} first @param {Int32Array} second @returns {Row} */
function pair({ clsId, sepId, layout }, first, second) {
  const secondAt = 1 + first.length + layout.nBetween;
  const row = new Int32Array(secondAt + second.length + 1).fill(sepId);
  row[0] = clsId;
  row.set(first, 1);
  row.set(second, secondAt);
  return { ids: row, secondAt };
}

/**
 * The rows of a text or a pair, windows that are spread evenly from its beginning to its end. Of a
 * pair whichever text is the longer at that moment gives way to the other; where both are too long,
 * their windows move on together.
 *
 * @param {Tokenizer} tokenizer
 * @param {Int32Array} first
 * @param {Int32Array | undefined} second
 * @param {{ seqLen: number, maxWindows: number }} options `maxWindows` 0 for as many as it takes
 * @returns {{ rows: Row[], truncated: boolean }} whether they leave tokens out
 */
export function cut(tokenizer, first, second, { seqLen, maxWindows }) {
  const nSecond = second?.length ?? 0;
  const room = Math.max(0, seqLen - 2 - (second ? tokenizer.layout.nBetween : 0));
  const kept = keptOf(first.length, nSecond, room);
  const needed = Math.max(rowsNeeded(first.length, kept[0]), rowsNeeded(nSecond, kept[1]));
  const n = maxWindows ? Math.min(needed, maxWindows) : needed;
  const rows = Array.from({ length: n }, (_, i) => {
    const own = windowOf(first, kept[0], i, n);
    return second ? pair(tokenizer, own, windowOf(second, kept[1], i, n)) : single(tokenizer, own);
  });
  return { rows, truncated: n * kept[0] < first.length || n * kept[1] < nSecond };
}

/**
 * Tokens to keep of two texts: where they do not fit, the longer is shortened to the other first, as
 * `longest_first` of the `tokenizers` library has it.
 *
 * @param {number} nFirst
 * @param {number} nSecond
 * @param {number} room
 * @returns {[number, number]}
 */
function keptOf(nFirst, nSecond, room) {
  if (nFirst + nSecond <= room) return [nFirst, nSecond];
  let shorter = Math.min(nFirst, nSecond);
  let longer = shorter > room ? shorter : Math.max(shorter, room - shorter);
  if (shorter + longer > room) {
    shorter = Math.floor(room / 2);
    longer = shorter + (room % 2);
  }
  return nFirst > nSecond ? [longer, shorter] : [shorter, longer];
}

/** @param {number} nTokens @param {number} room */
function rowsNeeded(nTokens, room) {
  return room ? Math.max(1, Math.ceil(nTokens / room)) : 1;
}

/** @param {Int32Array} ids @param {number} room @param {number} i @param {number} n */
function windowOf(ids, room, i, n) {
  const start = n > 1 ? Math.floor((i * (ids.length - room)) / (n - 1)) : 0;
  return ids.slice(start, start + room);
}

/**
 * Tokens of a text, of a long one the first alone where no more are read, but more than fit.
 *
 * @param {Tokenizer} tokenizer
 * @param {string} text
 * @param {number} seqLen
 * @param {boolean} whole whether all are read
 * @returns {Promise<Encoded>}
 */
export async function encoded(tokenizer, text, seqLen, whole) {
  if (!whole && text.length > UNITS * seqLen) {
    // Cut before white space, so that no token can straddle the cut.
    const space = new RegExp(`[${SPACES}][^${SPACES}]`, "g");
    space.lastIndex = UNITS * seqLen;
    const at = space.exec(text)?.index;
    const found = at === undefined ? undefined : await tokenizer.encodeLong(text.slice(0, at));
    if (found && found.ids.length >= seqLen) return found;
  }
  return tokenizer.encodeLong(text);
}
