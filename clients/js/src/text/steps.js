/**
 * What tokenizers of SentencePiece's kind do to a text before it is cut: steps, one after another.
 *
 * Each keeps the place in the source that every character came from, by the rules of the
 * `tokenizers` library, in which a character that was put in has the place of the one before it.
 */

import { TokenizerError } from "../errors.js";
import { Charsmap } from "./charsmap.js";
import { ordered, pointsOf, rankOf } from "./normal.js";
import { IS_COMBINING, IS_WHITE, IS_WHOLE, kindTable } from "./unicode.js";

/** @import { Normal, Points } from "./normal.js" */
/** @typedef {Record<string, any>} Json */
/** @typedef {(points: Points) => Points} Step */

/** Regular expressions of published files, in JavaScript's spelling. */
/** @type {Record<string, RegExp>} */
const PATTERNS = {
  " {2,}": / {2,}/gu,
  "\\s{2,}|[\\n\\r\\t]":
    /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]{2,}|[\n\r\t]/gu,
};

/**
 * The steps of a `tokenizer.json`'s normalizer.
 *
 * @param {Json | null} json
 * @param {(what: string) => TokenizerError} refused
 * @returns {Step[]}
 */
export function stepsOf(json, refused) {
  if (json === null) return [];
  switch (json.type) {
    case "Sequence":
      return json.normalizers.flatMap((/** @type {Json} */ one) => stepsOf(one, refused));
    case "Precompiled": {
      if (!json.precompiled_charsmap) return [];
      const map = new Charsmap(String(json.precompiled_charsmap));
      return [(points) => transformed(points, map.changes(textOf(points)))];
    }
    case "Replace":
      return [replacing(json, refused)];
    case "Lowercase":
      return [lowered];
    case "StripAccents":
      return [(points) => kept(points, (code) => !(kindTable()[code] & IS_COMBINING))];
    case "NFD":
    case "NFKD":
      return [(points) => transformed(points, decompositions(points, json.type))];
    case "NFC":
    case "NFKC":
      return [(points) => transformed(points, compositions(points, json.type))];
    case "Strip":
      return [(points) => stripped(points, json.strip_left ?? true, json.strip_right ?? true)];
    default:
      throw refused(`normalizes by '${json.type}'`);
  }
}

/**
 * @param {string} text
 * @param {Step[]} steps
 * @returns {Normal}
 */
export function stepped(text, steps) {
  let points = pointsOf(text);
  for (const step of steps) points = step(points);
  /** @type {number[]} */
  const from = [];
  /** @type {number[]} */
  const to = [];
  for (let i = 0; i < points.codes.length; i++) {
    for (let unit = points.codes[i] > 0xffff ? 2 : 1; unit; unit--) {
      from.push(points.from[i]);
      to.push(points.to[i]);
    }
  }
  return { text: textOf(points), from: new Int32Array(from), to: new Int32Array(to) };
}

/** @param {Points} points @returns {string} */
function textOf({ codes }) {
  let text = "";
  for (let at = 0; at < codes.length; at += 4096) {
    text += String.fromCodePoint(...codes.slice(at, at + 4096));
  }
  return text;
}

/**
 * Characters in place of others.
 *
 * @param {Points} points
 * @param {[number, number][]} changes each new character with 0 where it replaces one, 1 where it is put
 *   in, -n where it replaces one and takes n more away
 * @returns {Points}
 */
function transformed(points, changes) {
  /** @type {Points} */
  const out = { codes: [], from: [], to: [] };
  let at = 0;
  for (const [code, change] of changes) {
    const place = change > 0 ? at - 1 : Math.min(at, points.codes.length - 1);
    out.codes.push(code);
    out.from.push(place < 0 ? 0 : points.from[place]);
    out.to.push(place < 0 ? 0 : points.to[place]);
    if (change <= 0) at += 1 - change;
  }
  return out;
}

/** @param {Points} points @param {(code: number) => boolean} keep @returns {Points} */
function kept(points, keep) {
  /** @type {Points} */
  const out = { codes: [], from: [], to: [] };
  points.codes.forEach((code, i) => {
    if (keep(code)) copy(out, points, i);
  });
  return out;
}

/** @param {Points} out @param {Points} points @param {number} i */
function copy(out, points, i) {
  out.codes.push(points.codes[i]);
  out.from.push(points.from[i]);
  out.to.push(points.to[i]);
}

