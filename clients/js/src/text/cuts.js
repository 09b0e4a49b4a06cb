/** How tokenizers of SentencePiece's kind cut a normalized text into words. */

import { IS_PUNCTUATION, IS_WHITE, codePointAt, kindTable } from "./unicode.js";

/**
 * `blanks`: at white space, which goes. `punctuation`: each sign alone. `metaspace`: blanks become a
 * `letter`, which begins a word; one is put before a text `always`, `never`, or the `first` of all.
 *
 * @typedef {{ kind: "blanks" | "punctuation" } |
 *   { kind: "metaspace", letter: string, prepend: "always" | "never" | "first" }} Cut
 */

/**
 * A word, and the range of the source that each of its units came from.
 *
 * @typedef {{ text: string, from: number[], to: number[] }} Word
 */

/**
 * @param {string} text normalized
 * @param {{ from: ArrayLike<number>, to: ArrayLike<number> }} places of its units
 * @param {number} start
 * @param {number} stop
 * @param {Cut[]} cuts
 * @param {number} at where the source begins in what is read at once
 * @returns {Word[]}
 */
export function cutInto(text, places, start, stop, cuts, at) {
  const whole = { text: text.slice(start, stop), ...slice(places, start, stop) };
  return cuts.reduce(
    (/** @type {Word[]} */ words, cut) =>
      words.flatMap((word) => {
        if (cut.kind === "metaspace") return byLetter(word, cut.letter, cut.prepend, at);
        return byKind(word, cut.kind === "blanks" ? IS_WHITE : IS_PUNCTUATION, cut.kind !== "blanks");
      }),
    [whole],
  );
}

/** @param {{ from: ArrayLike<number>, to: ArrayLike<number> }} places @param {number} start @param {number} stop */
function slice({ from, to }, start, stop) {
  const part = (/** @type {ArrayLike<number>} */ all) =>
    Array.from({ length: stop - start }, (_, i) => all[start + i]);
  return { from: part(from), to: part(to) };
}

/** @param {Word} word @param {number} kind @param {boolean} keeps @returns {Word[]} */
function byKind(word, kind, keeps) {
  /** @type {Word[]} */
  const out = [];
  const { text } = word;
  const take = (/** @type {number} */ from, /** @type {number} */ to) => {
    if (to > from) out.push({ text: text.slice(from, to), ...slice(word, from, to) });
  };
  let start = 0;
  for (let i = 0; i < text.length; ) {
    const code = codePointAt(text, i);
    const stop = i + (code > 0xffff ? 2 : 1);
    if (kindTable()[code] & kind) {
      take(start, i);
      if (keeps) take(i, stop);
      start = stop;
    }
    i = stop;
  }
  take(start, text.length);
  return out;
}

/**
 * @param {Word} word
 * @param {string} letter
 * @param {"always" | "never" | "first"} prepend
 * @param {number} at
 * @returns {Word[]}
 */
function byLetter(word, letter, prepend, at) {
  const whole = { text: word.text.replaceAll(" ", letter), from: word.from, to: word.to };
  const wanted = prepend === "always" || (prepend === "first" && at + word.from[0] === 0);
  if (wanted && whole.text && !whole.text.startsWith(letter)) {
    // It has the place of the first character.
    whole.text = letter + whole.text;
    whole.from = [word.from[0], ...word.from];
    whole.to = [word.to[0], ...word.to];
  }
  /** @type {Word[]} */
  const out = [];
  let start = 0;
  for (let i = 1; i <= whole.text.length; i++) {
    if (i < whole.text.length && whole.text[i] !== letter) continue;
    out.push({ text: whole.text.slice(start, i), ...slice(whole, start, i) });
    start = i;
  }
  return out;
}
