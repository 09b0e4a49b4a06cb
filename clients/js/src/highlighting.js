/**
 * Which sentences of passages answer a question, or support what somebody said: as
 * `potstill.runtime.highlighting` in Python.
 *
 * A sentence's score is the probability that the answer begins in it: the sum over the spans of all
 * passages, of the one distribution that answers are taken from.
 */

import { InputError, kindOf } from "./errors.js";
import { logitsOf } from "./reading.js";
import { startScores } from "./text/spans.js";
import { sentences } from "./text/sentences.js";

/** @import { Session } from "./runtime/host.js" */
/** @import { ReadOptions, Request, Text } from "./reading.js" */
/** @import { Tokenizer } from "./text/tokenizer.js" */

/** `prune` keeps the fewest sentences whose scores add up to so much. */
const ENOUGH = 0.98;
/** Least score of a sentence that supports what was said. */
const SUPPORT = 0.6;
/** What the temperature is multiplied by in `prune`. */
const SOFTER = 1.7;
/** Weight of the reader in `cite`, beside that of the words. */
const READ = 0.25;
/** Sentences that the reader compares for each that is asked for. */
const CANDIDATES = 4;

/**
 * A sentence of a passage: `passage.slice(start, end) === text`.
 *
 * @typedef {object} Sentence
 * @property {string} text
 * @property {number} score
 * @property {number} start in UTF-16 units of the passage
 * @property {number} end one past the last
 * @property {number} source index of the passage
 * @property {number} nTokens tokens of it, by the reader's tokenizer
 */

/**
 * A sentence that somebody said, and the sentences of passages that support it.
 *
 * @typedef {object} Support
 * @property {string} text
 * @property {number} start of it in the answer
 * @property {number} end
 * @property {Sentence[]} sources best first; none where nothing supports it
 */

/** Reads requests, for sentences instead of answers. */
export class Highlighter {
  /** @param {Session} session @param {Tokenizer} tokenizer @param {ReadOptions} options */
  constructor(session, tokenizer, options) {
    this.session = session;
    this.tokenizer = tokenizer;
    this.options = options;
  }

