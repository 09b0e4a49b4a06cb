/**
 * Windows: a question and a slice of its context, one row of a batch.
 *
 * The row is `[CLS] question [SEP] context slice [SEP]`, or as else the tokenizer's layout says.
 * Stride is overlap: consecutive slices of one context share that many tokens.
 */

import { QuestionTooLongError } from "../errors.js";

/** @import { Encoded, Tokenizer } from "./tokenizer.js" */

/**
 * How a question and a slice of its context stand in one row.
 *
 * @typedef {object} PairLayout
 * @property {number} nBetween separators between the two
 * @property {boolean} tokenTypes whether the context is of token type 1
 */

/** `[CLS] question [SEP] context [SEP]`. @type {PairLayout} */
export const BERT_PAIR = Object.freeze({ nBetween: 1, tokenTypes: true });
/** `<s> question </s></s> context </s>`. @type {PairLayout} */
export const ROBERTA_PAIR = Object.freeze({ nBetween: 2, tokenTypes: false });

/**
 * Tokens `[start, stop)` of a context behind a question.
 *
 * @typedef {object} Window
 * @property {number} question its index
 * @property {number} context its index
 * @property {number} start
 * @property {number} stop
 * @property {number} nQuestion tokens of the question
 * @property {number} contextAt position of the slice's first token in the row
 * @property {number} length of the row, special tokens included
 */

/**
 * Token slices `[start, stop)` of a context that together cover it.
 *
 * Where a question is so long that `stride` would not fit, the overlap is half of the room left.
 *
 * @param {number} nQuestion tokens of the question
 * @param {number} nContext tokens of the context
 * @param {{ seqLen?: number, stride?: number, layout?: PairLayout }} [options]
 * @returns {[number, number][]} at least one; `[[0, 0]]` for a context without tokens
 * @throws {QuestionTooLongError} the question leaves no room for context
 */
export function split(nQuestion, nContext, { seqLen = 384, stride = 128, layout = BERT_PAIR } = {}) {
  const nSpecial = layout.nBetween + 2;
  const room = seqLen - nQuestion - nSpecial;
  if (room < 1) {
    throw new QuestionTooLongError(
      `the question has ${nQuestion} tokens, but a window of ${seqLen} takes ` +
        `${seqLen - nSpecial - 1} at most: shorten the question`,
    );
  }
  const step = room - (stride < room ? stride : Math.floor(room / 2));
  /** @type {[number, number][]} */
  const slices = [];
  for (let start = 0; ; start += step) {
    const stop = Math.min(start + room, nContext);
    slices.push([start, stop]);
    if (stop === nContext) return slices;
  }
}

/**
 * The windows of question number `question` over context number `context`.
 *
 * @param {number} question
 * @param {number} context
 * @param {number} nQuestion
 * @param {number} nContext
 * @param {{ seqLen?: number, stride?: number, layout?: PairLayout }} [options]
 * @returns {Window[]}
 * @throws {QuestionTooLongError} as `split` does
 */
export function windows(question, context, nQuestion, nContext, options = {}) {
  const { nBetween } = options.layout ?? BERT_PAIR;
  return split(nQuestion, nContext, options).map(([start, stop]) => ({
    question,
    context,
    start,
    stop,
    nQuestion,
    contextAt: nQuestion + 1 + nBetween,
    length: nQuestion + stop - start + nBetween + 2,
  }));
}

/**
 * Input ids of a window.
 *
 * @param {Tokenizer} tokenizer
 * @param {Encoded} question
 * @param {Encoded} context
 * @param {Window} window
 * @returns {Int32Array} of `window.length`
 */
export function assemble(tokenizer, question, context, window) {
  const row = new Int32Array(window.length).fill(tokenizer.sepId);
  row[0] = tokenizer.clsId;
  row.set(question.ids, 1);
  row.set(context.ids.subarray(window.start, window.stop), window.contextAt);
  return row;
}

/**
 * Rows padded to one length; every array has `n * length` values, row after row.
 *
 * @typedef {object} Batch
 * @property {number} n
 * @property {number} length
 * @property {Int32Array} inputIds
 * @property {Int32Array} attentionMask
 * @property {Int32Array} tokenTypeIds
 */

/**
 * Stacks rows of different lengths into one batch.
 *
 * @param {Int32Array[]} rows input ids of each window
 * @param {number[]} contextAt where each row's slice starts; token type 1 from there on, where the
 *   layout has types
 * @param {number} padId
 * @param {PairLayout} [layout]
 * @param {number} [fixed] length of the rows of a model that takes one length only
 * @returns {Batch}
 */
export function pad(rows, contextAt, padId, layout = BERT_PAIR, fixed = 0) {
  const n = rows.length;
  const length = Math.max(fixed, ...rows.map((row) => row.length));
  const inputIds = new Int32Array(n * length).fill(padId);
  const attentionMask = new Int32Array(n * length);
  const tokenTypeIds = new Int32Array(n * length);
  for (const [i, row] of rows.entries()) {
    const at = i * length;
    inputIds.set(row, at);
    attentionMask.fill(1, at, at + row.length);
    if (layout.tokenTypes) tokenTypeIds.fill(1, at + contextAt[i], at + row.length);
  }
  return { n, length, inputIds, attentionMask, tokenTypeIds };
}

/**
 * Groups rows of similar length so that no padded batch holds more than `budget` tokens.
 *
 * @param {number[]} lengths of the rows, in tokens
 * @param {number} budget most tokens of a batch; a longer row gets a batch of its own
 * @returns {number[][]} row indices of each batch, longest rows first
 */
export function byTokenBudget(lengths, budget) {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[b] - lengths[a]);
  /** @type {number[][]} */
  const batches = [];
  for (const index of order) {
    const last = batches[batches.length - 1];
    // The first row of a batch is its longest, so it alone decides what one more row costs.
    if (last && (last.length + 1) * lengths[last[0]] <= budget) last.push(index);
    else batches.push([index]);
  }
  return batches;
}
