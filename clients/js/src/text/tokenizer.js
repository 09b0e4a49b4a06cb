/**
 * Strings → token ids with offsets into the caller's own string, in UTF-16 units.
 *
 * The same tokens as the `tokenizers` library gives, for the three kinds of tokenizer that BERT's
 * relatives have: WordPiece (BERT, DistilBERT, ELECTRA), byte-level BPE (RoBERTa, ModernBERT) and
 * Unigram (XLM-R, CamemBERT, ALBERT, DeBERTa).
 */

import { ByteLevelBpe, byteLetters } from "./bpe.js";
import { cutInto } from "./cuts.js";
import { normalize } from "./normal.js";
import { stepped } from "./steps.js";
import { codePointAt, isBlank } from "./unicode.js";
import { Unigram } from "./unigram.js";
import { WordPiece } from "./wordpiece.js";

/** @import { Cut } from "./cuts.js" */
/** @import { Step } from "./steps.js" */
/** @import { NormalOptions } from "./normal.js" */
/** @import { AddedTokens } from "./added.js" */
/** @import { PairLayout } from "./windows.js" */

const BLANK = `[${byteLetters()[0x20]}\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]`;
const LEADING = new RegExp(`^${BLANK}*`);
const TRAILING = new RegExp(`${BLANK}+$`);

/** UTF-16 units of a long text that are tokenized at once, before others have their turn. */
const CHUNK = 100_000;

/**
 * Tokens of one text, without special tokens.
 *
 * @typedef {object} Encoded
 * @property {Int32Array} ids of `n`
 * @property {Int32Array} offsets start and end of each token in the text, half-open, of `2 n`
 * @property {Int32Array} words which word each token belongs to, of `n`
 */

/** Collects tokens. */
class Tokens {
  constructor() {
    /** @type {number[]} */
    this.ids = [];
    /** @type {number[]} */
    this.offsets = [];
    /** @type {number[]} */
    this.words = [];
    this.nWords = 0;
  }

  /** @param {number} id @param {number} start @param {number} end */
  push(id, start, end) {
    this.ids.push(id);
    this.offsets.push(start, end);
    this.words.push(this.nWords);
  }

  /** @returns {Encoded} */
  done() {
    return {
      ids: new Int32Array(this.ids),
      offsets: new Int32Array(this.offsets),
      words: new Int32Array(this.words),
    };
  }
}

/**
 * @typedef {object} TokenizerParts
 * @property {WordPiece | ByteLevelBpe | Unigram} model
 * @property {NormalOptions | null} normalizer of WordPiece
 * @property {Step[]} steps what Unigram does to a text first
 * @property {Cut[]} cuts how Unigram cuts it into words
 * @property {AddedTokens} added
 * @property {boolean} trimOffsets whether RoBERTa's own rule leaves blanks at the ends of tokens out of
 *   their offsets, as `tokenizers` has it; otherwise plain white space is left out
 * @property {{ cls: number, sep: number, pad: number, mask: number | undefined }} special their ids
 * @property {PairLayout} layout how a question and a context stand in one row
 */

export class Tokenizer {
  /** @param {TokenizerParts} parts see `readTokenizer` */
  constructor(parts) {
    this.model = parts.model;
    this.normalizer = parts.normalizer;
    this.steps = parts.steps;
    this.cuts = parts.cuts;
    this.added = parts.added;
    this.trimOffsets = parts.trimOffsets;
    this.clsId = parts.special.cls;
    this.sepId = parts.special.sep;
    this.padId = parts.special.pad;
    this.maskId = parts.special.mask;
    this.layout = parts.layout;
  }

  /**
   * Tokenizes one text. Lone surrogates are read as U+FFFD.
   *
   * @param {string} text
   * @returns {Encoded}
   */
  encode(text) {
    const out = new Tokens();
    this.#into(out, text, 0);
    return out.done();
  }

  /**
   * As `encode`, in pieces: between two of them the event loop goes on.
   *
   * @param {string} text
   * @returns {Promise<Encoded>}
   */
  async encodeLong(text) {
    const out = new Tokens();
    let start = 0;
    while (text.length - start > CHUNK) {
      const stop = cutAfter(text, start + CHUNK);
      if (stop < 0) break;
      this.#into(out, text.slice(start, stop), start);
      start = stop;
      await new Promise((resolve) => setTimeout(resolve));
    }
    this.#into(out, text.slice(start), start);
    return out.done();
  }

