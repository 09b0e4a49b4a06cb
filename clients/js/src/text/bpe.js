/** RoBERTa's byte-level BPE: a space is part of the token after it, and any text can be spelled. */

import { TokenizerError } from "../errors.js";

const CACHE_SIZE = 20_000;

// The library's regular expression; its \s is Unicode's White_Space, which JavaScript's is not.
const S = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const WORD = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${S}\\p{L}\\p{N}]+|[${S}]+(?![^${S}])|[${S}]+`,
  "gu",
);

/** @type {string[] | undefined} */
let letters;

/**
 * A printable letter for each byte: most Latin-1 characters stand for themselves.
 *
 * @returns {string[]} of 256
 */
export function byteLetters() {
  if (letters) return letters;
  letters = [];
  let next = 0x100;
  for (let byte = 0; byte < 0x100; byte++) {
    const itself =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    letters.push(String.fromCharCode(itself ? byte : next++));
  }
  return letters;
}

/**
 * @typedef {object} BpeOptions
 * @property {string | undefined} [unknown]
 * @property {boolean} [ignoreMerges] a word of the vocabulary is one token, whatever the merges
 * @property {boolean} [addPrefixSpace]
 */

export class ByteLevelBpe {
  /**
   * @param {Map<string, number>} vocabulary token → id
   * @param {[string, string][]} merges best first
   * @param {BpeOptions} [options]
   * @throws {TokenizerError} a merge makes a token that the vocabulary lacks
   */
  constructor(vocabulary, merges, options = {}) {
    this.vocabulary = vocabulary;
    this.unknownId = options.unknown === undefined ? undefined : vocabulary.get(options.unknown);
    this.ignoreMerges = options.ignoreMerges ?? false;
    this.addPrefixSpace = options.addPrefixSpace ?? false;
    /** @type {Map<string, number>} */
    this.ranks = new Map();
    for (const [rank, [left, right]] of merges.entries()) {
      if (!vocabulary.has(left + right)) {
        throw new TokenizerError(`the merge '${left} ${right}' makes a token the vocabulary lacks`);
      }
      this.ranks.set(`${left} ${right}`, rank);
    }
    /** @type {Map<string, { ids: number[], tokens: string[] }>} */
    this.cache = new Map();
  }

  /**
   * The words of a text, each with the blank before it.
   *
   * @param {string} text
   * @param {(start: number, stop: number) => void} take is called with each word's range
   */
  words(text, take) {
    for (const match of text.matchAll(WORD)) take(match.index, match.index + match[0].length);
  }

  /** @param {string} word in byte letters @returns {{ ids: number[], tokens: string[] }} */
  pieces(word) {
    const known = this.cache.get(word);
    if (known) return known;
    const found = this.merged(word);
    if (this.cache.size >= CACHE_SIZE) this.cache.clear();
    this.cache.set(word, found);
    return found;
  }

  /** @param {string} word */
  merged(word) {
    const tokens = this.ignoreMerges && this.vocabulary.has(word) ? [word] : [...word];
    while (tokens.length > 1) {
      let best = Infinity;
      let at = -1;
      for (let i = 0; i + 1 < tokens.length; i++) {
        const rank = this.ranks.get(`${tokens[i]} ${tokens[i + 1]}`);
        if (rank !== undefined && rank < best) [best, at] = [rank, i];
      }
      if (at < 0) break;
      tokens.splice(at, 2, tokens[at] + tokens[at + 1]);
    }
    const ids = tokens.map((token) => this.vocabulary.get(token) ?? this.unknownId ?? -1);
    return { ids, tokens };
  }
}
