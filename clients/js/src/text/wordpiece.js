/** BERT's WordPiece: words of a normalized text → pieces of the vocabulary. */

import { TokenizerError } from "../errors.js";
import { IS_PUNCTUATION, IS_WHITE, codePointAt, kindTable } from "./unicode.js";

/** Words kept with their pieces: texts repeat themselves. */
const CACHE_SIZE = 20_000;

/**
 * The pieces of one word: ids, and where in the word each ends.
 *
 * @typedef {{ ids: number[], ends: number[] }} Pieces
 */

export class WordPiece {
  /**
   * @param {Map<string, number>} vocabulary token → id
   * @param {{ unknown?: string, prefix?: string, maxChars?: number }} [options]
   * @throws {TokenizerError} the vocabulary lacks the unknown token
   */
  constructor(vocabulary, { unknown = "[UNK]", prefix = "##", maxChars = 100 } = {}) {
    const id = vocabulary.get(unknown);
    if (id === undefined) {
      throw new TokenizerError(`the unknown token '${unknown}' is not in the vocabulary`);
    }
    this.vocabulary = vocabulary;
    this.unknownId = id;
    this.prefix = prefix;
    this.maxChars = maxChars;
    /** @type {Map<string, Pieces>} */
    this.cache = new Map();
  }

  /**
   * The words of a text, as `BertPreTokenizer` cuts them: at white space, punctuation alone.
   *
   * @param {string} text
   * @param {(start: number, stop: number) => void} take is called with each word's range
   */
  words(text, take) {
    const kinds = kindTable();
    let start = -1;
    for (let at = 0; at < text.length; ) {
      let code = text.charCodeAt(at);
      if (code >= 0xd800) code = codePointAt(text, at);
      const stop = at + (code > 0xffff ? 2 : 1);
      const kind = kinds[code];
      if (kind & (IS_WHITE | IS_PUNCTUATION)) {
        if (start >= 0) take(start, at);
        start = -1;
        if (kind & IS_PUNCTUATION) take(at, stop);
      } else if (start < 0) {
        start = at;
      }
      at = stop;
    }
    if (start >= 0) take(start, text.length);
  }

  /** @param {string} word @returns {Pieces} */
  pieces(word) {
    const known = this.cache.get(word);
    if (known) return known;
    const found = this.cut(word) ?? { ids: [this.unknownId], ends: [word.length] };
    if (this.cache.size >= CACHE_SIZE) this.cache.clear();
    this.cache.set(word, found);
    return found;
  }

  /**
   * Longest piece first, from the left.
   *
   * @param {string} word
   * @returns {Pieces | undefined} undefined where the vocabulary cannot spell the word
   */
  cut(word) {
    if (word.length > this.maxChars && [...word].length > this.maxChars) return undefined;
    /** @type {Pieces} */
    const found = { ids: [], ends: [] };
    for (let start = 0; start < word.length; ) {
      let stop = word.length;
      let id;
      for (; stop > start; stop--) {
        const piece = word.slice(start, stop);
        id = this.vocabulary.get(start ? this.prefix + piece : piece);
        if (id !== undefined) break;
      }
      if (id === undefined) return undefined;
      found.ids.push(id);
      found.ends.push(stop);
      start = stop;
    }
    return found;
  }
}