  /** @param {string} token in the vocabulary's own spelling @returns {number | undefined} */
  tokenToId(token) {
    return this.added.ids.get(token) ?? this.model.vocabulary.get(token);
  }

  /** @param {number} id @returns {string | undefined} the vocabulary's own spelling */
  idToToken(id) {
    if (!this.tokens) {
      this.tokens = new Map([...this.model.vocabulary].map(([token, number]) => [number, token]));
      for (const [number, token] of this.added.texts) this.tokens.set(number, token);
    }
    return this.tokens.get(id);
  }

  /** @param {Tokens} out @param {string} text @param {number} base where it begins */
  #into(out, text, base) {
    const first = out.ids.length;
    this.added.split(text, this.added.raw, (start, stop, id) => {
      if (id !== undefined) {
        out.push(id, base + start, base + stop);
        out.nWords++;
      } else if (this.model instanceof WordPiece) {
        this.#wordPieces(out, this.model, text.slice(start, stop), base + start);
      } else if (this.model instanceof Unigram) {
        this.#unigramPieces(out, this.model, text.slice(start, stop), base + start, start);
      } else {
        this.#bytePieces(out, this.model, text.slice(start, stop), base + start);
      }
    });
    if (this.model instanceof ByteLevelBpe) {
      if (this.trimOffsets) this.#trim(out, first, base, text, this.model);
      else trimBlanks(out, first, base, text);
    } else if (this.model instanceof Unigram && !this.cuts.some((cut) => cut.kind === "blanks")) {
      trimBlanks(out, first, base, text); // the blank before a word was taken into its token
    }
  }

  /**
   * @param {Tokens} out
   * @param {Unigram} model
   * @param {string} text
   * @param {number} base
   * @param {number} at where the part stands in what is read at once
   */
  #unigramPieces(out, model, text, base, at) {
    const { text: normal, from, to } = stepped(text, this.steps);
    const places = { from: /** @type {Int32Array} */ (from), to: /** @type {Int32Array} */ (to) };
    this.added.split(normal, this.added.normal, (start, stop, id) => {
      if (id !== undefined) {
        out.push(id, base + places.from[start], base + places.to[stop - 1]);
        out.nWords++;
        return;
      }
      for (const word of cutInto(normal, places, start, stop, this.cuts, at)) {
        const { ids, starts, ends } = model.pieces(word.text);
        for (let i = 0; i < ids.length; i++) {
          out.push(ids[i], base + word.from[starts[i]], base + word.to[ends[i] - 1]);
        }
        out.nWords++;
      }
    });
  }

  /** @param {Tokens} out @param {WordPiece} model @param {string} text @param {number} base */
  #wordPieces(out, model, text, base) {
    const normal = this.normalizer
      ? normalize(text, this.normalizer)
      : { text, from: undefined, to: undefined };
    const { from, to } = normal;
    /** @param {number} id @param {number} start @param {number} end */
    const push = (id, start, end) =>
      out.push(id, base + (from ? from[start] : start), base + (to ? to[end - 1] : end));
    this.added.split(normal.text, this.added.normal, (start, stop, id) => {
      if (id !== undefined) {
        push(id, start, stop);
        out.nWords++;
        return;
      }
      const part = normal.text.slice(start, stop);
      model.words(part, (wordStart, wordStop) => {
        const { ids, ends } = model.pieces(part.slice(wordStart, wordStop));
        let at = start + wordStart;
        for (let i = 0; i < ids.length; i++) {
          const end = start + wordStart + ends[i];
          push(ids[i], at, end);
          at = end;
        }
        out.nWords++;
      });
    });
  }

  /** @param {Tokens} out @param {ByteLevelBpe} model @param {string} text @param {number} base */
  #bytePieces(out, model, text, base) {
    this.added.split(text, this.added.normal, (start, stop, id) => {
      if (id !== undefined) {
        out.push(id, base + start, base + stop);
        out.nWords++;
        return;
      }
      const prefixed = model.addPrefixSpace && text[start] !== " ";
      const part = (prefixed ? " " : "") + text.slice(start, stop);
      model.words(part, (wordStart, wordStop) => {
        const word = bytesOf(part, wordStart, wordStop);
        if (prefixed) moveBack(word, codePointAt(text, start) > 0xffff ? 2 : 1);
        const { ids, tokens } = model.pieces(word.letters);
        let at = 0;
        for (let i = 0; i < ids.length; i++) {
          const end = at + tokens[i].length;
          if (ids[i] >= 0) {
            out.push(ids[i], base + start + word.from[at], base + start + word.to[end - 1]);
          }
          at = end;
        }
        out.nWords++;
      });
    });
  }

  /**
   * Leaves blanks at the ends of tokens out of their offsets, as RoBERTa's post-processor does.
   *
   * @param {Tokens} out
   * @param {number} first token
   * @param {number} base
   * @param {string} text
   * @param {ByteLevelBpe} model
   */
  #trim(out, first, base, text, model) {
    for (let i = first; i < out.ids.length; i++) {
      let start = out.offsets[2 * i];
      let end = out.offsets[2 * i + 1];
      const token = this.added.texts.has(out.ids[i])
        ? text.slice(start - base, end - base)
        : (this.idToToken(out.ids[i]) ?? "");
      let leading = /** @type {RegExpExecArray} */ (LEADING.exec(token))[0].length;
      const trailing = token.length - token.replace(TRAILING, "").length;
      if (leading) {
        // The blank that was put before the text is no part of it.
        if ((i === first || start === base) && model.addPrefixSpace) leading--;
        start = Math.min(moved(text, start - base, leading) + base, end);
      }
      if (trailing && end - base >= trailing) {
        end = Math.max(moved(text, end - base, -trailing) + base, start);
      }
      out.offsets[2 * i] = start;
      out.offsets[2 * i + 1] = end;
    }
  }
}

