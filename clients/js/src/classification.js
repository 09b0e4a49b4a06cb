/** `Classifier`: texts, or pairs of texts, in; labels with their probabilities out. */

import { openClient } from "./client.js";
import { checkedText, cut, encoded, nameOf } from "./cutting.js";
import { InputError, ModelError, checkSignal, kindOf } from "./errors.js";
import { CLASSIFYING, TOKEN_BUDGET, objectOf, rowLength } from "./options.js";
import { runRows } from "./rows.js";
import { best, sigmoid, softmax } from "./scores.js";

/** @import { Opening } from "./client.js" */
/** @import { Model } from "./model.js" */
/** @import { Tokenizer } from "./text/tokenizer.js" */

/** Texts that are tokenized, sorted by length and run together. */
const CHUNK = 64;

/**
 * A label of a text.
 *
 * @typedef {object} LabelScore
 * @property {string} label
 * @property {number} score its probability; for a regression, the value itself
 * @property {boolean} chosen whether the text is said to have it: the most probable one, or every one
 *   above its threshold where a text may have several
 */

/**
 * What a classifier says of a text.
 *
 * @typedef {object} Classification
 * @property {string[]} chosen the labels the text is said to have
 * @property {LabelScore[]} labels all of them, the most probable first
 * @property {boolean} truncated whether the text was longer than was read, so that a part was left out
 */

/**
 * @typedef {object} ClassifierFields
 * @property {number} [seqLen] longest row in tokens, of a pair both texts together; by default the
 *   model's own
 * @property {number} [maxWindows] rows that a text is read in where it is longer than one, spread evenly
 *   from its beginning to its end, 0 for as many as it takes; by default the model's own, or 1, the
 *   beginning
 * @property {number} [threshold] of every label of a multi-label model, instead of the model's own
 * @property {number} [tokenBudget] most tokens of one batch, padding included
 */

/** @typedef {ClassifierFields & Opening} ClassifierOptions */

/** @typedef {string | [string, string]} TextOrPair */

/**
 * @typedef {object} ClassifyOptions
 * @property {string[]} labels in the order of the logits
 * @property {string} problem `single-label`, `multi-label` or `regression`
 * @property {number} seqLen
 * @property {number} maxWindows
 * @property {number} tokenBudget
 * @property {number[]} temperatures what each label's logit is divided by
 * @property {number[]} thresholds probability above which each is given (multi-label)
 */

/**
 * Gives texts their labels with one model.
 *
 *     const classifier = await Classifier.fromOptions({ model: "runs/sst2-minilm" });
 *     const { chosen } = await classifier.classify("A charming and often affecting journey.");
 */
export class Classifier {
  /**
   * @param {Model} model
   * @param {Tokenizer} tokenizer
   * @param {ClassifyOptions} options
   */
  constructor(model, tokenizer, options) {
    this.model = model;
    this.tokenizer = tokenizer;
    this.options = options;
  }

  /**
   * Opens a model; temperatures and thresholds are those of its manifest.
   *
   * @param {ClassifierOptions} options
   * @returns {Promise<Classifier>}
   * @throws {PotstillError} as `initModel` does; the model is not a text classifier
   */
  static async fromOptions(options) {
    const { model, tokenizer, options: own } = await openClient("classification", options, CLASSIFYING, settled);
    return new Classifier(model, tokenizer, own);
  }

  /**
   * The labels of a text, the most probable first.
   *
   * @param {string} text of any length; what is longer than `seqLen` and `maxWindows` allow is left out
   * @param {string} [pair] the second text, for a model of pairs
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Classification>}
   * @throws {EmptyInputError} a text is blank
   * @throws {ModelError} the model gives something else than finite numbers
   * @throws {AbortedError} the signal was set
   */
  async classify(text, pair, options = {}) {
    const one = /** @type {TextOrPair} */ (pair === undefined ? text : [text, pair]);
    return (await this.classifyMany([one], options))[0];
  }

