/** A model folder: its config, its manifest and its tokenizer, as far as answering needs them. */

import { ConfigError, ModelError, ModelNotFoundError, reason } from "./errors.js";
import { HEADS, headOf } from "./heads.js";
import { readTokenizer } from "./text/files.js";

/** @import { HeadName } from "./heads.js" */
/** @import { Place } from "./places.js" */
/** @import { Tokenizer } from "./text/tokenizer.js" */

/** The newest `potstill.json` this package reads. */
const FORMAT_VERSION = 1;

/** Precision → file, as transformers.js names them. */
export const ONNX_FILES = Object.freeze({
  fp32: "onnx/model.onnx",
  int8: "onnx/model_quantized.onnx",
  fp16: "onnx/model_fp16.onnx",
});

/**
 * What the engine needs to know of an encoder and its file does not say.
 *
 * @typedef {object} Encoder
 * @property {number} headWidth of attention
 * @property {string} activation of the feed-forward layers
 * @property {string} pooler activation between the two layers of a text classifier's head
 * @property {string} [type] of an encoder that the engine does not compute
 * @property {number} padId -1; RoBERTa's padding token, whose positions count from it
 * @property {number} normEps
 */

/**
 * What a folder says of how its model is to be asked.
 *
 * @typedef {object} Bundle
 * @property {Place} place
 * @property {HeadName} head
 * @property {string[]} labels in the order of the logits; none of a reader
 * @property {string} problem of a classifier: `single-label`, `multi-label` or `regression`
 * @property {number} maxPositions longest window the model takes, in tokens
 * @property {Encoder} encoder
 * @property {number} seqLen
 * @property {number} stride
 * @property {number} maxAnswerTokens
 * @property {boolean} noAnswer whether "no answer" competes
 * @property {number} nullThreshold
 * @property {boolean} tidyQuestions whether a question is mended before it is read
 * @property {number} temperature
 * @property {number} maxWindows in which a classifier reads a long text; 0 for as many as it takes
 * @property {Record<string, number>} temperatures of labels, where several may be given
 * @property {Record<string, number>} thresholds of them
 * @property {Record<string, object>} files what the manifest says of each file
 */

/** Types of encoder whose positions count only what is not padding. */
const SKIPS_PADDING = new Set(["roberta", "xlm-roberta", "camembert", "mpnet"]);
/** Activation of a classifier's pooler, where it is not tanh. */
const POOLERS = /** @type {Record<string, string>} */ ({ distilbert: "relu", electra: "gelu" });
/** Other names of activations → the engine's, of the same function. */
const ACTIVATIONS = /** @type {Record<string, string>} */ ({
  gelu_python: "gelu",
  gelu_pytorch_tanh: "gelu_new",
  gelu_python_tanh: "gelu_new",
  gelu_fast: "gelu_new",
  gelu_accurate: "gelu_new",
});
/** Types whose layers the engine computes; the others are for onnxruntime. */
const IN_ENGINE = new Set(["bert", "distilbert", "electra", ...SKIPS_PADDING]);

/**
 * @param {Place} place
 * @param {HeadName} [wanted] by whoever opens it
 * @returns {Promise<Bundle>}
 * @throws {ModelNotFoundError} there is no model in the place
 * @throws {ModelError} its files are damaged, or it is for another task
 */
