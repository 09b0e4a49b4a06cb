/** Text → its sentences, as offsets: those of `potstill.text.sentences` in Python. */

import { SPACES } from "./unicode.js";

// What Python's \s and \w are; JavaScript's own know other blanks, and of letters only ASCII's.
const S = `[${SPACES}]`;
const NOT_SMALL = "(?![a-z])[\\p{L}\\p{N}]";
// Each alternative begins where a run of its signs begins; see there.
const END = new RegExp(
  `(?<![.!?…])(?<stop>[.!?…]+)["'”’»)\\]]*${S}+(?=["'“‘«(\\[]*${NOT_SMALL})` +
    `|(?<![。！？])[。！？]+[」』”]?${S}*` +
    `|(?<![ \\t])[ \\t]*\\n[ \\t\\r]*\\n${S}*` +
    `|(?<![ \\t\\r])[ \\t\\r]*\\n(?=[ \\t]*(?:[-*•‣]|\\p{Nd}{1,3}[.)])[ \\t])`,
  "gu",
);
const ROW_END = /\n/g;
const CELL = " |\t";
const ABBREVIATIONS = new Set(
  (
    "mr mrs ms dr prof st sen rep gov gen col lt sgt capt rev hon jr sr inc ltd co corp bros vs " +
    "etc cf ca al approx dept est fig figs eq no nos vol vols ed eds p pp ch sec art jan feb mar " +
    "apr jun jul aug sep sept oct nov dec"
  ).split(" "),
);
const WORD = /[\p{L}\p{Nl}\p{No}]+$/u;
const BLANKS = new RegExp(`${S}*`, "y");
const NUMBER = new RegExp(`\\p{Nd}+${S}*`, "uy");
const TRAILING = new RegExp(`(?<!${S})${S}+$`);

/**
 * Half-open offsets of the sentences of a text, without white space around them.
 *
 * @param {string} text
 * @returns {[number, number][]}
 */
export function sentences(text) {
  /** @type {[number, number][]} */
  const found = [];
  let at = 0;
  let first = afterBlanks(text, 0);
  /** @param {number} end */
  const push = (end) => {
    const last = at + text.slice(at, end).replace(TRAILING, "").length;
    if (first < last) found.push([first, last]);
  };
  for (const match of text.matchAll(text.includes(CELL) ? ROW_END : END)) {
    if (match.groups?.stop === "." && goesOn(text, first, match.index)) continue;
    const end = match.index + match[0].length;
    push(end);
    at = end;
    first = afterBlanks(text, at);
  }
  push(text.length);
  return found;
}

/** @param {string} text @param {number} at */
function afterBlanks(text, at) {
  BLANKS.lastIndex = at;
  BLANKS.exec(text);
  return BLANKS.lastIndex;
}

/** @param {string} text @param {number} start @param {number} stop */
function goesOn(text, start, stop) {
  NUMBER.lastIndex = start;
  if (NUMBER.exec(text) && NUMBER.lastIndex === stop) return true; // of a heading or an item
  const word = WORD.exec(text.slice(Math.max(start, stop - 20), stop))?.[0];
  if (!word) return false;
  return /^\p{Uppercase}$/u.test(word) || ABBREVIATIONS.has(word.toLowerCase());
}
