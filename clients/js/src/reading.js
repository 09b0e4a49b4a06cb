/** Windows of one or more questions → logits → the answers in their contexts. */

import { ModelError, QuestionTooLongError } from "./errors.js";
import { runRows } from "./rows.js";
import { search } from "./text/spans.js";
import { isBare, isBlank } from "./text/unicode.js";
import { assemble, windows } from "./text/windows.js";

/** @import { Logits, Session } from "./runtime/host.js" */
/** @import { Span, WindowLogits } from "./text/spans.js" */
/** @import { Encoded, Tokenizer } from "./text/tokenizer.js" */
/** @import { Window } from "./text/windows.js" */

/**
 * A piece of a context that answers a question: `context.slice(start, end) === text`.
 *
 * @typedef {object} Answer
 * @property {string} text
 * @property {number} score probability among all spans of all windows of all contexts asked
 * @property {number} start in UTF-16 units of the caller's own string
 * @property {number} end one past the last
 * @property {number} [source] index of the context, where a list of them was asked
 * @property {number} [inferenceTime] milliseconds of the model, where `timeIt` was set
 * @property {number} [totalTime] milliseconds of the whole call, where `timeIt` was set
 */

/** @typedef {{ text: string, encoded: Encoded }} Text */

/** @typedef {{ name: string, question: Encoded, contexts: Text[] }} Request */

/**
 * @typedef {object} ReadOptions
 * @property {number} seqLen
 * @property {number} stride
 * @property {number} maxAnswerTokens
 * @property {boolean} noAnswer
 * @property {number} nullThreshold
 * @property {boolean} tidyQuestions
 * @property {number} temperature
 * @property {number} tokenBudget most tokens of a batch, padding included
 * @property {number} topK
 * @property {boolean} alignToWords
 */

/**
 * Reads every window of every request, in batches of similar length, and searches each.
 *
 * @param {Session} session
 * @param {Tokenizer} tokenizer
 * @param {Request[]} requests
 * @param {ReadOptions} options
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer[][]>} the answers to each request, best first; none where "no answer" won
 */
export async function read(session, tokenizer, requests, options, signal) {
  const said = await logitsOf(session, tokenizer, requests, options, signal);
  return requests.map((request, i) => answers(request, said[i], options));
}

/**
 * What the model says of every window of every request; arguments as of `read`.
 *
 * @param {Session} session
 * @param {Tokenizer} tokenizer
 * @param {Request[]} requests
 * @param {ReadOptions} options
 * @param {AbortSignal} [signal]
 * @returns {Promise<WindowLogits[][]>} of each request
 */
export async function logitsOf(session, tokenizer, requests, options, signal) {
  const todo = requests.flatMap((request, i) => windowsOf(i, request, options, tokenizer));
  const rows = todo.map((window) => ({
    ids: assemble(tokenizer, requests[window.question].question, contextOf(requests, window).encoded, window),
    secondAt: window.contextAt,
  }));
  const logits = await runRows(session, rows, tokenizer, options.tokenBudget, signal);
  /** @type {WindowLogits[][]} */
  const said = requests.map(() => []);
  for (const [i, window] of todo.entries()) {
    said[window.question].push(logitsOfWindow(logits[i], window, contextOf(requests, window)));
  }
  return said;
}

/** @param {Request[]} requests @param {Window} window @returns {Text} */
function contextOf(requests, { question, context }) {
  return requests[question].contexts[context];
}

/** @param {number} number @param {Request} request @param {ReadOptions} options @param {Tokenizer} tokenizer */
function windowsOf(number, request, { seqLen, stride }, { layout }) {
  const nQuestion = request.question.ids.length;
  try {
    return request.contexts.flatMap(({ encoded }, i) =>
      windows(number, i, nQuestion, encoded.ids.length, { seqLen, stride, layout }),
    );
  } catch (error) {
    if (!(error instanceof QuestionTooLongError)) throw error;
    throw new QuestionTooLongError(error.message.replace("the question", request.name));
  }
}

