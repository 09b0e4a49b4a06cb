/** BERT's normalization of a text, with the place in the caller's string that each unit came from. */

import {
  IS_CHINESE,
  IS_MARK,
  IS_REMOVED,
  IS_SPACE,
  IS_WHOLE,
  codePointAt,
  kindTable,
} from "./unicode.js";

/**
 * @typedef {object} NormalOptions
 * @property {boolean} cleanText drop control characters, make all white space blanks
 * @property {boolean} chineseChars put blanks around Chinese characters
 * @property {boolean} stripAccents
 * @property {boolean} lowercase
 */

/**
 * A normalized text. `from` and `to` are undefined where every unit stands for itself.
 *
 * @typedef {object} Normal
 * @property {string} text
 * @property {Int32Array | undefined} from first unit of the source, for each unit of `text`
 * @property {Int32Array | undefined} to one past its last
 */

const PLAIN = /^[\t\n\r -~]*$/;

/**
 * Normalizes as the tokenizers library's `BertNormalizer` does.
 *
 * @param {string} text
 * @param {NormalOptions} options
 * @returns {Normal}
 */
export function normalize(text, options) {
  if (PLAIN.test(text)) {
    return { text: options.lowercase ? text.toLowerCase() : text, from: undefined, to: undefined };
  }
  const cleaned = clean(text, options);
  const bare = options.stripAccents ? stripAccents(cleaned) : cleaned;
  return joined(bare, options.lowercase);
}

/**
 * Code points with the range of the source that each stands for.
 *
 * @typedef {object} Points
 * @property {number[]} codes
 * @property {number[]} from
 * @property {number[]} to
 */

/** @param {string} text @param {NormalOptions} options @returns {Points} */
function clean(text, options) {
  const kinds = kindTable();
  /** @type {Points} */
  const out = { codes: [], from: [], to: [] };
  for (let at = 0; at < text.length; ) {
    const code = codePointAt(text, at);
    const stop = at + (code > 0xffff ? 2 : 1);
    const kind = kinds[code];
    if (options.cleanText && kind & IS_REMOVED) {
      // dropped
    } else if (options.cleanText && kind & IS_SPACE) {
      push(out, 0x20, at, stop);
    } else if (options.chineseChars && kind & IS_CHINESE) {
      push(out, 0x20, at, stop);
      push(out, code, at, stop);
      push(out, 0x20, at, stop);
    } else {
      push(out, code, at, stop);
    }
    at = stop;
  }
  return out;
}

/**
 * A text as it is, each code point from its own place; lone surrogates are read as U+FFFD.
 *
 * @param {string} text
 * @returns {Points}
 */
export function pointsOf(text) {
  /** @type {Points} */
  const out = { codes: [], from: [], to: [] };
  for (let at = 0; at < text.length; ) {
    const code = codePointAt(text, at);
    const stop = at + (code > 0xffff ? 2 : 1);
    push(out, code, at, stop);
    at = stop;
  }
  return out;
}

/** @param {Points} out @param {number} code @param {number} from @param {number} to */
function push(out, code, from, to) {
  out.codes.push(code);
  out.from.push(from);
  out.to.push(to);
}

/**
 * Canonical decomposition less the nonspacing marks.
 *
 * The library decides places by position: a code point that began a decomposition takes the next
 * place of the source, even where marks were put into another order.
 *
 * @param {Points} points
 * @returns {Points}
 */
function stripAccents(points) {
  const kinds = kindTable();
  /** @type {Points} */
  const out = { codes: [], from: [], to: [] };
  for (let i = 0; i < points.codes.length; ) {
    let stop = i + 1;
    while (stop < points.codes.length && isMark(points.codes[stop])) stop++;
    if (stop === i + 1 && points.codes[i] < 0xc0) {
      push(out, points.codes[i], points.from[i], points.to[i]);
      i = stop;
      continue;
    }
    let place = i - 1;
    for (const { code, first } of decomposed(points.codes, i, stop)) {
      if (first) place++;
      if (kinds[code] & IS_MARK) continue;
      const at = Math.max(place, 0);
      push(out, code, points.from[at], points.to[at]);
    }
    i = stop;
  }
  return out;
}

const SPACING_MARK = /^[\p{Mc}\p{Me}]$/u;