export async function readBundle(place, wanted) {
  const config = await json(place, "config.json");
  if (!config) {
    throw new ModelNotFoundError(
      `${place.name} is no model: it has no config.json; give a folder or address that has one`,
    );
  }
  const own = await json(place, "potstill.json");
  const manifest = own ?? { format_version: FORMAT_VERSION };
  const version = manifest.format_version;
  if (!Number.isInteger(version) || version < 1 || version > FORMAT_VERSION) {
    throw new ModelError(
      `${place.name} has a potstill.json of format_version ${version}; this package reads up to ` +
        `${FORMAT_VERSION}: upgrade potstill`,
    );
  }
  const task = own ? (manifest.task ?? HEADS.qa.task) : undefined;
  const head = headOf(place.name, task, config.architectures, wanted);
  const rows = config.max_position_embeddings ?? 512;
  // Rows of RoBERTa's position table that stand before position 0.
  const offset = SKIPS_PADDING.has(config.model_type) ? (config.pad_token_id ?? 1) + 1 : 0;
  if (!Number.isInteger(rows - offset) || rows - offset < 1) {
    throw new ConfigError(`${place.name} has ${rows} positions in its config.json: it is damaged`);
  }
  const labels = head === "qa" ? [] : labelsOf(place, config);
  return {
    place,
    head,
    labels,
    problem: head === "classification" ? problemOf(place, config, labels) : "",
    maxPositions: rows - offset,
    encoder: encoderOf(config),
    ...settingsOf(place.at("potstill.json"), manifest),
    seqLen: Math.min(manifest.seq_len ?? (own ? 384 : HEADS[head].seqLen), rows - offset),
    files: manifest.files ?? {},
  };
}

/**
 * How a model is to be asked, by its manifest.
 *
 * @param {string} where
 * @param {Record<string, any>} manifest
 * @throws {ModelError} a value is of the wrong kind
 */
function settingsOf(where, manifest) {
  /** @param {string} name @param {any} value @param {string} kind @param {boolean} right */
  const checked = (name, value, kind, right) => {
    if (right) return value;
    throw new ModelError(`${where}: ${name} must be ${kind}, not ${JSON.stringify(value)}`);
  };
  /** @param {string} name @param {number} usual @param {number} [least] */
  const whole = (name, usual, least = 1) => {
    const value = manifest[name] ?? usual;
    return checked(name, value, `a whole number of at least ${least}`, Number.isInteger(value) && value >= least);
  };
  whole("seq_len", 384);
  const { no_answer = false, tidy_questions = false, null_threshold = 0, calibration = {} } = manifest;
  const { temperature = 1, temperatures = {}, thresholds = {} } = calibration ?? {};
  /** @param {number} value */
  const above0 = (value) => Number.isFinite(value) && value > 0;
  for (const [label, value] of Object.entries(temperatures)) {
    checked(`the temperature of '${label}'`, value, "a number above 0", above0(value));
  }
  for (const [label, value] of Object.entries(thresholds)) {
    const right = Number.isFinite(value) && value >= 0 && value <= 1;
    checked(`the threshold of '${label}'`, value, "a number from 0 to 1", right);
  }
  return {
    stride: whole("stride", 128),
    maxWindows: whole("max_windows", 1, 0),
    maxAnswerTokens: whole("max_answer_tokens", 30),
    noAnswer: checked("no_answer", no_answer, "true or false", typeof no_answer === "boolean"),
    tidyQuestions: checked("tidy_questions", tidy_questions, "true or false", typeof tidy_questions === "boolean"),
    nullThreshold: checked("null_threshold", null_threshold, "a number", Number.isFinite(null_threshold)),
    temperature: checked("calibration's temperature", temperature, "a number above 0", above0(temperature)),
    temperatures,
    thresholds,
  };
}

/**
 * Names of the labels, as Hugging Face's models have them.
 *
 * @param {Place} place
 * @param {Record<string, any>} config
 * @returns {string[]}
 */
function labelsOf(place, { id2label, label2id, num_labels, architectures }) {
  /** @type {[any, any][]} */
  const named = id2label
    ? Object.entries(id2label)
    : Object.entries(label2id ?? {}).map(([label, number]) => [number, label]);
  if (!named.length) {
    const n = Number.isInteger(num_labels) && num_labels > 0 && num_labels <= 1e6 ? num_labels : 2;
    return Array.from({ length: n }, (_, i) => `LABEL_${i}`);
  }
  /** @type {string[]} */
  const labels = new Array(named.length);
  for (const [number, label] of named) labels[Number(number)] = String(label);
  if (labels.length === named.length && !labels.includes(/** @type {any} */ (undefined))) return labels;
  if (Array.isArray(architectures) && architectures.length && !String(architectures).includes("Classification")) {
    return ["LABEL_0", "LABEL_1"]; // left over from elsewhere: such a head has no labels
  }
  throw new ConfigError(`${place.at("config.json")}: id2label must number its labels from 0 on`);
}