  /**
   * As `classify`, of many texts or pairs: rows of similar length run together.
   *
   * @param {TextOrPair[]} texts
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<Classification[]>}
   */
  async classifyMany(texts, options = {}) {
    const { signal } = objectOf(options, ["signal"]);
    if (!Array.isArray(texts)) throw new InputError(`texts must be a list, not ${kindOf(texts)}`);
    const named = texts.map((text, i) => checked(text, nameOf("text", i, texts.length)));
    /** @type {Classification[]} */
    const found = [];
    for (let first = 0; first < named.length; first += CHUNK) {
      const cuts = [];
      for (const parts of named.slice(first, first + CHUNK)) {
        checkSignal(signal);
        cuts.push(await this.#cut(parts));
      }
      const rows = cuts.flatMap((one) => one.rows);
      const said = await runRows(this.model.session, rows, this.tokenizer, this.options.tokenBudget, signal);
      let at = 0;
      for (const { rows: own, truncated } of cuts) {
        const logits = said.slice(at, (at += own.length)).map((one) => one.logits);
        found.push(judged(mean(logits, this.options.labels.length), this.options, truncated));
      }
    }
    return found;
  }

  /** @param {string[]} parts one text or two */
  async #cut(parts) {
    const { seqLen, maxWindows } = this.options;
    const ids = [];
    for (const part of parts) ids.push((await encoded(this.tokenizer, part, seqLen, maxWindows !== 1)).ids);
    return cut(this.tokenizer, ids[0], ids[1], { seqLen, maxWindows });
  }

  /** Frees the model; nothing can be classified any more. */
  async dispose() {
    await this.model.dispose();
  }
}

/** @param {unknown} text @param {string} name @returns {string[]} */
function checked(text, name) {
  const parts = Array.isArray(text) ? text : [text];
  if (Array.isArray(text) && parts.length !== 2) {
    throw new InputError(`${name} is a list of ${parts.length}: give a string, or a pair of them`);
  }
  return parts.map((part) => checkedText(part, name));
}

/**
 * @param {Model} model
 * @param {Record<string, any>} chosen
 * @returns {ClassifyOptions}
 */
function settled(model, { threshold, ...chosen }) {
  const { labels, problem, temperature, temperatures, thresholds, maxWindows } = model.bundle;
  const several = problem === "multi-label";
  return {
    labels,
    problem,
    maxWindows,
    tokenBudget: TOKEN_BUDGET,
    temperatures: labels.map((label) => (several ? own(temperatures, label, 1) : temperature)),
    thresholds: labels.map((label) => threshold ?? (several ? own(thresholds, label, 0.5) : 0.5)),
    ...chosen,
    seqLen: rowLength(model, chosen.seqLen),
  };
}

/** @param {Record<string, number>} values @param {string} label @param {number} usual */
function own(values, label, usual) {
  return Object.hasOwn(values, label) ? values[label] : usual;
}

/**
 * The mean of what was said of each window, in double precision, rounded to single.
 *
 * @param {Float32Array[]} logits
 * @param {number} nLabels
 * @returns {Float32Array}
 */
function mean(logits, nLabels) {
  for (const { length } of logits) {
    if (length === nLabels) continue;
    throw new ModelError(`the model gives ${length} logits for its ${nLabels} labels`);
  }
  return Float32Array.from({ length: nLabels }, (_, i) => {
    return logits.reduce((sum, one) => sum + one[i], 0) / logits.length;
  });
}

/**
 * Logits as labels: calibrated, chosen by the thresholds, the most probable first.
 *
 * @param {Float32Array} logits
 * @param {ClassifyOptions} options
 * @param {boolean} truncated
 * @returns {Classification}
 */
function judged(logits, { labels: names, problem, temperatures, thresholds }, truncated) {
  if (problem === "regression") {
    return { chosen: [names[0]], labels: [{ label: names[0], score: logits[0], chosen: true }], truncated };
  }
  const heated = Array.from(logits, (logit, i) => logit / temperatures[i]);
  const scores = problem === "multi-label" ? heated.map(sigmoid) : softmax(heated);
  const likeliest = best(scores);
  const labels = names
    .map((label, i) => {
      const chosen = problem === "multi-label" ? scores[i] > thresholds[i] : i === likeliest;
      return { label, score: scores[i], chosen };
    })
    .sort((a, b) => b.score - a.score);
  return { chosen: labels.filter((one) => one.chosen).map((one) => one.label), labels, truncated };
}
