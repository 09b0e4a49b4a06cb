/** The files of a tokenizer → `Tokenizer`. */

import { PotstillError, TokenizerError, reason } from "../errors.js";
import { AddedTokens } from "./added.js";
import { ByteLevelBpe } from "./bpe.js";
import { normalize } from "./normal.js";
import { stepped, stepsOf } from "./steps.js";
import { Tokenizer } from "./tokenizer.js";
import { Unigram } from "./unigram.js";
import { BERT_PAIR, ROBERTA_PAIR } from "./windows.js";
import { WordPiece } from "./wordpiece.js";

/** @import { Added } from "./added.js" */
/** @import { Cut } from "./cuts.js" */
/** @import { NormalOptions } from "./normal.js" */
/** @import { Step } from "./steps.js" */
/** @import { PairLayout } from "./windows.js" */

/** @typedef {Record<string, any>} Json */
/** @typedef {"cls" | "sep" | "pad" | "mask" | "unk"} Role */

const READS =
  "this package reads WordPiece (BERT, DistilBERT, ELECTRA), byte-level BPE (RoBERTa, ModernBERT) and Unigram " +
  "(XLM-R, CamemBERT, ALBERT, DeBERTa)";

/** @type {Record<Role, string[]>} */
const USUAL = {
  cls: ["[CLS]", "<s>"],
  sep: ["[SEP]", "</s>"],
  pad: ["[PAD]", "<pad>"],
  mask: ["[MASK]", "<mask>"],
  unk: ["[UNK]", "<unk>"],
};

/**
 * @typedef {object} TokenizerFiles
 * @property {string} [tokenizer] `tokenizer.json`
 * @property {string} [vocab] `vocab.txt`
 * @property {string} [vocabJson] `vocab.json`
 * @property {string} [merges] `merges.txt`
 * @property {string} [config] `tokenizer_config.json`
 */

/**
 * Opens a tokenizer from the texts of its files, in the order that Python does.
 *
 * @param {TokenizerFiles} files
 * @param {{ where?: string, cased?: boolean }} [options] `where` the files lie, for messages;
 *   `cased` overrules what the files say of lower-casing
 * @returns {Tokenizer}
 * @throws {TokenizerError} files are missing, damaged, or of a kind that this package does not read
 */
export function readTokenizer(files, { where = "the tokenizer", cased } = {}) {
  try {
    return opened(files, where, cased);
  } catch (error) {
    if (error instanceof PotstillError) throw error;
    // Whatever a value of another kind than it should be led to.
    throw new TokenizerError(`${where} has damaged tokenizer files: ${reason(error)}`);
  }
}

/** @param {TokenizerFiles} files @param {string} where @param {boolean} [cased] @returns {Tokenizer} */
function opened(files, where, cased) {
  const config = files.config === undefined ? {} : parse(files.config, where);
  if (files.tokenizer !== undefined) {
    return fromJson(parse(files.tokenizer, where), config, where, cased);
  }
  if (files.vocab !== undefined) return fromVocabulary(vocabularyOf(files.vocab), config, cased);
  if (files.vocabJson !== undefined && files.merges !== undefined) {
    return fromPieces(parse(files.vocabJson, where), files.merges, config);
  }
  throw new TokenizerError(
    `${where} has neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt ` +
      "(of a SentencePiece model `potstill export` makes a tokenizer.json)",
  );
}

/** @param {string} text @param {string} where @returns {Json} */
function parse(text, where) {
  let values;
  try {
    values = JSON.parse(text);
  } catch (error) {
    throw new TokenizerError(`${where} has a tokenizer file that is no JSON: ${reason(error)}`);
  }
  if (values === null || typeof values !== "object" || Array.isArray(values)) {
    throw new TokenizerError(`${where} has a tokenizer file that is no JSON object`);
  }
  return values;
}

/**
 * Token → id of a `vocab.txt`, one token a line.
 *
 * @param {string} text
 * @returns {Map<string, number>}
 */