/**
 * @param {Logits} logits of the window's row
 * @param {Window} window
 * @param {Text} context
 * @returns {WindowLogits}
 */
function logitsOfWindow({ start, end }, window, context) {
  if (start.length !== window.length || end.length !== start.length) {
    throw new ModelError("the model gives more than one start and end logit of a token: it is no reader");
  }
  const [first, last] = [window.contextAt, window.contextAt + window.stop - window.start];
  const pieces = tokensOf(context, window);
  return {
    context: window.context,
    at: window.start,
    start: masked(start.slice(first, last), pieces),
    end: masked(end.slice(first, last), pieces),
    null: start[0] + end[0],
    bare: pieces.map(isBare),
  };
}

/**
 * What each token of a window's slice of its context stands for.
 *
 * @param {Text} context
 * @param {Window} window
 * @returns {string[]}
 */
function tokensOf({ text, encoded: { offsets } }, { start, stop }) {
  return Array.from({ length: stop - start }, (_, i) =>
    text.slice(offsets[2 * (start + i)], offsets[2 * (start + i) + 1]),
  );
}

/**
 * Rules out tokens that are white space alone, which byte-level tokenizers make.
 *
 * @param {Float32Array} logits
 * @param {string[]} tokens
 */
function masked(logits, tokens) {
  return logits.map((logit, i) => (isBlank(tokens[i]) ? -Infinity : logit));
}

/** @param {Request} request @param {WindowLogits[]} said @param {ReadOptions} options @returns {Answer[]} */
function answers(request, said, options) {
  const { topK, alignToWords, noAnswer } = options;
  const { spans, nullLogit } = search(said, {
    // Widened spans may fall together, so some are kept in hand.
    topK: alignToWords ? topK * 4 : topK,
    maxAnswerTokens: options.maxAnswerTokens,
    nullThreshold: noAnswer ? options.nullThreshold : undefined,
    temperature: options.temperature,
  });
  const odds = spans.length ? nullLogit - spans[0].logit : Infinity;
  if (noAnswer && odds > options.nullThreshold) return [];
  return apart(spans.map((span) => answerOf(request, span, alignToWords))).slice(0, topK);
}

/** @param {Request} request @param {Span} span @param {boolean} alignToWords @returns {Answer} */
function answerOf(request, span, alignToWords) {
  const { text, encoded } = request.contexts[span.context];
  let first = span.start;
  let last = span.stop - 1;
  if (alignToWords) {
    const { words } = encoded;
    while (first > 0 && words[first - 1] === words[first]) first--;
    while (last + 1 < words.length && words[last + 1] === words[last]) last++;
  }
  const start = encoded.offsets[2 * first];
  const end = withMarks(text, encoded.offsets[2 * last + 1], encoded, last + 1);
  return { text: text.slice(start, end), score: span.score, start, end, source: span.context };
}

/**
 * Takes in the combining marks of the last letter, which a tokenizer that strips accents gives to
 * no token.
 *
 * @param {string} text
 * @param {number} end
 * @param {Encoded} encoded
 * @param {number} following token
 */
export function withMarks(text, end, encoded, following) {
  const limit = following < encoded.ids.length ? encoded.offsets[2 * following] : text.length;
  const marks = /^\p{M}+/u.exec(text.slice(end, Math.max(end, limit)));
  return end + (marks ? marks[0].length : 0);
}

/** Leaves out answers that overlap a better one. @param {Answer[]} found @returns {Answer[]} */
function apart(found) {
  /** @type {Answer[]} */
  const kept = [];
  for (const answer of found) {
    const overlaps = kept.some(
      (other) =>
        answer.source === other.source && answer.start < other.end && other.start < answer.end,
    );
    if (!overlaps) kept.push(answer);
  }
  return kept;
}