/** Hugging Face's `problem_type` → what labels are to a text. */
const PROBLEMS = /** @type {Record<string, string>} */ ({
  regression: "regression",
  single_label_classification: "single-label",
  multi_label_classification: "multi-label",
});

/**
 * @param {Place} place
 * @param {Record<string, any>} config
 * @param {string[]} labels
 * @returns {string} where the config does not say, one label of several, or a lone one's number
 */
function problemOf(place, { problem_type }, labels) {
  if (problem_type == null) return labels.length === 1 ? "regression" : "single-label";
  if (problem_type in PROBLEMS) return PROBLEMS[problem_type];
  throw new ConfigError(
    `${place.at("config.json")}: problem_type '${problem_type}' is none of ${Object.keys(PROBLEMS).join(", ")}`,
  );
}

/** @param {Record<string, any>} config of Hugging Face, whose defaults it leaves out @returns {Encoder} */
function encoderOf(config) {
  const type = config.model_type ?? "bert";
  const small = type === "electra";
  const width = config.hidden_size ?? config.dim ?? (small ? 256 : 768);
  const activation = config.hidden_act ?? config.activation ?? "gelu";
  const heads = config.num_attention_heads ?? config.n_heads ?? (small ? 4 : 12);
  return {
    type: IN_ENGINE.has(type) ? undefined : type,
    headWidth: width / heads,
    activation: ACTIVATIONS[activation] ?? activation,
    pooler: POOLERS[type] ?? "tanh",
    padId: SKIPS_PADDING.has(type) ? (config.pad_token_id ?? 1) : -1,
    normEps: config.layer_norm_eps ?? 1e-12,
  };
}

/** @param {Place} place @param {string} file @returns {Promise<Record<string, any> | undefined>} */
async function json(place, file) {
  const text = await place.readText(file);
  if (text === undefined) return undefined;
  let values;
  try {
    values = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${place.at(file)} cannot be read as JSON: ${reason(error)}`);
  }
  if (values === null || typeof values !== "object" || Array.isArray(values)) {
    throw new ConfigError(`${place.at(file)} holds no JSON object`);
  }
  return values;
}

/**
 * @param {Place} place
 * @param {{ cased?: boolean }} [options]
 * @returns {Promise<Tokenizer>}
 * @throws {TokenizerError} files are missing, damaged or of a kind that this package does not read
 */
export async function readTokenizerOf(place, { cased } = {}) {
  const config = await place.readText("tokenizer_config.json");
  const tokenizer = await place.readText("tokenizer.json");
  const vocab = tokenizer === undefined ? await place.readText("vocab.txt") : undefined;
  const pieces = tokenizer === undefined && vocab === undefined;
  const vocabJson = pieces ? await place.readText("vocab.json") : undefined;
  const merges = pieces ? await place.readText("merges.txt") : undefined;
  return readTokenizer(
    { config, tokenizer, vocab, vocabJson, merges },
    { where: place.name, cased },
  );
}

/**
 * The first of several files that a place has.
 *
 * @param {Bundle} bundle
 * @param {readonly string[]} names
 * @returns {Promise<string | undefined>}
 */
export async function firstFile(bundle, names) {
  // What the manifest names need not be asked for.
  const named = names.find((name) => name in bundle.files);
  if (named) return named;
  for (const name of names) {
    if (await bundle.place.has(name)) return name;
  }
  return undefined;
}
