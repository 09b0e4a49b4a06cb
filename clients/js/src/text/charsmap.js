/** SentencePiece's own table of characters: which ones, or which clusters of some, become what. */

import { TokenizerError } from "../errors.js";

/** Bytes of a cluster's UTF-8 that is looked up whole. */
const MOST_BYTES = 5;
const ASCII = /^[\0-\x0c\x0e-\x7f]*$/;

export class Charsmap {
  /**
   * @param {string} base64 a trie of byte strings (Aoe's double array, as Darts writes it), and the
   *   strings that they become
   * @throws {TokenizerError} it is cut short
   */
  constructor(base64) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const size = bytes.length < 4 ? Infinity : new DataView(bytes.buffer).getUint32(0, true);
    if (size % 4 || size + 4 > bytes.length) {
      throw new TokenizerError("the table of characters in tokenizer.json is damaged");
    }
    const view = new DataView(bytes.buffer, 4, size);
    this.units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 * i, true));
    this.strings = bytes.subarray(4 + size);
    this.encoder = new TextEncoder();
    this.decoder = new TextDecoder();
    /** @type {Map<string, string | undefined>} */
    this.known = new Map();
    /** @type {Intl.Segmenter | undefined} */
    this.segmenter = undefined;
  }

  /**
   * What a character or a cluster becomes; undefined where it stays. The shortest entry that it
   * begins with is taken, as the library does.
   *
   * @param {string} part
   * @returns {string | undefined}
   */
  get(part) {
    if (this.known.has(part)) return this.known.get(part);
    const found = this.#search(this.encoder.encode(part));
    if (this.known.size > 100_000) this.known.clear();
    this.known.set(part, found);
    return found;
  }

  /** @param {Uint8Array} key @returns {string | undefined} */
  #search(key) {
    const offset = (/** @type {number} */ unit) => (unit >>> 10) << ((unit & 0x200) >>> 6);
    let node = offset(this.units[0] ?? 0);
    for (const byte of key) {
      if (!byte) return undefined;
      node ^= byte;
      const unit = this.units[node] ?? 0;
      if ((unit & 0x800000ff) >>> 0 !== byte) return undefined;
      node ^= offset(unit);
      if (unit & 0x100) {
        const start = (this.units[node] ?? 0) & 0x7fffffff;
        const end = this.strings.indexOf(0, start);
        return this.decoder.decode(this.strings.subarray(start, end < 0 ? undefined : end));
      }
    }
    return undefined;
  }

  /**
   * A text as the characters it becomes.
   *
   * @param {string} text
   * @returns {[number, number][]} code points, each with how many more (or, below 0, fewer) there
   *   are by it
   */
  changes(text) {
    /** @type {[number, number][]} */
    const out = [];
    for (const cluster of this.#clusters(text)) {
      const whole = cluster.length <= MOST_BYTES && this.encoder.encode(cluster).length <= MOST_BYTES;
      const found = whole ? this.get(cluster) : undefined;
      if (found !== undefined) {
        replaced(out, cluster, found);
        continue;
      }
      for (const part of cluster) {
        const single = this.get(part);
        if (single === undefined) out.push([/** @type {number} */ (part.codePointAt(0)), 0]);
        else replaced(out, part, single);
      }
    }
    return out;
  }

  /** @param {string} text @returns {Iterable<string>} its characters as readers see them */
  #clusters(text) {
    if (ASCII.test(text)) return text;
    this.segmenter ??= new Intl.Segmenter("und", { granularity: "grapheme" });
    return Array.from(this.segmenter.segment(text), (one) => one.segment);
  }
}

/** @param {[number, number][]} out @param {string} old @param {string} text */
function replaced(out, old, text) {
  const points = Array.from(text, (part) => /** @type {number} */ (part.codePointAt(0)));
  const more = points.length - [...old].length;
  points.forEach((code, i) => out.push([code, i >= points.length - more ? 1 : 0]));
  const last = out.at(-1);
  if (more < 0 && last) last[1] += more;
}
