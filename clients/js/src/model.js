/** `initModel`: a model and the runtime that runs it. */

import { ONNX_FILES, firstFile, readBundle } from "./bundle.js";
import {
  InputError,
  MissingPackageError,
  ModelNotFoundError,
  UnfitError,
  checkSignal,
  kindOf,
} from "./errors.js";
import { findModel } from "./find.js";
import { HEADS } from "./heads.js";
import { MODEL_OPTIONS, objectOf } from "./options.js";
import { IN_NODE } from "./env.js";
import { openSession } from "./runtime/host.js";
import { openRemote } from "./runtime/remote.js";

/** @import { Bundle } from "./bundle.js" */
/** @import { LoadOptions } from "./places.js" */
/** @import { EngineOptions, Session } from "./runtime/host.js" */
/** @import { HeadName, OutputsNames } from "./heads.js" */
/** @import { InputsNames } from "./runtime/names.js" */

/** What runs a model. */
export const RuntimeType = Object.freeze({
  /** int8 ONNX that Potstill wrote, in its own engine. */
  Native: "native",
  /** ONNX in onnxruntime. */
  Onnx: "onnx",
  /** A SavedModel in TensorFlow's own library; in Node alone. */
  SavedModel: "saved_model",
  /** A graph model in TensorFlow.js. */
  TFJS: "tfjs",
  /** A server that speaks TensorFlow Serving's REST protocol. */
  Remote: "remote",
});

/**
 * @typedef {object} ModelFields
 * @property {string | URL} [name] a folder, an address or a hub id; see docs/javascript.md for the
 *   search order
 * @property {string} [path] for `remote` the address of the served model; otherwise the folder that
 *   `name` lies in
 * @property {"native" | "onnx" | "saved_model" | "tfjs" | "remote"} [runtime] default `native` where that
 *   runs the model, else `onnx`
 * @property {"fp32" | "fp16" | "int8"} [precision] which ONNX file; by default the first there is of
 *   fp32, int8 and fp16
 * @property {string} [file] the file (or, for a SavedModel, the folder) to run instead, inside the
 *   model's folder
 * @property {number} [threads] of one run; by default one for each core
 * @property {string} [signatureName] of a SavedModel; default `serving_default`
 * @property {InputsNames} [inputsNames]
 * @property {OutputsNames} [outputsNames]
 * @property {boolean} [cased] overrules what the tokenizer's files say of lower-casing
 * @property {string} [modelsDir] folder of downloaded models; default `./.models`
 * @property {string} [runtimeUrl] in a page, the address of onnxruntime-web's module; by default what
 *   the page's import map says
 * @property {Record<string, string>} [headers] of every request to a remote, such as a token
 * @property {number} [timeoutMs] how long one request to a remote may take; default a minute
 */

/** @typedef {ModelFields & LoadOptions} ModelOptions */

/** A model that is open. */
export class Model {
  /**
   * @param {Bundle} bundle
   * @param {Session} session
   * @param {{ runtime: string, path: string, cased: boolean | undefined, notice?: string }} about
   */
  constructor(bundle, session, about) {
    this.bundle = bundle;
    this.session = session;
    this.runtime = about.runtime;
    /** Why it is not `native`, where nobody named a runtime; one line, or empty. */
    this.notice = about.notice ?? "";
    /** The file, folder or address that is run. */
    this.path = about.path;
    this.cased = about.cased;
  }

  /** The folder or address its files came from. */
  get name() {
    return this.bundle.place.name;
  }

  /** What it is for: `question-answering`, `text-classification` or `token-classification`. */
  get task() {
    return HEADS[this.bundle.head].task;
  }

  /** Frees what the model holds; nothing can be asked of it any more. */
  async dispose() {
    await this.session.dispose();
  }
}

/**
 * Opens a model in a runtime.
 *
 * @param {ModelOptions} [options]
 * @returns {Promise<Model>}
 * @throws {ModelNotFoundError} there is no such model, or it has no file for the runtime
 * @throws {ModelError} its files are damaged, or it is for a task that this package does not run
 * @throws {MissingPackageError} the runtime's package is not installed
 * @throws {RemoteError} the server cannot be asked
 */