export function vocabularyOf(text) {
  const lines = text.split("\n").map((line) => line.replace(/\r+$/, ""));
  while (lines.length && !lines[lines.length - 1]) lines.pop();
  return new Map(lines.map((token, id) => [token, id]));
}

/**
 * BERT's own tokenizer from its vocabulary.
 *
 * @param {Map<string, number>} vocabulary
 * @param {Json} config `do_lower_case` and the like, as in `tokenizer_config.json`
 * @param {boolean} [cased]
 * @returns {Tokenizer}
 */
export function fromVocabulary(vocabulary, config = {}, cased) {
  const lowercase = cased === undefined ? (config.do_lower_case ?? true) : !cased;
  const normalizer = {
    cleanText: config.clean_text ?? true,
    chineseChars: config.tokenize_chinese_chars ?? true,
    stripAccents: config.strip_accents ?? lowercase,
    lowercase,
  };
  const model = new WordPiece(vocabulary, { unknown: tokenText(config, "unk", "[UNK]") });
  const contents = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const special = contents.filter((token) => vocabulary.has(token));
  return finish(model, normalizer, special.map((token) => plain(token, vocabulary)), config, {});
}

/** @param {Json} vocabJson @param {string} merges @param {Json} config @returns {Tokenizer} */
function fromPieces(vocabJson, merges, config) {
  const vocabulary = new Map(Object.entries(vocabJson));
  const lines = merges.split("\n").map((line) => line.replace(/\r$/, ""));
  const pairs = lines.filter((line) => line && !line.startsWith("#version")).map(pairOf);
  const addPrefixSpace = Boolean(config.add_prefix_space);
  const model = new ByteLevelBpe(vocabulary, pairs, { addPrefixSpace });
  /** @type {[Role, string][]} */
  const roles = [["cls", "<s>"], ["pad", "<pad>"], ["sep", "</s>"], ["unk", "<unk>"], ["mask", "<mask>"]];
  const added = roles
    .map(([role, usual]) => ({ role, token: tokenText(config, role, usual) }))
    .filter(({ token }) => vocabulary.has(token))
    // The mask takes the space before it, as a word would.
    .map(({ role, token }) => ({ ...plain(token, vocabulary), lstrip: role === "mask" }));
  const json = { post_processor: { type: "RobertaProcessing", trim_offsets: config.trim_offsets } };
  return finish(model, null, added, config, json);
}

/** @param {string} token @param {Map<string, number>} vocabulary @returns {Added} */
function plain(token, vocabulary) {
  const id = /** @type {number} */ (vocabulary.get(token));
  const off = { normalized: false, singleWord: false, lstrip: false, rstrip: false };
  return { content: token, id, ...off };
}

/**
 * @param {Json} json `tokenizer.json`
 * @param {Json} config
 * @param {string} where
 * @param {boolean} [cased]
 * @returns {Tokenizer}
 */
function fromJson(json, config, where, cased) {
  const kind = json.model?.type ?? (json.model?.merges ? "BPE" : "WordPiece");
  if (kind === "Unigram") return fromUnigram(json, config, where);
  if (!json.model?.vocab || Array.isArray(json.model.vocab) || !["WordPiece", "BPE"].includes(kind)) {
    throw new TokenizerError(`${where} has a tokenizer of type '${kind}': ${READS}`);
  }
  const model = kind === "BPE" ? bpe(json, where) : wordPiece(json, where);
  const normalizer = normalizerOf(json.normalizer ?? null, where, cased);
  return finish(model, normalizer, addedOf(json), config, json);
}

/** @param {Json} json @returns {Added[]} */
function addedOf(json) {
  return (json.added_tokens ?? []).map((/** @type {Json} */ token) => ({
    content: String(token.content),
    id: Number(token.id),
    normalized: token.normalized ?? !token.special,
    singleWord: token.single_word ?? false,
    lstrip: token.lstrip ?? false,
    rstrip: token.rstrip ?? false,
  }));
}

