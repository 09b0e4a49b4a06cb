/** SentencePiece's Unigram: of all ways to cut a word into pieces, that with the best sum of scores. */

import { TokenizerError } from "../errors.js";
import { codePointAt } from "./unicode.js";

const CACHE_SIZE = 20_000;
/** What an unknown character costs below the rarest piece. */
const UNKNOWN_COSTS = 10;

/**
 * The pieces of one word: ids, and where in the word each begins and ends.
 *
 * @typedef {{ ids: number[], starts: number[], ends: number[] }} Pieces
 */

export class Unigram {
  /**
   * @param {[string, number][]} vocabulary each piece with its score, in the order of the ids
   * @param {{ unknownId?: number, byteFallback?: boolean }} [options] `byteFallback` spells what is
   *   unknown by the bytes of its UTF-8, where the vocabulary has them all
   * @throws {TokenizerError} the unknown piece is beyond the vocabulary
   */
  constructor(vocabulary, { unknownId, byteFallback = false } = {}) {
    if (unknownId !== undefined && !(unknownId >= 0 && unknownId < vocabulary.length)) {
      throw new TokenizerError(`the unknown token ${unknownId} is beyond the vocabulary`);
    }
    /** @type {Map<string, number>} */
    this.vocabulary = new Map(vocabulary.map(([piece], id) => [piece, id]));
    this.scores = Float64Array.from(vocabulary, ([, score]) => score);
    this.unknownId = unknownId;
    this.byteFallback = byteFallback;
    this.unknownScore = this.scores.reduce((a, b) => Math.min(a, b), Infinity) - UNKNOWN_COSTS;
    this.trie = new Trie(this.vocabulary);
    /** @type {Map<string, Pieces>} */
    this.cache = new Map();
  }

  /** @param {string} word @returns {Pieces} */
  pieces(word) {
    const known = this.cache.get(word);
    if (known) return known;
    const found = this.#named(word, this.#cut(word));
    if (this.cache.size >= CACHE_SIZE) this.cache.clear();
    this.cache.set(word, found);
    return found;
  }

  /**
   * Where the best way cuts a word, unknown characters side by side as one piece.
   *
   * @param {string} word
   * @returns {number[]} ends of the pieces
   */
  #cut(word) {
    const n = word.length;
    const best = new Float64Array(n + 1);
    const from = new Int32Array(n + 1).fill(-1);
    const unknown = new Uint8Array(n + 1);
    for (let at = 0; at < n; ) {
      const next = at + (codePointAt(word, at) > 0xffff ? 2 : 1);
      let alone = false;
      this.trie.search(word, at, (end, id) => {
        const score = this.scores[id] + best[at];
        if (from[end] < 0 || score > best[end]) {
          best[end] = score;
          from[end] = at;
          unknown[end] = Number(id === this.unknownId);
        }
        alone ||= end === next;
      });
      if (!alone) {
        const score = this.unknownScore + best[at];
        if (from[next] < 0 || score > best[next]) {
          if (this.unknownId === undefined) {
            throw new TokenizerError(`${JSON.stringify(word)} has a character that is no piece, and no piece is for such`);
          }
          best[next] = score;
          from[next] = at;
          unknown[next] = 1;
        }
      }
      at = next;
    }
    /** @type {number[]} */
    const ends = [];
    for (let end = n, after = 0; end > 0; end = from[end]) {
      if (!(after && unknown[end])) ends.push(end);
      after = unknown[end];
    }
    return ends.reverse();
  }

  /** @param {string} word @param {number[]} ends @returns {Pieces} */
  #named(word, ends) {
    /** @type {Pieces} */
    const out = { ids: [], starts: [], ends: [] };
    let start = 0;
    for (const end of ends) {
      const piece = word.slice(start, end);
      const id = this.vocabulary.get(piece);
      const ids = id === undefined ? this.#bytes(piece) : [id];
      for (const one of ids) {
        out.ids.push(one);
        out.starts.push(start);
        out.ends.push(end);
      }
      start = end;
    }
    return out;
  }

  /** @param {string} piece @returns {number[]} */
  #bytes(piece) {
    const unknown = /** @type {number} */ (this.unknownId);
    if (!this.byteFallback) return [unknown];
    const name = (/** @type {number} */ byte) => byte.toString(16).toUpperCase().padStart(2, "0");
    const ids = Array.from(new TextEncoder().encode(piece), (byte) =>
      this.vocabulary.get(`<0x${name(byte)}>`),
    );
    return ids.every((id) => id !== undefined) ? /** @type {number[]} */ (ids) : [unknown];
  }
}

/** The pieces of a vocabulary by their beginnings, in UTF-16 units, in flat arrays. */
class Trie {
  /** @param {Map<string, number>} vocabulary */
  constructor(vocabulary) {
    let most = 1;
    for (const piece of vocabulary.keys()) most += piece.length;
    let size = 1024;
    while (size < 2 * most) size *= 2;
    /** @type {number} */
    this.mask = size - 1;
    this.parents = new Int32Array(size).fill(-1);
    this.units = new Uint16Array(size);
    this.children = new Int32Array(size);
    /** Node → its piece's id, or -1. */
    this.ids = new Int32Array(most).fill(-1);
    let nodes = 1;
    for (const [piece, id] of vocabulary) {
      let node = 0;
      for (let i = 0; i < piece.length; i++) {
        const slot = this.#slot(node, piece.charCodeAt(i));
        if (this.parents[slot] < 0) {
          this.parents[slot] = node;
          this.units[slot] = piece.charCodeAt(i);
          this.children[slot] = nodes++;
        }
        node = this.children[slot];
      }
      if (node) this.ids[node] = id;
    }
  }

  /**
   * @param {number} node
   * @param {number} unit
   * @returns {number} the slot of its child by this unit, or the free one for it
   */
  #slot(node, unit) {
    /** @type {number} */
    let slot = (Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b)) & this.mask;
    while (this.parents[slot] >= 0 && (this.parents[slot] !== node || this.units[slot] !== unit)) {
      slot = (slot + 1) & this.mask;
    }
    return slot;
  }

  /**
   * All pieces that a text goes on with, the shortest first.
   *
   * @param {string} text
   * @param {number} at
   * @param {(end: number, id: number) => void} take
   */
  search(text, at, take) {
    let node = 0;
    for (let i = at; i < text.length; i++) {
      const slot = this.#slot(node, text.charCodeAt(i));
      if (this.parents[slot] < 0) return;
      node = this.children[slot];
      if (this.ids[node] >= 0) take(i + 1, this.ids[node]);
    }
  }
}
