/** Which model a caller means, and where it lies. */

import { InputError, ModelNotFoundError, kindOf } from "./errors.js";
import { IN_NODE } from "./env.js";
import { READER } from "./packed.js";
import { addressPlace, folderPlace, hubEndpoint, isAddress, isHubId } from "./places.js";

/** @import { LoadOptions, Place } from "./places.js" */

/** Folder that downloaded models are kept in, beside the program that uses them. */
export const MODELS_DIR = "./.models";

/** The model inside this package, seen from this file. */
const PACKED = "../models/reader";
/** The models of a checkout of Potstill, which has none packed. */
const CHECKOUT = "../../../src/potstill/embedded";
const EMBEDDED = ["default", "small", "tiny"];

/**
 * The place of the model that the caller named.
 *
 * In Node a name is, in this order, a folder, a folder inside `modelsDir`, or a hub id, which is
 * downloaded there. Where no name is given: what `POTSTILL_MODEL` names, `default` inside
 * `modelsDir`, or the one inside this package, which its own name means, too (packed.js).
 *
 * In a page a name is an address, absolute or beginning with `.` or `/`, or a hub id, from which
 * files are fetched.
 *
 * @param {string | URL} [model]
 * @param {LoadOptions & { modelsDir?: string }} [options]
 * @returns {Promise<Place>}
 * @throws {ModelNotFoundError} there is no such model
 */
export async function findModel(model, options = {}) {
  const named = model instanceof URL ? model.href : model;
  if (named !== undefined && typeof named !== "string") {
    throw new InputError(`a model must be named by a string, not ${kindOf(named)}`);
  }
  if (named !== undefined && !named.trim()) throw new InputError("the model's name is empty");
  return IN_NODE ? inNode(named, options) : inPage(named, options);
}

/** @param {string | undefined} model @param {LoadOptions} options @returns {Place} */
function inPage(model, options) {
  if (model === undefined || EMBEDDED.includes(model)) {
    throw new ModelNotFoundError(
      "a page has no model of its own: copy models/reader of this package beside the page, and give " +
        "its address, such as ./reader/, or give a hub id",
    );
  }
  if (isHubId(model)) return addressPlace(`${hubEndpoint()}/${model}/resolve/main`, options);
  return addressPlace(new URL(model, document.baseURI).href, options);
}

/**
 * @param {string | undefined} model
 * @param {LoadOptions & { modelsDir?: string }} options
 * @returns {Promise<Place>}
 */
async function inNode(model, options) {
  const { modelsDir = MODELS_DIR, onProgress, signal } = options;
  const name = model ?? process.env.POTSTILL_MODEL ?? "default";
  if (isAddress(name) && !name.startsWith("file:")) return addressPlace(name, options);
  const { fileURLToPath } = await import("node:url");
  const folder = name.startsWith("file:") ? fileURLToPath(name) : name;
  // A folder that happens to be called "default" is not what that name means.
  const own = [`${CHECKOUT}/${name}`];
  if (name === READER || (model ?? process.env.POTSTILL_MODEL) === undefined) own.push(PACKED);
  const candidates = EMBEDDED.includes(name)
    ? [`${modelsDir}/${name}`, ...own.map((one) => fileURLToPath(new URL(one, import.meta.url)))]
    : [folder, `${modelsDir}/${name}`];
  for (const candidate of candidates) {
    const place = folderPlace(candidate, options);
    if (await place.has("config.json")) return place;
  }
  const isFolder = /^[./\\~]/.test(name) || name.startsWith("file:");
  if (isHubId(name) && !isFolder) {
    const { download } = await import("./hub.js");
    return folderPlace(await download(name, { dir: modelsDir, onProgress, signal }), options);
  }
  throw new ModelNotFoundError(
    EMBEDDED.includes(name)
      ? `there is no ${name} model: name a folder or hub id, set POTSTILL_MODEL, or put one into ` +
          `${modelsDir}/${name}`
      : `'${name}' is no model: there is neither such a folder nor ${modelsDir}/${name}; give a ` +
          "folder, or a hub id such as owner/name",
  );
}
