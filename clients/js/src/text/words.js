/** Words that the caller has cut already ↔ the tokens of the text they make. */

/** @import { Encoded } from "./tokenizer.js" */

/**
 * Words as one text, a blank between any two: a tokenizer that treats the first word of a text
 * differently then sees the words as it would in running text.
 *
 * @param {string[]} words
 * @returns {{ text: string, starts: number[] }} and where each starts
 */
export function joinWords(words) {
  let at = 0;
  const starts = words.map((word) => {
    const start = at;
    at += word.length + 1;
    return start;
  });
  return { text: words.join(" "), starts };
}

/**
 * Which of the joined words each token belongs to.
 *
 * @param {Encoded} encoded the text of `joinWords`
 * @param {number[]} starts of its words
 * @returns {Int32Array}
 */
export function wordsOf({ ids, offsets }, starts) {
  let word = 0;
  return Int32Array.from(ids, (_, i) => {
    // The last unit decides: a token may begin with the blank before its word.
    const at = Math.max(offsets[2 * i], offsets[2 * i + 1] - 1);
    while (word > 0 && starts[word] > at) word--;
    while (word + 1 < starts.length && starts[word + 1] <= at) word++;
    return word;
  });
}

/**
 * The first token of each word; -1 for a word without one, such as a control character.
 *
 * @param {Int32Array} words of each token
 * @param {number} nWords
 * @returns {Int32Array}
 */
export function firstTokens(words, nWords) {
  const first = new Int32Array(nWords).fill(-1);
  for (let i = words.length - 1; i >= 0; i--) first[words[i]] = i;
  return first;
}
