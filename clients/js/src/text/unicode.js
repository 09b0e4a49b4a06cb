/** What the tokenizers library takes each code point for; see tables.js. */

import { CHINESE, COMBINING, MARK, PUNCTUATION, REMOVED, SPACE, WHITE, WHOLE } from "./tables.js";

export const IS_REMOVED = 1;
export const IS_SPACE = 2;
export const IS_CHINESE = 4;
export const IS_PUNCTUATION = 8;
/** White space for the splitting of words, whether or not the text was cleaned before. */
export const IS_WHITE = 16;
/** A nonspacing mark, of those that stripping accents takes away. */
export const IS_MARK = 32;
/** A letter that newer versions of Unicode take apart and the library does not. */
export const IS_WHOLE = 64;
/** A mark of any kind, of those that `StripAccents` takes away. */
export const IS_COMBINING = 128;

/** @type {Uint8Array | undefined} */
let kinds;

/**
 * The kinds of every code point, as sums of the constants above; made on first use.
 *
 * @returns {Uint8Array} of 0x110000
 */
export function kindTable() {
  if (kinds) return kinds;
  kinds = new Uint8Array(0x110000);
  fill(kinds, REMOVED, IS_REMOVED);
  fill(kinds, SPACE, IS_SPACE);
  fill(kinds, CHINESE, IS_CHINESE);
  fill(kinds, PUNCTUATION, IS_PUNCTUATION);
  fill(kinds, WHITE, IS_WHITE);
  fill(kinds, MARK, IS_MARK);
  fill(kinds, WHOLE, IS_WHOLE);
  fill(kinds, COMBINING, IS_COMBINING);
  return kinds;
}

/** @param {Uint8Array} table @param {string} ranges @param {number} kind */
function fill(table, ranges, kind) {
  let at = 0;
  for (const range of ranges.split(",")) {
    const [gap, length] = range.split(".");
    at += parseInt(gap, 36);
    const stop = at + (length === undefined ? 1 : parseInt(length, 36));
    while (at < stop) table[at++] |= kind;
  }
}

/**
 * The code point at a position, a lone surrogate read as U+FFFD.
 *
 * @param {string} text
 * @param {number} at
 * @returns {number}
 */
export function codePointAt(text, at) {
  const code = /** @type {number} */ (text.codePointAt(at));
  return code >= 0xd800 && code < 0xe000 ? 0xfffd : code;
}

// What Python's str.strip() takes away; JavaScript's trim() takes U+FEFF and leaves U+001C to U+001F.
/** What Python's `\s` matches, for a class of characters. */
export const SPACES =
  "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const BLANK = new RegExp(`^[${SPACES}]*$`);

/**
 * Whether a text is nothing but white space.
 *
 * @param {string} text
 * @returns {boolean}
 */
export function isBlank(text) {
  return BLANK.test(text);
}

// Up to the scripts of the Far East, and their punctuation behind them: as blanks.py has it.
const BARE = /^[\p{P}\p{Z}\p{Cc}\p{Cf}]*$/u;
const KNOWN = /^[\0-\u30ff\ufe10-\uff65]*$/;

/**
 * Whether a text is nothing but white space and punctuation.
 *
 * @param {string} text
 * @returns {boolean}
 */
export function isBare(text) {
  return KNOWN.test(text) && BARE.test(text);
}
