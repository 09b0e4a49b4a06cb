/** Options of a call, checked, and those that a model asks for. */

import { InputError, kindOf } from "./errors.js";

/** @import { Model } from "./model.js" */
/** @import { ReadOptions } from "./reading.js" */

/** What may be given for one option: its name in `ReadOptions`, and what it must be. */
const CHECKS = {
  seqLen: { to: "seqLen", kind: "whole", least: 1 },
  stride: { to: "stride", kind: "whole", least: 0 },
  maxAnswerLength: { to: "maxAnswerTokens", kind: "whole", least: 1 },
  tokenBudget: { to: "tokenBudget", kind: "whole", least: 1 },
  topK: { to: "topK", kind: "whole", least: 1 },
  nullThreshold: { to: "nullThreshold", kind: "number", least: -Infinity },
  temperature: { to: "temperature", kind: "number", least: Number.MIN_VALUE },
  noAnswer: { to: "noAnswer", kind: "boolean", least: 0 },
  alignToWords: { to: "alignToWords", kind: "boolean", least: 0 },
};

/**
 * The options that were given, checked.
 *
 * @param {Record<string, any>} given
 * @returns {Partial<ReadOptions>}
 */
export function optionsOf(given) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const [name, { to, kind, least }] of Object.entries(CHECKS)) {
    const value = given[name];
    if (value === undefined) continue;
    const right =
      kind === "boolean"
        ? typeof value === "boolean"
        : Number.isFinite(value) && value >= least && (kind !== "whole" || Number.isInteger(value));
    if (!right) {
      const wanted = { boolean: "true or false", whole: "a whole number", number: "a number" }[kind];
      const bound = kind === "boolean" || least === -Infinity ? "" : least ? " above 0" : " of at least 0";
      throw new InputError(`${name} must be ${wanted}${bound}, not ${String(value)}`);
    }
    found[to] = value;
  }
  return found;
}

/** @param {Model} model @param {Partial<ReadOptions>} chosen @returns {ReadOptions} */
export function settled(model, chosen) {
  const { bundle, session } = model;
  const longest = session.fixedLength || bundle.maxPositions;
  if (chosen.seqLen !== undefined && chosen.seqLen > longest) {
    throw new InputError(`seqLen ${chosen.seqLen} is more than the ${longest} of ${model.name}`);
  }
  return {
    seqLen: Math.min(bundle.seqLen, longest),
    stride: bundle.stride,
    maxAnswerTokens: bundle.maxAnswerTokens,
    noAnswer: bundle.noAnswer,
    nullThreshold: bundle.nullThreshold,
    temperature: bundle.temperature,
    tokenBudget: 512,
    topK: 1,
    alignToWords: false,
    ...chosen,
  };
}

/** Options of `initModel`. */
export const MODEL_OPTIONS = Object.freeze([
  "name", "path", "runtime", "precision", "file", "threads", "signatureName", "inputsNames",
  "outputsNames", "cased", "modelsDir", "runtimeUrl", "headers", "timeoutMs", "onProgress", "signal",
]);

/** Options of `predict` and `predictMany`. */
export const PREDICT_OPTIONS = Object.freeze([...Object.keys(CHECKS), "signal"]);

/** Options of `QAClient.fromOptions`. */
export const CLIENT_OPTIONS = Object.freeze([
  ...new Set(["model", "tokenizer", "vocabPath", "timeIt", ...PREDICT_OPTIONS, ...MODEL_OPTIONS.slice(1)]),
]);

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