/** @param {Json} json @param {(what: string) => TokenizerError} refused @returns {Step} */
function replacing(json, refused) {
  const { String: literal, Regex: pattern } = json.pattern ?? {};
  const known = pattern === undefined ? undefined : PATTERNS[pattern];
  if (known === undefined && !(typeof literal === "string" && literal)) {
    throw refused(`replaces ${JSON.stringify(json.pattern)}`);
  }
  const find = known ?? new RegExp(literal.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"), "gu");
  const content = Array.from(String(json.content), (part) => /** @type {number} */ (part.codePointAt(0)));
  return (points) => {
    const text = textOf(points);
    /** @type {Points} */
    const out = { codes: [], from: [], to: [] };
    let [unit, i] = [0, 0];
    const copyTo = (/** @type {number} */ stop) => {
      for (; unit < stop; i++) {
        copy(out, points, i);
        unit += points.codes[i] > 0xffff ? 2 : 1;
      }
    };
    for (const match of text.matchAll(find)) {
      copyTo(match.index);
      for (const stop = unit + match[0].length; unit < stop; i++) {
        unit += points.codes[i] > 0xffff ? 2 : 1;
      }
      for (const code of content) {
        out.codes.push(code);
        out.from.push(points.from[i - 1]);
        out.to.push(points.to[i - 1]);
      }
    }
    copyTo(text.length);
    return out;
  };
}

/** @param {Points} points @returns {Points} */
function lowered(points) {
  /** @type {[number, number][]} */
  const changes = [];
  for (const code of points.codes) {
    // One code point at a time: a final sigma must not become another letter.
    [...String.fromCodePoint(code).toLowerCase()].forEach((part, i) => {
      changes.push([/** @type {number} */ (part.codePointAt(0)), i ? 1 : 0]);
    });
  }
  return transformed(points, changes);
}

/** @param {Points} points @param {boolean} left @param {boolean} right @returns {Points} */
function stripped(points, left, right) {
  const blank = (/** @type {number} */ i) => kindTable()[points.codes[i]] & IS_WHITE;
  let [start, stop] = [0, points.codes.length];
  while (left && start < stop && blank(start)) start++;
  while (right && stop > start && blank(stop - 1)) stop--;
  const { codes, from, to } = points;
  return { codes: codes.slice(start, stop), from: from.slice(start, stop), to: to.slice(start, stop) };
}

/**
 * @param {Points} points
 * @param {"NFD" | "NFKD"} form
 * @returns {[number, number][]}
 */
function decompositions(points, form) {
  return decomposed(points, form).map(({ code, first }) => [code, first ? 0 : 1]);
}

/**
 * @param {Points} points
 * @param {"NFD" | "NFKD"} form
 * @returns {{ code: number, first: boolean }[]} in canonical order; `first` where a code point of the
 *   source begins
 */
function decomposed(points, form) {
  /** @type {{ code: number, first: boolean }[]} */
  const out = [];
  /** @type {{ code: number, first: boolean }[]} */
  let marks = [];
  const close = () => {
    for (const mark of marks.length > 1 ? ordered(marks) : marks) out.push(mark);
    marks = [];
  };
  for (const source of points.codes) {
    const text = String.fromCodePoint(source);
    const stays = source < 0xa0 || kindTable()[source] & IS_WHOLE;
    let first = true;
    for (const part of stays ? text : text.normalize(form)) {
      const code = /** @type {number} */ (part.codePointAt(0));
      if (isMark(code)) {
        marks.push({ code, first });
      } else {
        close();
        out.push({ code, first });
      }
      first = false;
    }
  }
  close();
  return out;
}

/** @param {number} code @returns {boolean} whether it may change places with another mark */
function isMark(code) {
  return code >= 0x300 && rankOf(code) >= 0;
}

/**
 * Decomposes, then puts letters and their marks together, as the `unicode-normalization` crate does:
 * one by one, each with what it adds or takes.
 *
 * @param {Points} points
 * @param {"NFC" | "NFKC"} form
 * @returns {[number, number][]}
 */
function compositions(points, form) {
  const parts = decomposed(points, form === "NFC" ? "NFD" : "NFKD");
  /** @type {[number, number][]} */
  const out = [];
  let letter = -1; // where in `out` the letter stands that marks may join
  let last = -1; // the last mark behind it that did not
  for (const { code, first } of parts) {
    const [change, mark] = [first ? 0 : 1, isMark(code)];
    const blocked = last >= 0 && mark && rankOf(last) === rankOf(code);
    const whole = letter < 0 || blocked || (last >= 0 && !mark) ? -1 : composed(out[letter][0], code);
    if (whole >= 0) {
      out[letter] = [whole, out[letter][1] + change - 1];
      continue;
    }
    if (!mark) [letter, last] = [out.length, -1];
    else if (letter >= 0) last = code;
    out.push([code, change]);
  }
  return out;
}

/** @param {number} letter @param {number} mark @returns {number} the two as one character, or -1 */
function composed(letter, mark) {
  const whole = String.fromCodePoint(letter, mark).normalize("NFC");
  const code = /** @type {number} */ (whole.codePointAt(0));
  return whole.length === (code > 0xffff ? 2 : 1) ? code : -1;
}