/**
 * Leaves white space at the ends of tokens out of their offsets; of a token of it alone, its end stays.
 *
 * @param {Tokens} out
 * @param {number} first token
 * @param {number} base
 * @param {string} text
 */
function trimBlanks(out, first, base, text) {
  const blank = (/** @type {number} */ at) => at - base < text.length && isBlank(text[at - base]);
  for (let i = 2 * first; i < out.offsets.length; i += 2) {
    let [start, end] = [out.offsets[i], out.offsets[i + 1]];
    while (start < end && blank(start)) start++;
    while (start < end && blank(end - 1)) end--;
    out.offsets[i] = start;
    out.offsets[i + 1] = end;
  }
}

/**
 * A word as one letter for each byte of its UTF-8, each with the units it stands for.
 *
 * @param {string} text
 * @param {number} start
 * @param {number} stop
 */
function bytesOf(text, start, stop) {
  const table = byteLetters();
  let letters = "";
  /** @type {number[]} */
  const from = [];
  /** @type {number[]} */
  const to = [];
  for (let at = start; at < stop; ) {
    const code = codePointAt(text, at);
    const end = at + (code > 0xffff ? 2 : 1);
    for (const byte of utf8(code)) {
      letters += table[byte];
      from.push(at);
      to.push(end);
    }
    at = end;
  }
  return { letters, from, to };
}

/** @param {number} code @returns {number[]} */
function utf8(code) {
  if (code < 0x80) return [code];
  const last = 0x80 | (code & 0x3f);
  if (code < 0x800) return [0xc0 | (code >> 6), last];
  const third = 0x80 | ((code >> 6) & 0x3f);
  if (code < 0x10000) return [0xe0 | (code >> 12), third, last];
  return [0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), third, last];
}

/**
 * A place so many code points further on, or back.
 *
 * @param {string} text
 * @param {number} at
 * @param {number} by
 */
function moved(text, at, by) {
  for (; by > 0; by--) at += codePointAt(text, at) > 0xffff ? 2 : 1;
  for (; by < 0; by++) at -= at > 1 && codePointAt(text, at - 2) > 0xffff ? 2 : 1;
  return at;
}

/**
 * Takes the blank put before a text out of the places again: it stands for the first character.
 *
 * @param {{ from: number[], to: number[] }} word
 * @param {number} firstLength units of the first character
 */
function moveBack(word, firstLength) {
  for (let i = 0; i < word.from.length; i++) {
    word.from[i] = Math.max(0, word.from[i] - 1);
    word.to[i] = Math.max(firstLength, word.to[i] - 1);
  }
}

/**
 * Where to cut a long text: before white space, so that no token can straddle a cut.
 *
 * @param {string} text
 * @param {number} from
 * @returns {number} -1 where there is no such place
 */
function cutAfter(text, from) {
  const space = /\s\S/g;
  space.lastIndex = from;
  return space.exec(text)?.index ?? -1;
}
