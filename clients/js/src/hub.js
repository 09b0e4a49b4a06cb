/** Models from the Hugging Face hub into a folder, in Node. `HF_ENDPOINT` and `HF_TOKEN` are honoured. */

import { AbortedError, HubError, InputError, ModelNotFoundError, OutputError, reason } from "./errors.js";
import { objectOf } from "./options.js";
import { body, get, hubEndpoint, isHubId } from "./places.js";

/** @import { LoadOptions } from "./places.js" */

/** Format → which files of a model are wanted for it, beside those of `BASE`. */
export const FORMATS = Object.freeze({
  onnx: /^onnx\/model(_quantized)?\.onnx(_data)?$/,
  fp32: /^onnx\/model\.onnx(_data)?$/,
  int8: /^onnx\/model_quantized\.onnx$/,
  fp16: /^onnx\/model_fp16\.onnx$/,
  tfjs: /^tfjs\//,
  saved_model: /^(savedmodel|saved_model)\//,
});

const BASE =
  /^(config|tokenizer|tokenizer_config|special_tokens_map|vocab|potstill)\.json$|^(vocab|merges)\.txt$|^README\.md$/;

/**
 * @typedef {object} DownloadOptions
 * @property {string} [dir] the model's files come into `dir/owner/name`; default `./.models`
 * @property {keyof typeof FORMATS} [format] default `onnx`
 * @property {string} [revision] branch, tag or commit; default `main`
 */

/**
 * Downloads a model. Files appear in their folder only when all are there.
 *
 * @param {string} model hub id, `owner/name`
 * @param {DownloadOptions & LoadOptions} [options]
 * @returns {Promise<string>} the folder
 * @throws {ModelNotFoundError} there is no such model, or none of its files has the format
 * @throws {HubError} the hub could not be reached, or failed
 * @throws {OutputError} the files could not be written
 */
export async function download(model, options = {}) {
  const given = objectOf(options, ["dir", "format", "revision", "onProgress", "signal"]);
  const { dir = "./.models", format = "onnx", revision = "main", onProgress, signal } = given;
  if (!isHubId(model)) {
    throw new InputError(`'${model}' is no hub id: give owner/name, as in its address on the hub`);
  }
  if (!(format in FORMATS)) {
    throw new InputError(`format '${format}' is none of ${Object.keys(FORMATS).join(", ")}`);
  }
  const files = await listed(model, revision, signal);
  const wanted = files.filter((file) => BASE.test(file) || FORMATS[format].test(file));
  if (!wanted.some((file) => FORMATS[format].test(file))) {
    throw new ModelNotFoundError(
      `${model} has no files of the format '${format}': write them with ` +
        `\`potstill export ${model} OUT --format ${format === "saved_model" ? "savedmodel" : format}\``,
    );
  }
  const folder = `${dir}/${model}`;
  await into(folder, async (temporary) => {
    for (const file of wanted) {
      const address = `${hubEndpoint()}/${model}/resolve/${encodeURIComponent(revision)}/${file}`;
      const answer = await get(address, { signal });
      if (!answer.ok) throw new HubError(`${address} answered ${answer.status}: try again later`);
      const tell = (/** @type {number} */ loaded, /** @type {number | undefined} */ total) =>
        onProgress?.({ file, loaded, total });
      const bytes = await body(answer, tell, signal);
      await write(`${temporary}/${file}`, bytes);
    }
  });
  return folder;
}

/** @param {string} model @param {string} revision @param {AbortSignal} [signal] @returns {Promise<string[]>} */
async function listed(model, revision, signal) {
  const hub = hubEndpoint();
  const address = `${hub}/api/models/${model}/revision/${encodeURIComponent(revision)}`;
  const answer = await get(address, { signal });
  if ([401, 403, 404].includes(answer.status)) {
    throw new ModelNotFoundError(
      `'${model}' at revision '${revision}' was not found: ${hub} shows no such model: check the ` +
        "spelling; a private or gated model needs HF_TOKEN",
    );
  }
  if (!answer.ok) throw new HubError(`${hub} answered ${answer.status} for '${model}': try again later`);
  try {
    const { siblings } = JSON.parse(new TextDecoder().decode(await body(answer, () => {}, signal)));
    const names = siblings.map((/** @type {{ rfilename: string }} */ file) => file.rfilename);
    // Backslashes part folders, too, on Windows; no file of a model has one in its name.
    return names.filter((/** @type {string} */ name) => !/(^|\/)\.\.(\/|$)|\\/.test(name));
  } catch (error) {
    if (error instanceof HubError || error instanceof AbortedError) throw error;
    throw new HubError(`${hub} gave no list of files for '${model}': ${reason(error)}`);
  }
}

/**
 * Fills a folder beside its place and moves it there; what was there before is merged into.
 *
 * @param {string} folder
 * @param {(temporary: string) => Promise<void>} fill
 */
async function into(folder, fill) {
  const fs = await import("node:fs/promises");
  const temporary = `${folder}.part-${process.pid}-${Date.now()}`;
  try {
    await fill(temporary);
    await fs.cp(temporary, folder, { recursive: true, force: true });
  } catch (error) {
    const known = error instanceof Error && "code" in error && String(error.code);
    if (known && /^E[A-Z]+$/.test(known)) {
      throw new OutputError(`${folder} could not be written: ${reason(error)}`);
    }
    throw error;
  } finally {
    await fs.rm(temporary, { recursive: true, force: true }).catch(() => {});
  }
}

/** @param {string} path @param {Uint8Array} bytes */
async function write(path, bytes) {
  const fs = await import("node:fs/promises");
  await fs.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await fs.writeFile(path, bytes);
}