export async function initModel(options = {}) {
  return openModel(options);
}

/**
 * As `initModel`, for a client.
 *
 * @param {ModelOptions} options
 * @param {HeadName} [head] that the model must have, or has where its folder does not say
 * @returns {Promise<Model>}
 */
export async function openModel(options, head) {
  check(options);
  const { runtime, signal, cased } = options;
  checkSignal(signal);
  const remote = runtime === RuntimeType.Remote;
  const place = await findModel(remote ? options.name : inFolder(options), options);
  const bundle = await readBundle(place, head);
  if (remote) {
    const path = String(options.path);
    const session = await openRemote(path, bundle.head, options, signal);
    return new Model(bundle, session, { runtime, path, cased });
  }
  const found = runtime
    ? { runtime, ...(await openLocal(bundle, runtime, options)) }
    : await openUsual(bundle, options);
  return new Model(bundle, found.session, { ...found, path: place.at(found.path), cased });
}

/** @param {ModelOptions} options */
function check(options) {
  objectOf(options, MODEL_OPTIONS);
  const { runtime, path, precision, threads } = options;
  const runtimes = Object.values(RuntimeType);
  if (runtime !== undefined && !runtimes.includes(runtime)) {
    throw new InputError(`runtime '${runtime}' is none of ${runtimes.join(", ")}`);
  }
  if (path !== undefined && typeof path !== "string") {
    throw new InputError(`a model's path must be a string, not ${kindOf(path)}`);
  }
  if (runtime === RuntimeType.Remote && !/^https?:\/\//.test(path ?? "")) {
    throw new InputError(`a remote's path must be an http address, not '${path}'`);
  }
  if (precision !== undefined && !(precision in ONNX_FILES)) {
    throw new InputError(`precision '${precision}' is none of ${Object.keys(ONNX_FILES).join(", ")}`);
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads > 0)) {
    throw new InputError(`threads must be a whole number of at least 1, not ${threads}`);
  }
  if (runtime === RuntimeType.SavedModel && !IN_NODE) {
    throw new InputError("SavedModels run in Node alone: leave runtime out in a page, or take 'tfjs'");
  }
}

/** @param {ModelOptions} options */
function inFolder({ name, path }) {
  if (path === undefined) return name;
  return name === undefined ? path : `${path.replace(/[\\/]+$/, "")}/${name}`;
}

/** Runtime → what its files may be called, the first that is there being taken. */
const FILES = {
  native: [ONNX_FILES.int8],
  onnx: Object.values(ONNX_FILES),
  tfjs: ["tfjs/model.json", "model.json"],
  saved_model: ["savedmodel/saved_model.pb", "saved_model/saved_model.pb", "saved_model.pb"],
};
/** Runtime → the format that `potstill export` writes for it. */
const FORMATS = { native: "int8", onnx: "onnx", tfjs: "tfjs", saved_model: "savedmodel" };

/** @typedef {keyof typeof FILES} LocalRuntime */
/** @typedef {{ path: string, session: Session }} Opened */

/**
 * A model in `native`, or in `onnx` with the reason why.
 *
 * @param {Bundle} bundle
 * @param {ModelOptions} options
 * @returns {Promise<Opened & { runtime: string, notice?: string }>}
 */
async function openUsual(bundle, options) {
  const path = await fileOf(bundle, RuntimeType.Onnx, options);
  const named = { ...options, file: path };
  const bytes = bundle.place.local ? undefined : await needed(bundle, path);
  let notice = `${path} is not an int8 file, which the engine would run: onnxruntime runs it`;
  if (options.file === undefined ? path === ONNX_FILES.int8 : path.endsWith(".onnx")) {
    try {
      const opened = await openLocal(bundle, RuntimeType.Native, named, bytes);
      return { ...opened, runtime: RuntimeType.Native };
    } catch (error) {
      if (!(error instanceof UnfitError)) throw error;
      notice = `${error.message}: onnxruntime runs it`;
    }
  }
  try {
    const opened = await openLocal(bundle, RuntimeType.Onnx, named, bytes);
    return { ...opened, runtime: RuntimeType.Onnx, notice };
  } catch (error) {
    if (!(error instanceof MissingPackageError)) throw error;
    throw new MissingPackageError(`${notice}, and is not there. ${error.message}`);
  }
}