/** @param {Json} json @param {Json} config @param {string} where @returns {Tokenizer} */
function fromUnigram(json, config, where) {
  const refused = (/** @type {string} */ what) => new TokenizerError(`${where} ${what}: ${READS}`);
  const { vocab, unk_id: unknown, byte_fallback: byteFallback } = json.model;
  const fits = (/** @type {any} */ row) =>
    Array.isArray(row) && typeof row[0] === "string" && typeof row[1] === "number";
  if (!Array.isArray(vocab) || !vocab.every(fits)) {
    throw new TokenizerError(`${where} has damaged tokenizer files: a piece of its Unigram is no pair`);
  }
  const model = new Unigram(vocab, { unknownId: unknown ?? undefined, byteFallback: Boolean(byteFallback) });
  const steps = stepsOf(json.normalizer ?? null, refused);
  const cuts = cutsOf(json.pre_tokenizer, refused);
  return finish(model, null, addedOf(json), config, json, { steps, cuts });
}

/**
 * @param {Json | null | undefined} json
 * @param {(what: string) => TokenizerError} refused
 * @returns {Cut[]}
 */
function cutsOf(json, refused) {
  if (json?.type === "Sequence") {
    return json.pretokenizers.flatMap((/** @type {Json} */ one) => cutsOf(one, refused));
  }
  if (json?.type === "WhitespaceSplit") return [{ kind: "blanks" }];
  if (json?.type === "Punctuation" && (json.behavior ?? "Isolated") === "Isolated") {
    return [{ kind: "punctuation" }];
  }
  if (json?.type === "Metaspace" && json.split !== false) {
    const older = json.add_prefix_space === false ? "never" : "always";
    const letter = String(json.replacement ?? "\u2581");
    if (letter.length !== 1) throw refused(`marks words by '${letter}'`);
    return [{ kind: "metaspace", letter, prepend: json.prepend_scheme ?? older }];
  }
  throw refused(`cuts words by '${json?.type ?? "nothing"}'`);
}

/** @param {Json} json @param {string} where @returns {WordPiece} */
function wordPiece(json, where) {
  expect(json.pre_tokenizer, "BertPreTokenizer", where);
  return new WordPiece(new Map(Object.entries(json.model.vocab)), {
    unknown: ofKind(json.model.unk_token ?? "[UNK]", "string", "unk_token", where),
    prefix: ofKind(json.model.continuing_subword_prefix ?? "##", "string", "prefix", where),
    maxChars: ofKind(json.model.max_input_chars_per_word ?? 100, "number", "max_input_chars", where),
  });
}

