/** `QAClient`: questions and contexts in, answers out. */

import { openClient } from "./client.js";
import { EmptyInputError, InputError, checkSignal, kindOf } from "./errors.js";
import { Having, Highlighter } from "./highlighting.js";
import { PREDICT_OPTIONS, READING, TOKEN_BUDGET, objectOf, optionsOf, rowLength } from "./options.js";
import { read } from "./reading.js";
import { sentences } from "./text/sentences.js";
import { mended } from "./text/slips.js";
import { isBlank } from "./text/unicode.js";

/** @import { Sentence, Support } from "./highlighting.js" */
/** @import { Opening } from "./client.js" */
/** @import { Model } from "./model.js" */
/** @import { Answer, ReadOptions, Request } from "./reading.js" */
/** @import { Encoded, Tokenizer } from "./text/tokenizer.js" */

/** Requests of `predictMany` that are tokenized, sorted by length and run together. */
const CHUNK = 64;

/** A context that has been tokenized once and can be asked any number of questions. */
export class PreparedContext {
  /** @param {string} text @param {Encoded} encoded */
  constructor(text, encoded) {
    this.text = text;
    this.encoded = encoded;
  }

  /** Tokens of the context. */
  get length() {
    return this.encoded.ids.length;
  }
}

/** @typedef {string | PreparedContext} Context */

/**
 * @typedef {object} PredictOptions
 * @property {number} [topK] most answers; they never overlap. Above 1, a list is returned
 * @property {number} [maxAnswerLength] longest answer in tokens; by default the model's own, 30
 * @property {boolean} [noAnswer] whether "no answer" competes; by default as the model was trained
 * @property {boolean} [alignToWords] widen answers to whole words
 * @property {AbortSignal} [signal] rejects the call with an `AbortedError`
 */

/**
 * @typedef {object} ClientFields
 * @property {boolean} [timeIt] measure: answers carry `inferenceTime` and `totalTime`
 * @property {number} [seqLen] longest window in tokens
 * @property {number} [stride] tokens that consecutive windows of a long context share
 * @property {number} [maxAnswerLength] longest answer in tokens
 * @property {boolean} [noAnswer] whether "no answer" competes with the spans
 * @property {number} [nullThreshold] "no answer" wins where its logit exceeds the best span's by more
 * @property {number} [temperature] scores are probabilities of the logits divided by this
 * @property {number} [tokenBudget] most tokens of one batch of windows, padding included
 */

/** @typedef {ClientFields & Opening} ClientOptions */

/**
 * Answers questions from texts with one model.
 *
 *     const client = await QAClient.fromOptions();
 *     const answer = await client.predict("Who won?", "The Broncos won.");
 */
export class QAClient {
  /**
   * @param {Model} model
   * @param {Tokenizer} tokenizer
   * @param {ReadOptions} options
   * @param {boolean} timeIt
   */
  constructor(model, tokenizer, options, timeIt) {
    this.model = model;
    this.tokenizer = tokenizer;
    this.options = options;
    this.timeIt = timeIt;
  }

  /**
   * Opens a model.
   *
   * @param {ClientOptions} [options]
   * @returns {Promise<QAClient>}
   * @throws {PotstillError} as `initModel` does
   */
  static async fromOptions(options = {}) {
    const opened = await openClient("qa", options, READING, settled, ["timeIt"]);
    return new QAClient(opened.model, opened.tokenizer, opened.options, options.timeIt ?? false);
  }

  /**
   * Tokenizes a context once, to be asked many questions.
   *
   * @param {string} context
   * @returns {Promise<PreparedContext>}
   * @throws {EmptyInputError} the context holds no text
   */
  async prepare(context) {
    const text = checked(context, "context");
    const prepared = new PreparedContext(text, await this.tokenizer.encodeLong(text));
    notEmpty(text, prepared.encoded, "the context");
    return prepared;
  }

