/** `Tagger`: texts in, labelled spans out; or words in, a tag for each out. */

import { openClient } from "./client.js";
import { checkedText, nameOf } from "./cutting.js";
import { OUTSIDE, entities } from "./entities.js";
import { EmptyInputError, InputError, ModelError, checkSignal, kindOf } from "./errors.js";
import { TAGGING, TOKEN_BUDGET, objectOf, optionsOf, rowLength } from "./options.js";
import { runRows } from "./rows.js";
import { best, softmax } from "./scores.js";
import { isBlank } from "./text/unicode.js";
import { firstTokens, joinWords, wordsOf } from "./text/words.js";
import { readingOf, together } from "./tokenwise.js";

/** @import { Opening } from "./client.js" */
/** @import { Aggregation, Entity } from "./entities.js" */
/** @import { Model } from "./model.js" */
/** @import { Encoded, Tokenizer } from "./text/tokenizer.js" */

/** Texts that are tokenized, sorted by length and run together. */
const CHUNK = 256;

/**
 * @typedef {object} TaggerFields
 * @property {number} [seqLen] longest window in tokens; by default the model's own
 * @property {number} [stride] tokens that consecutive windows of a long text share
 * @property {Aggregation} [aggregation] how tokens become entities, `first` by default
 * @property {number} [tokenBudget] most tokens of one batch, padding included
 */

/** @typedef {TaggerFields & Opening} TaggerOptions */

/**
 * @typedef {object} TagOptions
 * @property {Aggregation} [aggregation] how tokens become entities; by default as the tagger was opened
 * @property {string[]} [ignore] tags and types to leave out; by default `O`
 * @property {AbortSignal} [signal] rejects the call with an `AbortedError`
 */

/**
 * @typedef {object} Settled
 * @property {string[]} labels in the order of the logits
 * @property {number} seqLen
 * @property {number} stride
 * @property {Aggregation} aggregation
 * @property {number} tokenBudget
 */

/** @typedef {{ encoded: Encoded, words: Int32Array }} Tokens of a text, and which belong together */

/**
 * Finds labelled spans in texts with one model.
 *
 *     const tagger = await Tagger.fromOptions({ model: "runs/wnut-minilm" });
 *     const entities = await tagger.tag("Empire State Building = ESB.");
 */
export class Tagger {
  /**
   * @param {Model} model
   * @param {Tokenizer} tokenizer
   * @param {Settled} options
   */
  constructor(model, tokenizer, options) {
    this.model = model;
    this.tokenizer = tokenizer;
    this.options = options;
  }

  /**
   * Opens a model.
   *
   * @param {TaggerOptions} options
   * @returns {Promise<Tagger>}
   * @throws {PotstillError} as `initModel` does; the model is not one that tags
   */
  static async fromOptions(options) {
    const { model, tokenizer, options: own } = await openClient("tagging", options, TAGGING, settled);
    return new Tagger(model, tokenizer, own);
  }

  /**
   * The labelled spans of a text of any length, in order.
   *
   * @param {string} text
   * @param {TagOptions} [options]
   * @returns {Promise<Entity[]>}
   * @throws {EmptyInputError} the text is blank
   * @throws {ModelError} the model gives something else than finite numbers
   * @throws {AbortedError} the signal was set
   */
  async tag(text, options = {}) {
    return (await this.tagMany([text], options))[0];
  }

