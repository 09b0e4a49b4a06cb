/** What all clients have in common: how they are opened. */

import { readTokenizerOf } from "./bundle.js";
import { InputError, kindOf } from "./errors.js";
import { checkHead } from "./heads.js";
import { Model, openModel } from "./model.js";
import { MODEL_OPTIONS, objectOf, optionsOf } from "./options.js";
import { placeOfFile } from "./places.js";
import { BertWordPieceTokenizer } from "./text/bert.js";
import { fromVocabulary, vocabularyOf } from "./text/files.js";
import { Tokenizer } from "./text/tokenizer.js";

/** @import { HeadName } from "./heads.js" */
/** @import { ModelFields } from "./model.js" */
/** @import { Checks } from "./options.js" */
/** @import { LoadOptions } from "./places.js" */

/**
 * @typedef {object} OwnFields
 * @property {Model | string | URL} [model] an open model, a folder, an address or a hub id
 * @property {Tokenizer | BertWordPieceTokenizer} [tokenizer] instead of the model's own
 * @property {string} [vocabPath] `vocab.txt` of a tokenizer, instead of the model's own
 */

/**
 * What `fromOptions` of every client takes.
 *
 * @typedef {OwnFields & Omit<ModelFields, "name"> & LoadOptions} Opening
 */

/**
 * Opens a model and its tokenizer for a client.
 *
 * @template T
 * @param {HeadName} head that the client asks
 * @param {Opening} given with the client's own options
 * @param {Checks} checks of these
 * @param {(model: Model, chosen: Record<string, any>) => T} settled makes the options in force
 * @param {string[]} [more] names of options that are not checked
 * @returns {Promise<{ model: Model, tokenizer: Tokenizer, options: T }>}
 */
export async function openClient(head, given, checks, settled, more = []) {
  const opening = MODEL_OPTIONS.filter((name) => name !== "name");
  const known = new Set(["model", "tokenizer", "vocabPath", ...more, ...Object.keys(checks), "signal", ...opening]);
  const options = objectOf(given, [...known]);
  const chosen = optionsOf(options, checks);
  const named = options.model;
  const own = Object.fromEntries(Object.entries(options).filter(([name]) => opening.includes(name)));
  const model = named instanceof Model ? named : await openModel({ ...own, name: named }, head);
  checkHead(model.name, model.bundle.head, head);
  try {
    return { model, tokenizer: await tokenizerOf(model, options), options: settled(model, chosen) };
  } catch (error) {
    if (!(named instanceof Model)) await model.dispose();
    throw error;
  }
}

/** @param {Model} model @param {Opening} options @returns {Promise<Tokenizer>} */
async function tokenizerOf(model, { tokenizer, vocabPath, cased = model.cased }) {
  if (tokenizer instanceof BertWordPieceTokenizer) return tokenizer.core;
  if (tokenizer instanceof Tokenizer) return tokenizer;
  if (tokenizer !== undefined) {
    throw new InputError(`a tokenizer must be one of this package, not ${kindOf(tokenizer)}`);
  }
  if (vocabPath === undefined) return readTokenizerOf(model.bundle.place, { cased });
  if (typeof vocabPath !== "string") {
    throw new InputError(`a vocabPath must be a string, not ${kindOf(vocabPath)}`);
  }
  const { place, file } = placeOfFile(vocabPath);
  const text = await place.readText(file);
  if (text === undefined) throw new InputError(`there is no vocabulary ${vocabPath}`);
  return fromVocabulary(vocabularyOf(text), {}, cased);
}
