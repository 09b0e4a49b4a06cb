/** `npx potstill`: `ask` and `download`. Exit status 0, 1 (the work failed) or 2 (usage). */

import { PotstillError, InputError } from "./errors.js";
import { FORMATS, download } from "./hub.js";
import { QAClient } from "./qa.js";

/** @import { Progress } from "./places.js" */
/** @import { Answer } from "./reading.js" */

const HELP = `Usage: potstill COMMAND

  ask QUESTION [FILE]...   answer QUESTION from FILEs, a text, or standard input
    --context TEXT         ask this text
    --model MODEL          a folder, an address or a hub id
    --top-k N              most answers
    --max-answer-length N  longest answer in tokens
    --no-answer            let "no answer" win, whatever the model was trained for
    --any                  give the best span, though the model may say that there is no answer
    --runtime NAME         onnx, tfjs, saved_model
    --threads N            threads; by default one for each core
    --json                 print one JSON list; places are in UTF-16 units, half-open

  download MODEL           download a model from the hub
    --dir DIR              into DIR/MODEL; default ./.models
    --format NAME          ${Object.keys(FORMATS).join(", ")}; default onnx
    --revision NAME        branch, tag or commit; default main

  --help, --version`;

/** Flags of each command → whether a value follows. */
const FLAGS = {
  ask: {
    context: true,
    model: true,
    "top-k": true,
    "max-answer-length": true,
    "no-answer": false,
    any: false,
    runtime: true,
    threads: true,
    json: false,
  },
  download: { dir: true, format: true, revision: true },
};

/** The command line was wrong. */
class UsageError extends Error {}

/**
 * @param {string[]} args
 * @returns {Promise<number>} the exit status
 */
export async function main(args) {
  const [command, ...rest] = args;
  try {
    if (command === "--version") return await version();
    if (!command || command === "--help" || rest.includes("--help")) {
      process.stdout.write(`${HELP}\n`);
      return command ? 0 : 2;
    }
    if (command === "ask") return await ask(...parsed(rest, FLAGS.ask));
    if (command === "download") return await fetchModel(...parsed(rest, FLAGS.download));
    throw new UsageError(`there is no command '${command}'`);
  } catch (error) {
    if (!(error instanceof PotstillError || error instanceof UsageError)) throw error;
    const usage = error instanceof UsageError;
    process.stderr.write(`potstill: ${error.message}${usage ? "; see potstill --help" : ""}\n`);
    return usage ? 2 : 1;
  }
}

async function version() {
  const { readFile } = await import("node:fs/promises");
  const json = await readFile(new URL("../package.json", import.meta.url), "utf8");
  process.stdout.write(`${JSON.parse(json).version}\n`);
  return 0;
}

/**
 * @param {string[]} args
 * @param {Record<string, boolean>} flags
 * @returns {[string[], Record<string, string>]} what stands alone, and the flags' values
 */
function parsed(args, flags) {
  /** @type {string[]} */
  const alone = [];
  /** @type {Record<string, string>} */
  const values = {};
  for (let i = 0; i < args.length; i++) {
    if (!args[i].startsWith("--")) {
      alone.push(args[i]);
      continue;
    }
    const [name, ...rest] = args[i].slice(2).split("=");
    if (!(name in flags)) throw new UsageError(`there is no option --${name}`);
    if (!flags[name]) values[name] = "true";
    else if (rest.length) values[name] = rest.join("=");
    else if (i + 1 < args.length) values[name] = args[++i];
    else throw new UsageError(`--${name} needs a value`);
  }
  return [alone, values];
}

/** @param {Record<string, string>} values @param {string} name @returns {number | undefined} */
function whole(values, name) {
  if (values[name] === undefined) return undefined;
  const number = Number(values[name]);
  if (Number.isInteger(number) && number > 0) return number;
  throw new UsageError(`--${name} must be a whole number of at least 1, not '${values[name]}'`);
}

/** @param {string[]} alone @param {Record<string, string>} values */
async function ask([question, ...files], values) {
  if (question === undefined) throw new UsageError("ask needs a QUESTION");
  const [topK, maxAnswerLength] = [whole(values, "top-k"), whole(values, "max-answer-length")];
  const threads = whole(values, "threads");
  const sources = await read(files, values.context);
  const client = await QAClient.fromOptions({
    model: values.model,
    threads,
    runtime: /** @type {any} */ (values.runtime),
    onProgress: process.stderr.isTTY ? show : undefined,
  });
  try {
    /** @type {any} */
    const said = await client.predict(
      question,
      sources.map(({ text }) => text),
      { topK, maxAnswerLength, noAnswer: values.any ? false : values["no-answer"] ? true : undefined },
    );
    /** @type {Answer[]} */
    const answers = Array.isArray(said) ? said : said ? [said] : [];
    process.stdout.write(values.json ? json(answers, sources) : people(answers, sources));
  } finally {
    await client.dispose();
  }
  return 0;
}

/** @typedef {{ name: string, text: string }} Source */

/** @param {string[]} files @param {string | undefined} context @returns {Promise<Source[]>} */
async function read(files, context) {
  const { readFile } = await import("node:fs/promises");
  const sources = context === undefined ? [] : [{ name: "context", text: context }];
  const named = files.length || sources.length ? files : ["-"];
  for (const name of named) {
    if (name === "-" && process.stdin.isTTY) {
      throw new UsageError("give a FILE, --context, or text on standard input");
    }
    try {
      const bytes = name === "-" ? await standardInput() : await readFile(name);
      const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
      sources.push({ name: name === "-" ? "standard input" : name, text });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new InputError(`${name} cannot be read as UTF-8 text: ${why}`);
    }
  }
  return sources;
}

async function standardInput() {
  const parts = [];
  for await (const part of process.stdin) parts.push(part);
  return Buffer.concat(parts);
}

/** @param {Answer[]} answers @param {Source[]} sources */
function json(answers, sources) {
  const rows = answers.map(({ text, score, start, end, source = 0 }) => ({
    answer: text,
    score,
    start,
    end,
    source: sources[source].name,
  }));
  return `${JSON.stringify(rows)}\n`;
}

/** @param {Answer[]} answers @param {Source[]} sources */
function people(answers, sources) {
  if (!answers.length) return "No answer.\n";
  const [bold, plain] = process.stdout.isTTY ? ["\x1b[1;32m", "\x1b[0m"] : ["", ""];
  return answers
    .map(({ text, score, start, source = 0 }) => {
      const { name, text: whole_ } = sources[source];
      const line = whole_.slice(0, start).split("\n").length;
      const place = name === "context" ? name : `${name}:${line}`;
      return `${bold}${safe(text)}${plain}\n  ${score.toFixed(2)}  ${safe(place)}\n`;
    })
    .join("");
}

/** A text that cannot move a terminal's cursor. @param {string} text */
function safe(text) {
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ");
}

/** @param {string[]} alone @param {Record<string, string>} values */
async function fetchModel([model, ...more], values) {
  if (model === undefined || more.length) throw new UsageError("download takes one MODEL");
  const format = /** @type {keyof typeof FORMATS | undefined} */ (values.format);
  const { dir, revision } = values;
  const onProgress = process.stderr.isTTY ? show : undefined;
  const folder = await download(model, { dir, format, revision, onProgress });
  process.stdout.write(`${folder}\n`);
  return 0;
}

/** @param {Progress} progress */
function show({ file, loaded, total }) {
  const done = total ? `${Math.floor((100 * loaded) / total)}%` : `${loaded} bytes`;
  process.stderr.write(`\r\x1b[K${file} ${done}${loaded === total ? "\n" : ""}`);
}