  /**
   * Answers a question, or each of several, from a context, or from several.
   *
   * Several contexts are one body of text: their answers share one distribution, and `source` says
   * which context each comes from. Several questions are asked of the contexts each by itself.
   *
   * @overload
   * @param {string} question
   * @param {Context | Context[]} context
   * @param {PredictOptions & { topK?: 1 } | number} [options]
   * @returns {Promise<Answer | null>}
   */
  /**
   * @overload
   * @param {string} question
   * @param {Context | Context[]} context
   * @param {PredictOptions} options
   * @returns {Promise<Answer[]>}
   */
  /**
   * @overload
   * @param {string[]} question
   * @param {Context | Context[]} context
   * @param {PredictOptions & { topK?: 1 } | number} [options]
   * @returns {Promise<(Answer | null)[]>}
   */
  /**
   * @overload
   * @param {string[]} question
   * @param {Context | Context[]} context
   * @param {PredictOptions} options
   * @returns {Promise<Answer[][]>}
   */
  /**
   * @param {string | string[]} question
   * @param {Context | Context[]} context
   * @param {PredictOptions | number} [options] a number is `maxAnswerLength`
   * @returns {Promise<any>} an answer, or `null` where there is none; with `topK` above 1 a list,
   *   best first, empty where there is none; for a list of questions a list of these
   * @throws {EmptyInputError} a question or context holds no text
   * @throws {QuestionTooLongError} a question leaves no room for context in a window
   * @throws {AbortedError} the signal was set
   */
  async predict(question, context, options = {}) {
    if (!Array.isArray(question)) return (await this.predictMany([[question, context]], options))[0];
    const parts = Array.isArray(context) ? context : [context];
    const shared = [];
    for (const part of parts) {
      shared.push(part instanceof PreparedContext ? part : await this.prepare(part));
    }
    const body = Array.isArray(context) ? shared : shared[0];
    return this.predictMany(question.map((one) => [one, body]), options);
  }

  /**
   * Answers many (question, context) pairs; each context may itself be a list.
   *
   * @param {[string, Context | Context[]][]} pairs
   * @param {PredictOptions | number} [options]
   * @returns {Promise<any[]>} for each pair what `predict` returns for it
   */
  async predictMany(pairs, options = {}) {
    const named = typeof options === "number" ? { maxAnswerLength: options } : options;
    const given = objectOf(named, PREDICT_OPTIONS);
    if (!Array.isArray(pairs) || !pairs.every(Array.isArray)) {
      throw new InputError("pairs must be a list of [question, context]");
    }
    const { signal } = given;
    const chosen = { ...this.options, ...optionsOf(given) };
    const found = [];
    for (let first = 0; first < pairs.length; first += CHUNK) {
      checkSignal(signal);
      const part = pairs.slice(first, first + CHUNK);
      const before = performance.now();
      const requests = await this.#requests(part, first, pairs.length > 1);
      const asked = performance.now();
      const read_ = await read(this.model.session, this.tokenizer, requests, chosen, signal);
      const after = performance.now();
      const times = { inferenceTime: after - asked, totalTime: after - before };
      for (const [i, answers] of read_.entries()) {
        found.push(this.#form(answers, Array.isArray(part[i][1]), chosen.topK, times));
      }
    }
    return found;
  }

  /**
   * The sentences of passages, those that answer a question first. A sentence's score is the
   * probability that the answer begins in it.
   *
   * @param {string} question
   * @param {Context | Context[]} passages
   * @param {{ topK?: number, signal?: AbortSignal }} [options] by default all sentences
   * @returns {Promise<Sentence[]>}
   * @throws {EmptyInputError} the question or a passage holds no text
   * @throws {QuestionTooLongError} the question leaves no room for a passage
   */
  async highlight(question, passages, options = {}) {
    const { topK, signal } = objectOf(options, ["topK", "signal"]);
    optionsOf({ topK });
    const [request] = await this.#requests([[question, passages]], 0, false);
    return (await this.#highlighter().highlight(request, signal)).slice(0, topK);
  }

  /**
   * The sentences of passages that are worth keeping for a question, in their order.
   *
   * @param {string} question
   * @param {Context | Context[]} passages
   * @param {{ tokens?: number, enough?: number, signal?: AbortSignal }} [options] most tokens to
   *   keep; or as few sentences as have scores that add up to a share, 0.98 by default
   * @returns {Promise<Sentence[]>}
   * @throws {EmptyInputError} the question or a passage holds no text
   * @throws {QuestionTooLongError} the question leaves no room for a passage
   */
  async prune(question, passages, options = {}) {
    const { tokens, enough, signal } = objectOf(options, ["tokens", "enough", "signal"]);
    const [request] = await this.#requests([[question, passages]], 0, false);
    return this.#highlighter().prune(request, { tokens, enough }, signal);
  }

  /**
   * For each sentence of an answer, made by whomever, the sentences of passages that say so.
   *
   * @param {string} answer
   * @param {Context | Context[]} passages
   * @param {{ topK?: number, signal?: AbortSignal }} [options] most sentences for each, 1 by default
   * @returns {Promise<Support[]>}
   * @throws {EmptyInputError} the answer or a passage holds no text
   * @throws {QuestionTooLongError} a sentence of the answer leaves no room for a passage
   */
  async cite(answer, passages, options = {}) {
    const { topK = 1, signal } = objectOf(options, ["topK", "signal"]);
    optionsOf({ topK });
    const [{ contexts }] = await this.#requests([[answer, passages]], 0, false);
    const having = new Having(this.tokenizer, contexts);
    const highlighter = this.#highlighter();
    /** @param {string} said @param {string[]} texts */
    const requestOf = async (said, texts) => (await this.#requests([[said, texts]], 0, false))[0];
    /** @type {Support[]} */
    const found = [];
    for (const [start, end] of sentences(answer)) {
      checkSignal(signal);
      const text = answer.slice(start, end);
      const sources = await highlighter.support(text, having, topK, requestOf, signal);
      found.push({ text, start, end, sources });
    }
    return found;
  }

  #highlighter() {
    return new Highlighter(this.model.session, this.tokenizer, this.options);
  }

  /** Frees the model; nothing can be asked any more. */
  async dispose() {
    await this.model.dispose();
  }

  /**
   * @param {Answer[]} answers
   * @param {boolean} several contexts were asked
   * @param {number} topK
   * @param {{ inferenceTime: number, totalTime: number }} times
   */
  #form(answers, several, topK, times) {
    const formed = answers.map(({ source, ...answer }) => ({
      ...answer,
      ...(several ? { source } : {}),
      ...(this.timeIt ? times : {}),
    }));
    return topK > 1 ? formed : (formed[0] ?? null);
  }

  /**
   * @param {[string, Context | Context[]][]} pairs
   * @param {number} first number of the first pair, for messages
   * @param {boolean} several
   * @returns {Promise<Request[]>}
   */
  async #requests(pairs, first, several) {
    /** @type {Map<string, Promise<Encoded>>} */
    const known = new Map();
    const found = [];
    for (const [i, [given, contexts]] of pairs.entries()) {
      const question = checked(given, "question");
      const name = several ? `question ${first + i}` : "the question";
      const tidy = this.options.tidyQuestions;
      const typed = tidy ? withMark(question) : question;
      let asked = this.tokenizer.encode(typed);
      notEmpty(question, asked, name);
      const list = Array.isArray(contexts) ? contexts : [contexts];
      if (!list.length) throw new EmptyInputError("there is no context to ask: the list is empty");
      const texts = [];
      for (const [j, context] of list.entries()) {
        const text = context instanceof PreparedContext ? context.text : checked(context, "context");
        let encoded = context instanceof PreparedContext ? context.encoded : known.get(text);
        if (!encoded) known.set(text, (encoded = this.tokenizer.encodeLong(text)));
        const prepared = { text, encoded: await encoded };
        const which = list.length > 1 ? `context ${j}` : "the context";
        notEmpty(text, prepared.encoded, `${which} of ${name}`);
        texts.push(prepared);
      }
      if (tidy) {
        const text = mended(typed, asked, texts.map((context) => context.text));
        if (text !== typed) asked = this.tokenizer.encode(text);
      }
      found.push({ name, question: asked, contexts: texts });
    }
    return found;
  }
}

