/** Paths → texts: files, and all files of folders, each read or named with a reason, as Python's verbs do. */

import { reason } from "../errors.js";
import { htmlText } from "./html.js";

/**
 * @typedef {object} Document
 * @property {string} name the path, as it was given or found
 * @property {string} text offsets of answers point into it
 * @property {boolean} lines whether the file is one of lines, so that a place has a line
 */

/** @typedef {{ name: string, reason: string }} Skipped a file that was not read */

/** Folders that hold what programs keep for themselves, as hidden ones do. */
const PASSED_OVER = new Set(["node_modules", "__pycache__", "__MACOSX"]);
const LARGEST = 100_000_000;
/** Bytes at the beginning of a file that tell whether it is text. */
const HEAD = 8192;

/** @param {string} names @param {string} why @returns {[string, string][]} */
const all = (names, why) => names.split(" ").map((name) => [name, why]);
const ELSEWHERE = "is not read here: `potstill ask` of the Python package reads it";
/** End of a name → why such a file is not read. */
const UNREAD = new Map([
  ...all("png jpg jpeg gif webp bmp tif tiff ico svg heic", "it is a picture"),
  ...all("mp3 wav flac ogg mp4 mov avi mkv webm m4a", "it is a recording"),
  ...all("zip tar tgz 7z rar bz2 gz xz jar whl iso dmg", "it is an archive"),
  ...all("pdf docx docm odt odp pptx xlsx xlsm xlsb xls ods epub eml ipynb", ""),
  ...all("doc rtf", "it is not read: save it as text"),
]);
const HTML = new Set(["html", "htm", "xhtml"]);

/**
 * Reads files and folders, hidden files passed over below a folder, links to folders not followed.
 *
 * @param {string[]} paths
 * @returns {Promise<{ found: Document[], skipped: Skipped[] }>}
 */
export async function readDocuments(paths) {
  /** @type {Document[]} */
  const found = [];
  /** @type {Skipped[]} */
  const skipped = [];
  for (const path of paths) {
    for await (const file of below(path)) {
      const one = typeof file === "string" ? await readOne(file) : file;
      if ("reason" in one) skipped.push(one);
      else found.push(one);
    }
  }
  return { found, skipped };
}

/**
 * The files below a path, in an order that does not depend on the machine.
 *
 * @param {string} path
 * @returns {AsyncGenerator<string | Skipped>}
 */
async function* below(path) {
  const fs = await import("node:fs/promises");
  const { join } = await import("node:path");
  if (/^https?:\/\//.test(path)) {
    yield { name: path, reason: "addresses are not fetched: download it" };
    return;
  }
  let entries;
  try {
    if (!(await fs.stat(path)).isDirectory()) {
      yield path;
      return;
    }
    entries = await fs.readdir(path, { withFileTypes: true });
  } catch (error) {
    yield { name: path, reason: why(error) };
    return;
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const inside = [];
  for (const entry of entries) {
    const name = join(path, entry.name);
    if (entry.name.startsWith(".") || entry.name.startsWith("~$") || PASSED_OVER.has(entry.name)) continue;
    const target = entry.isSymbolicLink() ? await fs.stat(name).catch(() => undefined) : entry;
    if (!target) yield { name, reason: "it is a link that leads nowhere" };
    else if (!target.isDirectory()) yield name;
    else if (entry.isSymbolicLink()) yield { name, reason: "it is a link to a folder: name that itself" };
    else inside.push(name);
  }
  for (const folder of inside) yield* below(folder);
}

/** @param {string} name @returns {Promise<Document | Skipped>} */
async function readOne(name) {
  const fs = await import("node:fs/promises");
  const end = /\.([a-z0-9]+)$/i.exec(name)?.[1].toLowerCase() ?? "";
  const known = UNREAD.get(end);
  if (known !== undefined) return { name, reason: known || `.${end} ${ELSEWHERE}` };
  try {
    const about = await fs.stat(name);
    if (!about.isFile()) return { name, reason: "it is not a regular file" };
    if (about.size > LARGEST) return { name, reason: "it is larger than 100 MB: split it" };
    return { name, ...textOf(await fs.readFile(name), end) };
  } catch (error) {
    return { name, reason: why(error) };
  }
}

/**
 * The text of a file's bytes.
 *
 * @param {Uint8Array} bytes
 * @param {string} [end] of its name, where it has one
 * @returns {{ text: string, lines: boolean } | { reason: string }} or why there is none
 */
export function textOf(bytes, end = "") {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, HEAD));
  if (head.startsWith("%PDF-")) return { reason: `a PDF ${ELSEWHERE}` };
  const isHtml = HTML.has(end) || /^\s*(<!doctype html|<html)/i.test(head);
  const text = decoded(bytes, head, isHtml);
  if (text === undefined) {
    const binary = head.includes("\0");
    return { reason: binary ? "it is not text" : "it is not UTF-8: convert it, for example with iconv" };
  }
  const plain = isHtml ? htmlText(text) : text;
  if (plain.trim()) return { text: plain, lines: !isHtml };
  return { reason: text.trim() ? "it holds no text" : "it is empty" };
}

/**
 * @param {Uint8Array} bytes
 * @param {string} head
 * @param {boolean} isHtml whether it may name its encoding
 * @returns {string | undefined}
 */
function decoded(bytes, head, isHtml) {
  const mark = head.startsWith("\xff\xfe") ? "utf-16le" : head.startsWith("\xfe\xff") ? "utf-16be" : "";
  if (!mark && head.includes("\0")) return undefined;
  const named = isHtml ? /charset\s*=\s*["']?\s*([a-z0-9_:.-]+)/i.exec(head.slice(0, 1024))?.[1] : undefined;
  for (const encoding of mark ? [mark] : ["utf-8", named]) {
    if (!encoding) continue;
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes);
    } catch {
      // It is in another encoding, or names one that there is not.
    }
  }
  return undefined;
}

/** @param {unknown} error */
function why(error) {
  const { code = "" } = /** @type {{ code?: string }} */ (error);
  const known = { ENOENT: "it does not exist", EACCES: "permission denied", EISDIR: "it is a folder" };
  return known[/** @type {keyof typeof known} */ (code)] ?? reason(error);
}