/**
 * Whether a code point may change places with another mark. Marks that are newer than the library's
 * tables are letters to it.
 *
 * @param {number} code
 */
function isMark(code) {
  if (code < 0x300) return false;
  const kind = kindTable()[code];
  if (kind & (IS_MARK | IS_WHOLE)) return Boolean(kind & IS_MARK);
  return SPACING_MARK.test(String.fromCodePoint(code));
}

/**
 * The decomposition of a letter and the marks after it, in canonical order.
 *
 * @param {number[]} codes
 * @param {number} start
 * @param {number} stop
 * @returns {{ code: number, first: boolean }[]} `first` where a code point of the source begins
 */
function decomposed(codes, start, stop) {
  const kinds = kindTable();
  /** @type {{ code: number, first: boolean }[]} */
  const parts = [];
  for (let i = start; i < stop; i++) {
    const whole = kinds[codes[i]] & IS_WHOLE;
    const text = String.fromCodePoint(codes[i]);
    let first = true;
    for (const part of whole ? text : text.normalize("NFD")) {
      parts.push({ code: /** @type {number} */ (part.codePointAt(0)), first });
      first = false;
    }
  }
  const nLetters = parts.findIndex((part) => isMark(part.code));
  if (nLetters < 0 || parts.length - nLetters < 2) return parts;
  return parts.slice(0, nLetters).concat(ordered(parts.slice(nLetters)));
}

/** A mark of every combining class that Unicode has, in their order. */
const CLASSES = [
  ...(
    "\u0334\u{16ff0}\u093c\u3099\u094d\u05b0\u05b1\u05b2\u05b3\u05b4\u05b5\u05b6\u05b7\u05b8" +
    "\u05b9\u05bb\u05bc\u05bd\u05bf\u05c1\u05c2\ufb1e\u064b\u064c\u064d\u0618\u0619\u061a\u0651" +
    "\u0652\u0670\u0711\u0c55\u0c56\u0e38\u0e48\u0eb8\u0ec8\u0f71\u0f72\u0f74\u0321\u1dce\u031b" +
    "\u1dfa\u0316\u059a\u302e\u{1d16d}\u05ae\u0300\u0315\u035c\u035d\u0345"),
];
const LAST = CLASSES[CLASSES.length - 1];
/** @type {Map<number, number>} */
const ranks = new Map();

/**
 * How many classes come before that of a mark; -1 where it keeps its place, whatever its neighbours.
 *
 * @param {number} code
 */
export function rankOf(code) {
  let rank = ranks.get(code);
  if (rank === undefined) {
    const mark = String.fromCodePoint(code);
    /** @param {string} a @param {string} b */
    const change = (a, b) => a !== b && (a + b).normalize("NFD") === b + a;
    rank = CLASSES.filter((other) => change(mark, other)).length;
    if (rank === 0 && !change(LAST, mark)) rank = -1;
    ranks.set(code, rank);
  }
  return rank;
}

/**
 * Marks in canonical order. `String.normalize` takes the square of their number for it, and a text may
 * be one letter with marks without end.
 *
 * @param {{ code: number, first: boolean }[]} marks
 */
export function ordered(marks) {
  /** @type {typeof marks} */
  const out = [];
  for (let start = 0; start < marks.length; ) {
    let stop = start + 1;
    if (rankOf(marks[start].code) >= 0) {
      while (stop < marks.length && rankOf(marks[stop].code) >= 0) stop++;
    }
    const run = marks.slice(start, stop);
    if (run.length > 1) run.sort((a, b) => rankOf(a.code) - rankOf(b.code));
    for (const mark of run) out.push(mark);
    start = stop;
  }
  return out;
}

/** @param {Points} points @param {boolean} lowercase @returns {Normal} */
function joined(points, lowercase) {
  /** @type {string[]} */
  const parts = [];
  /** @type {number[]} */
  const from = [];
  /** @type {number[]} */
  const to = [];
  for (let i = 0; i < points.codes.length; i++) {
    let part = String.fromCodePoint(points.codes[i]);
    // One code point at a time: a final sigma must not become another letter.
    if (lowercase) part = part.toLowerCase();
    parts.push(part);
    for (let unit = 0; unit < part.length; unit++) {
      from.push(points.from[i]);
      to.push(points.to[i]);
    }
  }
  return { text: parts.join(""), from: new Int32Array(from), to: new Int32Array(to) };
}
