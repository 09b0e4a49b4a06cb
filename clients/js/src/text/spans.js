/**
 * Start and end logits of windows → the best spans of the contexts they cover.
 *
 * All windows of all contexts asked share one distribution: the probability of a span is
 * `exp(start + end)` over the sum of the same for every allowed span (and for "no answer", where the
 * model was trained to give it). A span that several windows see counts once, with the logit of the
 * window that shows most of what stands around it. A span of punctuation and blanks alone is not an
 * answer.
 */

/**
 * What a model said about one window's context slice.
 *
 * @typedef {object} WindowLogits
 * @property {number} context which context the slice belongs to
 * @property {number} at index of the slice's first token in its context
 * @property {Float32Array} start start logits of the slice's tokens
 * @property {Float32Array} end end logits of the same tokens
 * @property {number} null start + end logit of the `[CLS]` token
 * @property {boolean[]} [bare] true for tokens of punctuation and blanks alone
 */

/**
 * Tokens `[start, stop)` of a context, with their probability and summed logit.
 *
 * @typedef {{ context: number, start: number, stop: number, score: number, logit: number }} Span
 */

/**
 * @typedef {object} SpanResult
 * @property {Span[]} spans best first
 * @property {number} nullScore probability of "no answer"; 0 where it is not allowed
 * @property {number} nullLogit least null logit over the windows, whether or not it is allowed
 */

/**
 * @typedef {object} SearchOptions
 * @property {number} [topK] most spans
 * @property {number} [maxAnswerTokens] longest span, in tokens
 * @property {number} [nullThreshold] by how much the logit of "no answer" has to be above that of a
 *   span to be worth as much; left out, "no answer" takes no part in the distribution
 * @property {number} [temperature] what the logits are divided by before they become probabilities
 */

/**
 * Finds the best spans of one question. They never overlap; ties go to the first context, then the
 * first start, then the shortest span.
 *
 * @param {WindowLogits[]} windows
 * @param {SearchOptions} [options]
 * @returns {SpanResult}
 */
export function search(
  windows,
  { topK = 1, maxAnswerTokens = 30, nullThreshold, temperature = 1 } = {},
) {
  const bands = bandsOf(windows, maxAnswerTokens);
  const nullLogit = windows.reduce((least, w) => Math.min(least, w.null), Infinity);
  const worth = nullThreshold === undefined ? -Infinity : nullLogit - nullThreshold;
  let top = worth;
  if (!windows.length) return { spans: [], nullScore: 0, nullLogit: -Infinity };
  for (const band of bands) for (const logit of band.values) if (logit > top) top = logit;
  if (top === -Infinity) return { spans: [], nullScore: 0, nullLogit };
  let total = 0;
  for (const band of bands) total += mass(band.values, top, temperature);
  const nullMass = Math.exp((worth - top) / temperature);
  total += nullMass;
  const spans = best(bands, topK).map((span) => ({
    ...span,
    score: Math.exp((span.logit - top) / temperature) / total,
  }));
  return { spans, nullScore: nullMass / total, nullLogit };
}

/**
 * Probability that the answer begins at each token of each context: the sum over all spans that begin
 * there, in the distribution of `search`.
 *
 * @param {WindowLogits[]} windows
 * @param {SearchOptions} [options]
 * @returns {Map<number, Float64Array>} by context, of `n` tokens
 */
export function startScores(
  windows,
  { maxAnswerTokens = 30, nullThreshold, temperature = 1 } = {},
) {
  const bands = bandsOf(windows, maxAnswerTokens);
  const nullLogit = windows.reduce((least, w) => Math.min(least, w.null), Infinity);
  const worth = nullThreshold === undefined ? -Infinity : nullLogit - nullThreshold;
  let top = worth;
  for (const { values } of bands) for (const logit of values) if (logit > top) top = logit;
  if (top === -Infinity) return new Map();
  let total = Math.exp((worth - top) / temperature);
  const masses = bands.map(({ context, width, nTokens, values }) => {
    const own = new Float64Array(nTokens);
    for (let i = 0; i < nTokens; i++) {
      own[i] = mass(values.subarray(i * width, (i + 1) * width), top, temperature);
      total += own[i];
    }
    return /** @type {const} */ ([context, own]);
  });
  return new Map(masses.map(([context, own]) => [context, own.map((value) => value / total)]));
}

/** @param {WindowLogits[]} windows @param {number} maxAnswerTokens */
function bandsOf(windows, maxAnswerTokens) {
  const contexts = [...new Set(windows.map((w) => w.context))].sort((a, b) => a - b);
  return contexts.map((context) =>
    bandOf(context, windows.filter((w) => w.context === context), maxAnswerTokens),
  );
}

/**
 * Logits of the spans of one context: that of `k + 1` tokens from token `i` at `i * width + k`.
 *
 * @typedef {{ context: number, width: number, nTokens: number, values: Float32Array }} Band
 */

/** @param {number} context @param {WindowLogits[]} windows @param {number} most @returns {Band} */
function bandOf(context, windows, most) {
  const nTokens = windows.reduce((most, w) => Math.max(most, w.at + w.start.length), -Infinity);
  const longest = windows.reduce((most, w) => Math.max(most, w.start.length), -Infinity);
  const width = Math.max(1, Math.min(most, longest));
  const values = new Float32Array(nTokens * width).fill(-Infinity);
  const known = new Int32Array(nTokens * width).fill(-1);
  for (const w of windows) {
    const n = w.start.length;
    for (let i = 0; i < n; i++) {
      const row = (w.at + i) * width;
      const stop = Math.min(width, n - i);
      // Where the text itself begins or ends nothing is missing.
      const before = w.at ? i : nTokens;
      let text = false;
      for (let k = 0; k < stop; k++) {
        text ||= !w.bare?.[i + k];
        const logit = text ? Math.fround(w.start[i] + w.end[i + k]) : -Infinity;
        const around = Math.min(before, w.at + n === nTokens ? nTokens : n - 1 - i - k);
        const shown = known[row + k];
        if (around > shown || (around === shown && logit > values[row + k])) {
          values[row + k] = logit;
          known[row + k] = around;
        }
      }
    }
  }
  return { context, width, nTokens, values };
}

/** @param {Float32Array} values @param {number} top @param {number} temperature */
function mass(values, top, temperature) {
  let sum = 0;
  for (const logit of values) {
    if (logit !== -Infinity) sum += Math.exp((logit - top) / temperature);
  }
  return sum;
}

/**
 * Takes the best span, rules out all that overlap it, and so on. The bands are used up.
 *
 * @param {Band[]} bands
 * @param {number} topK
 * @returns {{ context: number, start: number, stop: number, logit: number }[]}
 */
function best(bands, topK) {
  const found = [];
  while (found.length < topK) {
    let logit = -Infinity;
    /** @type {Band | undefined} */
    let of;
    let at = 0;
    for (const band of bands) {
      for (let i = 0; i < band.values.length; i++) {
        if (band.values[i] > logit) [logit, of, at] = [band.values[i], band, i];
      }
    }
    if (!of) break;
    const start = Math.floor(at / of.width);
    const stop = start + (at % of.width) + 1;
    found.push({ context: of.context, start, stop, logit });
    for (let i = Math.max(0, start - of.width + 1); i < start; i++) {
      of.values.fill(-Infinity, i * of.width + start - i, (i + 1) * of.width);
    }
    of.values.fill(-Infinity, start * of.width, stop * of.width);
  }
  return found;
}
