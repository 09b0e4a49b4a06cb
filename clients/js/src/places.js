/** Where a model's files lie: a folder, or an address that files are fetched from. */

import { IN_NODE } from "./env.js";
import { AbortedError, HubError, InputError, ModelNotFoundError, reason } from "./errors.js";

/**
 * @typedef {object} Progress
 * @property {string} file
 * @property {number} loaded bytes so far
 * @property {number | undefined} total bytes of the file, where known
 */

/**
 * @typedef {object} LoadOptions
 * @property {(progress: Progress) => void} [onProgress] is called while files are loaded
 * @property {AbortSignal} [signal] breaks the loading off
 */

/**
 * @typedef {object} Place
 * @property {string} name path or address, for messages
 * @property {boolean} local
 * @property {(file: string) => string} at path or address of a file
 * @property {(file: string) => Promise<boolean>} has
 * @property {(file: string) => Promise<Uint8Array<ArrayBuffer> | undefined>} read undefined where there is no such file
 * @property {(file: string) => Promise<string | undefined>} readText
 */

const HUB_ID = /^[A-Za-z0-9][\w.-]*\/\w[\w.-]*$/;

/** @param {string} model @returns {boolean} whether it is of the form `owner/name` */
export function isHubId(model) {
  return HUB_ID.test(model) && !model.includes("..");
}

/** @param {string} model */
export function isAddress(model) {
  return /^(https?|file|blob|data):/.test(model);
}

/** The hub's own address, or that of `HF_ENDPOINT`. */
export function hubEndpoint() {
  const named = IN_NODE ? process.env.HF_ENDPOINT : undefined;
  return (named || "https://huggingface.co").replace(/\/+$/, "");
}

/** @param {string} folder @param {LoadOptions} [options] @returns {Place} */
export function folderPlace(folder, { onProgress, signal } = {}) {
  /** @param {string} file */
  const at = (file) => (file.startsWith("/") ? file : `${folder}/${file}`);
  /** @type {Place["read"]} */
  const read = async (file) => {
    const fs = await import("node:fs/promises");
    try {
      const bytes = new Uint8Array(await fs.readFile(at(file), { signal }));
      onProgress?.({ file, loaded: bytes.length, total: bytes.length });
      return bytes;
    } catch (error) {
      if (signal?.aborted) throw new AbortedError();
      if (isMissing(error)) return undefined;
      throw new ModelNotFoundError(`${at(file)} cannot be read: ${reason(error)}`);
    }
  };
  /** @type {Place["has"]} */
  const has = async (file) => {
    const fs = await import("node:fs/promises");
    return fs.stat(at(file)).then((found) => found.isFile()).catch(() => false);
  };
  return { name: folder, local: true, at, has, read, readText: texts(read) };
}

/** @param {unknown} error */
function isMissing(error) {
  const code = /** @type {{ code?: string }} */ (error).code ?? "";
  return ["ENOENT", "ENOTDIR", "EISDIR"].includes(code);
}

/** @param {string} address @param {LoadOptions} [options] @returns {Place} */
export function addressPlace(address, { onProgress, signal } = {}) {
  const base = address.replace(/\/+$/, "");
  /** @param {string} file */
  const at = (file) => (isAddress(file) ? file : `${base}/${file}`);
  /** @type {Place["has"]} */
  const has = async (file) => {
    const answer = await get(at(file), { method: "HEAD", signal });
    return answer.ok;
  };
  /** @type {Place["read"]} */
  const read = async (file) => {
    const answer = await get(at(file), { signal });
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw new HubError(`${at(file)} answered ${answer.status}: try again later`);
    return body(answer, (loaded, total) => onProgress?.({ file, loaded, total }), signal);
  };
  return { name: address, local: false, at, has, read, readText: texts(read) };
}

/**
 * A request; the hub's token goes along where one is set, and to the hub alone.
 *
 * @param {string} address
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 * @throws {HubError} the address could not be reached
 */
export async function get(address, init = {}) {
  const token = IN_NODE ? process.env.HF_TOKEN : undefined;
  const own = token && address.startsWith(`${hubEndpoint()}/`);
  const headers = own ? { authorization: `Bearer ${token}` } : undefined;
  try {
    return await fetch(address, { ...init, signal: init.signal ?? null, headers });
  } catch (error) {
    if (init.signal?.aborted) throw new AbortedError();
    throw new HubError(
      `${address} could not be reached (${reason(error)}): check the connection and the address`,
    );
  }
}

/**
 * The bytes of an answer, told as they come.
 *
 * @param {Response} answer
 * @param {(loaded: number, total: number | undefined) => void} tell
 * @param {AbortSignal} [signal]
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function body(answer, tell, signal) {
  const total = Number(answer.headers.get("content-length")) || undefined;
  /** @type {Uint8Array[]} */
  const parts = [];
  let loaded = 0;
  try {
    const reader = answer.body?.getReader();
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      parts.push(part.value);
      loaded += part.value.length;
      tell(loaded, total);
    }
  } catch (error) {
    if (signal?.aborted) throw new AbortedError();
    throw new HubError(`the download of ${answer.url} broke off (${reason(error)}): run it again`);
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** @param {Place["read"]} read @returns {Place["readText"]} */
function texts(read) {
  return async (file) => {
    const bytes = await read(file);
    // Files of vocabularies and the like are UTF-8, a mark of byte order being a token's own.
    return bytes && new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  };
}

/**
 * The place of one file, and its name there.
 *
 * @param {string} path path, or address of a page
 * @returns {{ place: Place, file: string }}
 */
export function placeOfFile(path) {
  if (!path) throw new InputError("the path is empty");
  const file = /** @type {string} */ (path.split(/[\\/]/).pop());
  const folder = path.slice(0, path.length - file.length) || "./";
  const place = IN_NODE && !isAddress(path) ? folderPlace(folder.replace(/(.)[\\/]+$/, "$1")) : addressPlace(folder);
  return { place, file };
}