  /**
   * As `tag`, of many texts: windows of similar length run together.
   *
   * @param {string[]} texts
   * @param {TagOptions} [options]
   * @returns {Promise<Entity[][]>}
   */
  async tagMany(texts, options = {}) {
    const { signal, ignore = [OUTSIDE], ...given } = objectOf(options, ["aggregation", "ignore", "signal"]);
    const chosen = optionsOf(given, { aggregation: TAGGING.aggregation }).aggregation ?? this.options.aggregation;
    if (!Array.isArray(ignore)) throw new InputError(`ignore must be a list, not ${kindOf(ignore)}`);
    list(texts, "texts");
    texts.forEach((text, i) => checkedText(text, nameOf("text", i, texts.length)));
    const { labels } = this.options;
    return this.#each(
      texts,
      async (text) => {
        const encoded = await this.tokenizer.encodeLong(text);
        return { encoded, words: encoded.words };
      },
      (text, { encoded }, scores) => entities(text, encoded, scores, labels, { aggregation: chosen, ignore }),
      signal,
    );
  }

  /**
   * A tag for every word of a text that is cut into words already: that of its first token. A word that
   * leaves the tokenizer no token gets `O`, or the first label where the model has no `O`.
   *
   * @param {string[]} words
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<string[]>}
   * @throws {EmptyInputError} there are no words, or one is blank
   */
  async tagWords(words, options = {}) {
    return (await this.tagWordsMany([words], options))[0];
  }

  /**
   * As `tagWords`, of many texts.
   *
   * @param {string[][]} sentences
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<string[][]>}
   */
  async tagWordsMany(sentences, options = {}) {
    const { signal } = objectOf(options, ["signal"]);
    list(sentences, "sentences");
    sentences.forEach((words, i) => checkedWords(words, nameOf("sentence", i, sentences.length)));
    const { labels } = this.options;
    const otherwise = labels.includes(OUTSIDE) ? OUTSIDE : labels[0];
    return this.#each(
      sentences,
      async (sentence) => {
        const { text, starts } = joinWords(sentence);
        const encoded = await this.tokenizer.encodeLong(text);
        return { encoded, words: wordsOf(encoded, starts) };
      },
      (sentence, { words }, scores) => {
        const first = firstTokens(words, sentence.length);
        return Array.from(first, (i) => (i < 0 ? otherwise : labels[best(scores[i])]));
      },
      signal,
    );
  }

  /**
   * @template T, Found
   * @param {T[]} items
   * @param {(item: T) => Promise<Tokens>} tokensOf
   * @param {(item: T, tokens: Tokens, scores: number[][]) => Found} finish is given the probabilities of
   *   every label, for each token
   * @param {AbortSignal} [signal]
   * @returns {Promise<Found[]>}
   */
  async #each(items, tokensOf, finish, signal) {
    /** @type {Found[]} */
    const found = [];
    for (let first = 0; first < items.length; first += CHUNK) {
      const part = items.slice(first, first + CHUNK);
      const read = [];
      for (const item of part) {
        checkSignal(signal);
        const tokens = await tokensOf(item);
        read.push({ item, tokens, ...readingOf(this.tokenizer, tokens.encoded, tokens.words, this.options) });
      }
      const rows = read.flatMap((one) => one.rows);
      const said = await runRows(this.model.session, rows, this.tokenizer, this.options.tokenBudget, signal);
      let at = 0;
      for (const one of read) {
        const logits = one.rows.map(({ ids }, i) => this.#checked(said[at + i].logits, ids.length));
        at += one.rows.length;
        found.push(finish(one.item, one.tokens, this.#scores(together(one, logits, this.options.labels.length))));
      }
    }
    return found;
  }

  /** @param {Float32Array} logits of a row @param {number} length */
  #checked(logits, length) {
    const n = this.options.labels.length;
    if (logits.length === n * length) return logits;
    throw new ModelError(
      `the model gives ${logits.length / length} scores a token and names ${n} labels: its files do not ` +
        "belong together",
    );
  }

  /** @param {Float32Array} logits of all tokens @returns {number[][]} */
  #scores(logits) {
    const n = this.options.labels.length;
    return Array.from({ length: logits.length / n }, (_, i) => softmax([...logits.subarray(i * n, (i + 1) * n)]));
  }

  /** Frees the model; nothing can be tagged any more. */
  async dispose() {
    await this.model.dispose();
  }
}

/** @param {Model} model @param {Record<string, any>} chosen @returns {Settled} */
function settled(model, chosen) {
  const { labels, stride } = model.bundle;
  const seqLen = rowLength(model, chosen.seqLen);
  return { labels, stride, aggregation: "first", tokenBudget: TOKEN_BUDGET, ...chosen, seqLen };
}

/** @param {unknown} items @param {string} what */
function list(items, what) {
  if (!Array.isArray(items)) throw new InputError(`${what} must be a list, not ${kindOf(items)}`);
}

/** @param {unknown} words @param {string} name */
function checkedWords(words, name) {
  if (!Array.isArray(words)) throw new InputError(`${name} must be a list of words, not ${kindOf(words)}`);
  if (!words.length) throw new EmptyInputError(`${name} is empty: give words to tag`);
  for (const word of words) {
    if (typeof word !== "string") throw new InputError(`${name} holds a word that is no string, but ${kindOf(word)}`);
    if (isBlank(word)) throw new EmptyInputError(`${name} holds an empty word: drop it`);
  }
}
