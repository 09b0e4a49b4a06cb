/** BERT's tokenizer under the names of the `tokenizers` package for Node. */

import { InputError, TokenizerError, kindOf } from "../errors.js";
import { placeOfFile } from "../places.js";
import { fromVocabulary, vocabularyOf } from "./files.js";

/** @import { Encoded, Tokenizer } from "./tokenizer.js" */

/**
 * Tokens of a text or a pair of texts, special tokens and padding included.
 *
 * @typedef {object} Encoding
 * @property {number[]} ids
 * @property {number[]} attentionMask 1 for tokens, 0 for padding
 * @property {number[]} typeIds 1 for the second text and the separator after it
 * @property {string[]} tokens
 * @property {[number, number][]} offsets of each token in its own text, in UTF-16 units
 * @property {number[]} specialTokensMask 1 for tokens that are no text
 * @property {number} length
 */

/**
 * @typedef {object} BertOptions
 * @property {string} vocabFile path or address of `vocab.txt`
 * @property {boolean} [lowercase] default true
 * @property {boolean} [stripAccents] by default as `lowercase`
 * @property {boolean} [cleanText] default true
 * @property {boolean} [handleChineseChars] default true
 */

export class BertWordPieceTokenizer {
  /** @param {Tokenizer} core */
  constructor(core) {
    this.core = core;
    this.padTo = 0;
  }

  /**
   * @param {BertOptions} options
   * @returns {Promise<BertWordPieceTokenizer>}
   * @throws {TokenizerError} there is no such file, or it is no vocabulary
   */
  static async fromOptions(options) {
    if (typeof options?.vocabFile !== "string") {
      throw new InputError(`vocabFile must be a string, not ${kindOf(options?.vocabFile)}`);
    }
    const { place, file } = placeOfFile(options.vocabFile);
    const text = await place.readText(file);
    if (text === undefined) throw new TokenizerError(`there is no vocabulary ${options.vocabFile}`);
    const config = {
      do_lower_case: options.lowercase,
      strip_accents: options.stripAccents,
      clean_text: options.cleanText,
      tokenize_chinese_chars: options.handleChineseChars,
    };
    return new BertWordPieceTokenizer(fromVocabulary(vocabularyOf(text), config));
  }

  /**
   * Pads every encoding to a length from now on; longer ones stay as they are.
   *
   * @param {{ maxLength: number }} options
   */
  setPadding({ maxLength }) {
    if (!Number.isInteger(maxLength) || maxLength < 0) {
      throw new InputError(`maxLength must be a whole number, not ${maxLength}`);
    }
    this.padTo = maxLength;
  }

  /**
   * @param {string} text
   * @param {string} [pair]
   * @returns {Promise<Encoding>}
   */
  async encode(text, pair) {
    const parts = [text, ...(pair === undefined ? [] : [pair])];
    const { core } = this;
    /** @type {Encoding} */
    const out = {
      ids: [],
      attentionMask: [],
      typeIds: [],
      tokens: [],
      offsets: [],
      specialTokensMask: [],
      length: 0,
    };
    /** @param {number} id @param {number} type @param {[number, number]} [at] of a token of the text */
    const push = (id, type, at) => {
      out.ids.push(id);
      out.attentionMask.push(1);
      out.typeIds.push(type);
      out.tokens.push(core.idToToken(id) ?? "");
      out.offsets.push(at ?? [0, 0]);
      out.specialTokensMask.push(at ? 0 : 1);
    };
    push(core.clsId, 0);
    for (const [type, part] of parts.entries()) {
      if (typeof part !== "string") {
        throw new InputError(`a text must be a string, not ${kindOf(part)}`);
      }
      const { ids, offsets } = await core.encodeLong(part);
      for (let i = 0; i < ids.length; i++) {
        push(ids[i], type, [offsets[2 * i], offsets[2 * i + 1]]);
      }
      push(core.sepId, type);
    }
    const nTokens = out.ids.length;
    while (out.ids.length < this.padTo) push(core.padId, 0);
    out.attentionMask.fill(0, nTokens);
    out.length = out.ids.length;
    return out;
  }
}