  /**
   * All sentences, best first.
   *
   * @param {Request} request
   * @param {AbortSignal} [signal]
   */
  async highlight(request, signal) {
    return ranked(await this.#scored(request, this.options.temperature, signal));
  }

  /**
   * The sentences to keep, in the order of the passages.
   *
   * @param {Request} request
   * @param {{ tokens?: number, enough?: number }} options
   * @param {AbortSignal} [signal]
   */
  async prune(request, { tokens, enough = ENOUGH }, signal) {
    if (tokens !== undefined && !(Number.isInteger(tokens) && tokens >= 1)) {
      throw new InputError(`tokens must be a whole number of at least 1, not ${shown(tokens)}`);
    }
    if (!(typeof enough === "number" && enough > 0 && enough <= 1)) {
      throw new InputError(`enough must be above 0 and at most 1, not ${shown(enough)}`);
    }
    const scored = ranked(await this.#scored(request, SOFTER * this.options.temperature, signal));
    const total = scored.reduce((sum, { score }) => sum + score, 0);
    /** @type {Sentence[]} */
    const kept = [];
    let held = 0;
    let mass = 0;
    for (const one of scored) {
      if (tokens === undefined && kept.length && mass >= enough * total) break;
      if (tokens !== undefined && held + one.nTokens > tokens) continue;
      kept.push(one);
      held += one.nTokens;
      mass += one.score;
    }
    return kept.sort((a, b) => a.source - b.source || a.start - b.start);
  }

  /**
   * The sentences that support one that was said, best first.
   *
   * @param {string} said
   * @param {Having} having
   * @param {number} topK
   * @param {(said: string, passages: string[]) => Promise<Request>} requestOf
   * @param {AbortSignal} [signal]
   */
  async support(said, having, topK, requestOf, signal) {
    const shares = having.shares(said);
    const best = order(shares).slice(0, CANDIDATES * topK);
    const candidates = best.map((i) => having.found[i]);
    let read = best.map(() => 1);
    if (best.length > 1) {
      const request = await requestOf(said, candidates.map(({ text }) => text));
      read = best.map(() => 0);
      for (const one of await this.#scored(request, this.options.temperature, signal)) {
        read[one.source] += one.score;
      }
      const most = Math.max(...read);
      if (most > 0) read = read.map((value) => value / most);
    }
    const scores = best.map((i, at) => (1 - READ) * shares[i] + READ * read[at] * shares[i]);
    return order(scores)
      .slice(0, topK)
      .map((at) => ({ ...candidates[at], score: scores[at] }))
      .filter(({ score }) => score >= SUPPORT);
  }

  /** @param {Request} request @param {number} temperature @param {AbortSignal} [signal] */
  async #scored(request, temperature, signal) {
    const { maxAnswerTokens, noAnswer, nullThreshold } = this.options;
    const [said] = await logitsOf(this.session, this.tokenizer, [request], this.options, signal);
    const scores = startScores(said, {
      maxAnswerTokens,
      nullThreshold: noAnswer ? nullThreshold : undefined,
      temperature,
    });
    return request.contexts.flatMap((context, source) => {
      const own = scores.get(source);
      return sentencesOf(context, source).map(({ first, last, ...one }) => {
        let score = 0;
        for (let i = first; i < last; i++) score += own?.[i] ?? 0;
        return { ...one, score };
      });
    });
  }
}

/** The sentences of passages, to be asked which of them have the words of another. */
export class Having {
  /** @param {Tokenizer} tokenizer @param {Text[]} contexts */
  constructor(tokenizer, contexts) {
    this.tokenizer = tokenizer;
    /** @type {Sentence[]} */
    this.found = [];
    /** @type {Map<number, number[]>} token id → the sentences that have it */
    this.held = new Map();
    for (const [source, context] of contexts.entries()) {
      for (const { first, last, ...one } of sentencesOf(context, source)) {
        for (const id of new Set(context.encoded.ids.subarray(first, last))) {
          const own = this.held.get(id);
          if (own) own.push(this.found.length);
          else this.held.set(id, [this.found.length]);
        }
        this.found.push(one);
      }
    }
  }

  /** The share of a sentence's words, by weight, that each has. @param {string} said */
  shares(said) {
    const asked = [...new Set(this.tokenizer.encode(said).ids)].sort((a, b) => a - b);
    const shares = new Array(this.found.length).fill(0);
    let total = 0;
    for (const id of asked) {
      const own = this.held.get(id) ?? [];
      const isNumber = /\p{Nd}/u.test(this.tokenizer.idToToken(id) ?? "");
      const weight = Math.log(1 + this.found.length / (own.length + 0.5)) * (isNumber ? 2 : 1);
      total += weight;
      for (const i of own) shares[i] += weight;
    }
    return shares.map((share) => share / Math.max(total, 1e-9));
  }
}

/**
 * The sentences of a context, without scores, with the tokens `[first, last)` of each.
 *
 * @param {Text} context
 * @param {number} source
 */
function sentencesOf({ text, encoded: { ids, offsets } }, source) {
  let token = 0;
  /** @param {number} place */
  const before = (place) => {
    while (token < ids.length && offsets[2 * token] < place) token++;
    return token;
  };
  return sentences(text).map(([start, end]) => {
    const first = before(start);
    const last = before(end);
    const own = { text: text.slice(start, end), score: 0, start, end, source };
    return { ...own, nTokens: last - first, first, last };
  });
}

/** @param {Sentence[]} scored */
function ranked(scored) {
  return scored.sort((a, b) => b.score - a.score || a.source - b.source || a.start - b.start);
}

/** Indices of numbers, the largest first. @param {number[]} values */
function order(values) {
  return values.map((_, i) => i).sort((a, b) => values[b] - values[a] || a - b);
}

/** @param {unknown} value */
function shown(value) {
  return typeof value === "number" ? String(value) : kindOf(value);
}