/** @param {unknown} value @param {string} what @returns {string} */
function checked(value, what) {
  if (typeof value === "string") return value;
  throw new InputError(`a ${what} must be a string, not ${kindOf(value)}`);
}

/** People omit it, and a model that has hardly seen a question without one reads worse. */
/** @param {string} question @returns {string} */
function withMark(question) {
  return /[\p{L}\p{N}][ \t\r\n]*$/u.test(question) ? `${question}?` : question;
}

/** @param {string} text @param {Encoded} encoded @param {string} which */
function notEmpty(text, encoded, which) {
  if (isBlank(text)) throw new EmptyInputError(`${which} is empty; give some text`);
  if (encoded.ids.length) return;
  const shown = JSON.stringify(text.slice(0, 40));
  throw new EmptyInputError(`${which} holds nothing that the model can read: ${shown}`);
}

/** @param {Model} model @param {Record<string, any>} chosen @returns {ReadOptions} */
function settled(model, chosen) {
  const { bundle } = model;
  return {
    stride: bundle.stride,
    maxAnswerTokens: bundle.maxAnswerTokens,
    noAnswer: bundle.noAnswer,
    nullThreshold: bundle.nullThreshold,
    tidyQuestions: bundle.tidyQuestions,
    temperature: bundle.temperature,
    tokenBudget: TOKEN_BUDGET,
    topK: 1,
    alignToWords: false,
    ...chosen,
    seqLen: rowLength(model, chosen.seqLen),
  };
}
