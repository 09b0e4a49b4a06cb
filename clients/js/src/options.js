/** Options of a call, checked, and those that a model asks for. */

import { InputError, kindOf } from "./errors.js";

/** @import { Model } from "./model.js" */

/**
 * What may be given for one option.
 *
 * @typedef {object} Check
 * @property {"whole" | "number" | "boolean" | "name"} kind
 * @property {number} [least] 0 by default
 * @property {number} [most]
 * @property {readonly string[]} [of] the names that there are
 * @property {string} [to] what the option is called within
 */

/** @typedef {Readonly<Record<string, Check>>} Checks */

/** @type {Checks} */
export const READING = Object.freeze({
  seqLen: { kind: "whole", least: 1 },
  stride: { kind: "whole" },
  maxAnswerLength: { kind: "whole", least: 1, to: "maxAnswerTokens" },
  tokenBudget: { kind: "whole", least: 1 },
  topK: { kind: "whole", least: 1 },
  nullThreshold: { kind: "number", least: -Infinity },
  temperature: { kind: "number", least: Number.MIN_VALUE },
  noAnswer: { kind: "boolean" },
  alignToWords: { kind: "boolean" },
});

/** Shortest row of two texts: special tokens, and a few of each text. */
const SHORTEST_PAIR = 8;

/** @type {Checks} */
export const CLASSIFYING = Object.freeze({
  seqLen: { kind: "whole", least: SHORTEST_PAIR },
  maxWindows: { kind: "whole" },
  threshold: { kind: "number", most: 1 },
  tokenBudget: { kind: "whole", least: 1 },
});

/** How tokens become entities; see `Aggregation` in entities.js. */
export const AGGREGATIONS = Object.freeze(["none", "simple", "first", "max", "average"]);

/** @type {Checks} */
export const TAGGING = Object.freeze({
  seqLen: { kind: "whole", least: 3 },
  stride: { kind: "whole" },
  aggregation: { kind: "name", of: AGGREGATIONS },
  tokenBudget: { kind: "whole", least: 1 },
});

/**
 * The options that were given, checked.
 *
 * @param {Record<string, any>} given
 * @param {Checks} [checks]
 * @returns {Record<string, any>}
 */
export function optionsOf(given, checks = READING) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const [name, check] of Object.entries(checks)) {
    const value = given[name];
    if (value === undefined) continue;
    if (!isRight(value, check)) throw new InputError(`${name} must be ${wanted(check)}, not ${String(value)}`);
    found[check.to ?? name] = value;
  }
  return found;
}

/** @param {any} value @param {Check} check */
function isRight(value, { kind, least = 0, most = Infinity, of = [] }) {
  if (kind === "boolean") return typeof value === "boolean";
  if (kind === "name") return of.includes(value);
  return Number.isFinite(value) && value >= least && value <= most && (kind !== "whole" || Number.isInteger(value));
}

/** @param {Check} check */
function wanted({ kind, least = 0, most, of = [] }) {
  if (kind === "boolean") return "true or false";
  if (kind === "name") return `one of ${of.join(", ")}`;
  const what = kind === "whole" ? "a whole number" : "a number";
  if (most !== undefined) return `${what} from ${least} to ${most}`;
  if (least === -Infinity) return what;
  return least === Number.MIN_VALUE ? `${what} above 0` : `${what} of at least ${least}`;
}

/**
 * @param {Model} model
 * @param {number | undefined} seqLen that was asked for
 * @returns {number} the longest row
 * @throws {InputError} the model has no such positions
 */
export function rowLength({ bundle, session, name }, seqLen) {
  const longest = session.fixedLength || bundle.maxPositions;
  if (seqLen === undefined) return Math.min(bundle.seqLen, longest);
  if (seqLen <= longest) return seqLen;
  throw new InputError(`seqLen ${seqLen} is more than the ${longest} of ${name}`);
}

/** Most tokens of a batch, padding included. */
export const TOKEN_BUDGET = 512;

/** Options of `initModel`. */
export const MODEL_OPTIONS = Object.freeze([
  "name", "path", "runtime", "precision", "file", "threads", "signatureName", "inputsNames",
  "outputsNames", "cased", "modelsDir", "runtimeUrl", "headers", "timeoutMs", "onProgress", "signal",
]);

/** Options of `predict` and `predictMany`. */
export const PREDICT_OPTIONS = Object.freeze([...Object.keys(READING), "signal"]);

/**
 * Options that have names which there are: a misspelt one would be without effect.
 *
 * @template {object} T
 * @param {T} options
 * @param {readonly string[]} known
 * @returns {T}
 */
export function objectOf(options, known) {
  if (options === null || typeof options !== "object") {
    throw new InputError(`options must be an object, not ${kindOf(options)}`);
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const meant = known.find((one) => plain(one) === plain(name));
    const remedy = meant ? `did you mean '${meant}'?` : `there are ${known.join(", ")}`;
    throw new InputError(`there is no option '${name.slice(0, 60)}': ${remedy}`);
  }
  return options;
}

/** @param {string} name @returns {string} as it is the same in `topk`, `top_k` and `topK` */
function plain(name) {
  return name.replace(/[^a-z0-9]/gi, "").toLowerCase();
}
