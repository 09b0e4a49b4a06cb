/** A model folder: its config, its manifest and its tokenizer, as far as answering needs them. */

import { ConfigError, ModelError, ModelNotFoundError, reason } from "./errors.js";
import { readTokenizer } from "./text/files.js";

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
 * @property {string} [type] of an encoder that the engine does not compute
 * @property {number} padId -1; RoBERTa's padding token, whose positions count from it
 * @property {number} normEps
 */

/**
 * What a folder says of how its model is to be asked.
 *
 * @typedef {object} Bundle
 * @property {Place} place
 * @property {number} maxPositions longest window the model takes, in tokens
 * @property {Encoder} encoder
 * @property {number} seqLen
 * @property {number} stride
 * @property {number} maxAnswerTokens
 * @property {boolean} noAnswer whether "no answer" competes
 * @property {number} nullThreshold
 * @property {number} temperature
 * @property {Record<string, object>} files what the manifest says of each file
 */

/** Types of encoder whose positions count only what is not padding. */
const SKIPS_PADDING = new Set(["roberta", "xlm-roberta", "camembert", "mpnet"]);
/** Types whose layers the engine computes; the others are for onnxruntime. */
const IN_ENGINE = new Set(["bert", "distilbert", "electra", ...SKIPS_PADDING]);

/**
 * @param {Place} place
 * @returns {Promise<Bundle>}
 * @throws {ModelNotFoundError} there is no model in the place
 * @throws {ModelError} its files are damaged, or it is for another task
 */
export async function readBundle(place) {
  const config = await json(place, "config.json");
  if (!config) {
    throw new ModelNotFoundError(
      `${place.name} is no model: it has no config.json; give a folder or address that has one`,
    );
  }
  const manifest = (await json(place, "potstill.json")) ?? { format_version: FORMAT_VERSION };
  const version = manifest.format_version;
  if (!Number.isInteger(version) || version < 1 || version > FORMAT_VERSION) {
    throw new ModelError(
      `${place.name} has a potstill.json of format_version ${version}; this package reads up to ` +
        `${FORMAT_VERSION}: upgrade potstill`,
    );
  }
  const task = manifest.task ?? "question-answering";
  if (task !== "question-answering") {
    throw new ModelError(`${place.name} was trained for ${task}, not question answering`);
  }
  const rows = config.max_position_embeddings ?? 512;
  // Rows of RoBERTa's position table that stand before position 0.
  const offset = SKIPS_PADDING.has(config.model_type) ? (config.pad_token_id ?? 1) + 1 : 0;
  if (!Number.isInteger(rows - offset) || rows - offset < 1) {
    throw new ConfigError(`${place.name} has ${rows} positions in its config.json: it is damaged`);
  }
  return {
    place,
    maxPositions: rows - offset,
    encoder: encoderOf(config),
    seqLen: Math.min(manifest.seq_len ?? 384, rows - offset),
    stride: manifest.stride ?? 128,
    maxAnswerTokens: manifest.max_answer_tokens ?? 30,
    noAnswer: manifest.no_answer ?? false,
    nullThreshold: manifest.null_threshold ?? 0,
    temperature: manifest.calibration?.temperature ?? 1,
    files: manifest.files ?? {},
  };
}

/** @param {Record<string, any>} config of Hugging Face, whose defaults it leaves out @returns {Encoder} */
function encoderOf(config) {
  const type = config.model_type ?? "bert";
  const small = type === "electra";
  const width = config.hidden_size ?? config.dim ?? (small ? 256 : 768);
  const heads = config.num_attention_heads ?? config.n_heads ?? (small ? 4 : 12);
  return {
    type: IN_ENGINE.has(type) ? undefined : type,
    headWidth: width / heads,
    activation: config.hidden_act ?? config.activation ?? "gelu",
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