/**
 * @param {Bundle} bundle
 * @param {LocalRuntime} runtime
 * @param {ModelOptions} options
 * @returns {Promise<string>} the file to run
 */
async function fileOf(bundle, runtime, options) {
  const chosen = runtime === "onnx" || runtime === "native" ? options.precision : undefined;
  const named = chosen ? [ONNX_FILES[chosen]] : FILES[runtime];
  const path = options.file ?? (await firstFile(bundle, named));
  if (path !== undefined) return path;
  const format = chosen ?? FORMATS[runtime];
  throw new ModelNotFoundError(
    `${bundle.place.name} has no ${named.join(", nor ")}: write one with ` +
      `\`potstill export MODEL OUT --format ${format}\``,
  );
}

/**
 * @param {Bundle} bundle
 * @param {LocalRuntime} runtime
 * @param {ModelOptions} options
 * @param {Uint8Array} [bytes] of an ONNX file that was fetched already
 * @returns {Promise<Opened>}
 */
async function openLocal(bundle, runtime, options, bytes) {
  const { place } = bundle;
  const path = await fileOf(bundle, runtime, options);
  const { signatureName, inputsNames, outputsNames, signal } = options;
  /** @type {EngineOptions} */
  const engine = { where: place.at(path), head: bundle.head, signatureName, inputsNames, outputsNames };
  engine.threads = options.threads ?? (IN_NODE ? await cores() : 1);
  if (runtime === "onnx" || runtime === "native") {
    if (runtime === "native") engine.encoder = bundle.encoder;
    else engine.module = options.runtimeUrl ?? resolved("onnxruntime-web");
    if (place.local) engine.path = place.at(path);
    else engine.bytes = bytes ?? (await needed(bundle, path));
    if (place.local && !(await place.has(path))) throw absent(bundle, path);
  } else if (runtime === "tfjs") {
    engine.files = await graphModel(bundle, path);
  } else {
    engine.path = place.at(path.replace(/(^|\/)saved_model\.pb$/, "")).replace(/\/+$/, "");
  }
  checkSignal(signal);
  return { path, session: await openSession(runtime, engine, signal) };
}

/** @returns {Promise<number>} */
async function cores() {
  const { usableCores } = await import("./runtime/cores.js");
  return usableCores();
}

/** @param {string} name @returns {string | undefined} where a page's import map says it lies */
function resolved(name) {
  try {
    return IN_NODE ? undefined : import.meta.resolve(name);
  } catch {
    return undefined; // a bundler finds it in the worker
  }
}

/** @param {Bundle} bundle @param {string} path */
function absent(bundle, path) {
  return new ModelNotFoundError(`there is no file ${bundle.place.at(path)}`);
}

/** @param {Bundle} bundle @param {string} path */
async function needed(bundle, path) {
  const bytes = await bundle.place.read(path);
  if (!bytes) throw absent(bundle, path);
  return bytes;
}

/** @param {Bundle} bundle @param {string} path of `model.json` */
async function graphModel(bundle, path) {
  const model = await needed(bundle, path);
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  /** @type {string[]} */
  let names;
  try {
    const json = JSON.parse(new TextDecoder().decode(model));
    names = json.weightsManifest.flatMap((/** @type {{ paths: string[] }} */ group) => group.paths);
  } catch {
    throw new InputError(`${bundle.place.at(path)} is no graph model's model.json`);
  }
  const shards = [];
  for (const name of names) shards.push(await needed(bundle, folder + name));
  const weights = new Uint8Array(shards.reduce((sum, shard) => sum + shard.length, 0));
  let at = 0;
  for (const shard of shards) {
    weights.set(shard, at);
    at += shard.length;
  }
  return { model, weights };
}