/** @param {Json} json @param {string} where @returns {ByteLevelBpe} */
function bpe(json, where) {
  expect(json.pre_tokenizer, "ByteLevel", where);
  const { model, pre_tokenizer: before } = json;
  const strange = ["continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "dropout"];
  const found = strange.find((name) => model[name]);
  if (found || before.use_regex === false) {
    throw new TokenizerError(`${where} has a BPE with ${found ?? "no use_regex"}: ${READS}`);
  }
  return new ByteLevelBpe(new Map(Object.entries(model.vocab)), model.merges.map(pairOf), {
    unknown: model.unk_token ?? undefined,
    ignoreMerges: model.ignore_merges ?? false,
    addPrefixSpace: before.add_prefix_space ?? true,
  });
}

/** @param {string | [string, string]} merge @returns {[string, string]} */
function pairOf(merge) {
  if (Array.isArray(merge) && merge.every((part) => typeof part === "string")) return merge;
  const [left, right] = /** @type {string} */ (merge).split(" ");
  return [left, right ?? ""];
}

/** @param {any} value @param {string} kind @param {string} name @param {string} where */
function ofKind(value, kind, name, where) {
  if (typeof value === kind) return value;
  throw new TokenizerError(`${where} has damaged tokenizer files: ${name} must be a ${kind}`);
}

/** @param {Json | null | undefined} part @param {string} type @param {string} where */
function expect(part, type, where) {
  if (part?.type !== type) {
    throw new TokenizerError(`${where} cuts words by '${part?.type ?? "nothing"}': ${READS}`);
  }
}

/**
 * @param {Json | null} json
 * @param {string} where
 * @param {boolean} [cased]
 * @returns {NormalOptions | null}
 */
function normalizerOf(json, where, cased) {
  if (json === null) return null;
  if (json.type !== "BertNormalizer") {
    throw new TokenizerError(`${where} normalizes by '${json.type}': ${READS}`);
  }
  const lowercase = cased === undefined ? (json.lowercase ?? true) : !cased;
  return {
    cleanText: json.clean_text ?? true,
    chineseChars: json.handle_chinese_chars ?? true,
    stripAccents: json.strip_accents ?? lowercase,
    lowercase,
  };
}

/**
 * @param {WordPiece | ByteLevelBpe | Unigram} model
 * @param {NormalOptions | null} normalizer
 * @param {Added[]} tokens
 * @param {Json} config
 * @param {Json} json
 * @param {{ steps: Step[], cuts: Cut[] }} [parts] of a Unigram
 * @returns {Tokenizer}
 */
function finish(model, normalizer, tokens, config, json, { steps, cuts } = { steps: [], cuts: [] }) {
  for (const [token, id] of [...model.vocabulary, ...tokens.map((one) => [one.content, one.id])]) {
    if (Number.isInteger(id) && Number(id) >= 0) continue;
    throw new TokenizerError(`the token ${JSON.stringify(token)} has ${JSON.stringify(id)} for an id`);
  }
  const added = new AddedTokens(tokens, (content) =>
    normalizer ? normalize(content, normalizer).text : stepped(content, steps).text,
  );
  /** @param {string} token */
  const id = (token) => added.ids.get(token) ?? model.vocabulary.get(token);
  /** @param {Role} role */
  const named = (role) => {
    const usual = USUAL[role];
    return tokenText(config, role, usual.find((token) => id(token) !== undefined) ?? usual[0]);
  };
  /** @param {Role} role */
  const needed = (role) => {
    const number = id(named(role));
    if (number !== undefined) return number;
    throw new TokenizerError(
      `the ${role} token '${named(role)}' is not in the tokenizer's vocabulary`,
    );
  };
  const special = { cls: needed("cls"), sep: needed("sep"), pad: needed("pad"), mask: id(named("mask")) };
  const processors = flat(json.post_processor);
  const trimming = processors.filter((p) => ["RobertaProcessing", "ByteLevel"].includes(p.type));
  return new Tokenizer({
    model,
    normalizer,
    steps,
    cuts,
    added,
    trimOffsets: trimming.some((p) => p.trim_offsets ?? true),
    special,
    layout: layoutOf(processors, named("cls")),
  });
}

/** @param {Json | null | undefined} processor @returns {Json[]} */
function flat(processor) {
  if (!processor) return [];
  return processor.type === "Sequence" ? processor.processors.flatMap(flat) : [processor];
}

/** @param {Json[]} processors @param {string} cls @returns {PairLayout} */
function layoutOf(processors, cls) {
  let nSpecial = 0;
  for (const processor of processors) {
    if (processor.type === "BertProcessing") nSpecial += 3;
    if (processor.type === "RobertaProcessing") nSpecial += 4;
    for (const piece of processor.type === "TemplateProcessing" ? processor.pair : []) {
      const name = piece.SpecialToken?.id;
      if (name) nSpecial += processor.special_tokens[name].ids.length;
    }
  }
  if (nSpecial === 3) return BERT_PAIR;
  if (nSpecial === 4) return ROBERTA_PAIR;
  return cls === "<s>" ? ROBERTA_PAIR : BERT_PAIR;
}

/** @param {Json} config @param {Role} role @param {string} otherwise @returns {string} */
function tokenText(config, role, otherwise) {
  const named = config[`${role}_token`];
  return String((named && typeof named === "object" ? named.content : named) || otherwise);
}
