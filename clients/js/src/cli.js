/** `npx potstill`: `ask`, `classify`, `tag`, `download`. Exit status 0, 1 (the work failed) or 2 (usage). */

import { ASK, ask } from "./cli/ask.js";
import { UsageError, parsed } from "./cli/flags.js";
import { CLASSIFY, TAG, classify, tag } from "./cli/labels.js";
import { progress, say } from "./cli/streams.js";
import { PotstillError } from "./errors.js";
import { FORMATS, download } from "./hub.js";
import { RuntimeType } from "./model.js";
import { AGGREGATIONS } from "./options.js";

const RUNTIMES = Object.values(RuntimeType).filter((name) => name !== RuntimeType.Remote);
const HELP = `Usage: potstill COMMAND

  ask QUESTION [FILE]...   answer QUESTION from FILEs, a text, or standard input
                           a FILE may be a folder: text, Markdown and HTML in it are read
    --context TEXT         ask this text
    --model MODEL          a folder, an address or a hub id
    --top-k N              most answers
    --max-answer-length N  longest answer in tokens
    --no-answer            let "no answer" win, whatever the model was trained for
    --any                  give the best span, though the model may say that there is no answer

  classify [TEXT]...       say which labels each TEXT, or standard input, has
    --model MODEL          a text classifier
    --pair TEXT            the second text, for a model of pairs
    --top-k N              most labels of a text
    --threshold X          of every label, where a text may have several
    --windows N            read a long text in so many windows; 0 for as many as it takes

  tag [TEXT]               find the labelled spans of TEXT, or of standard input
    --model MODEL          a model that tags
    --aggregation NAME     ${AGGREGATIONS.join(", ")}; default first
    --words                take the text as words parted by white space, a sentence a line

  all three
    --runtime NAME         ${RUNTIMES.join(", ")}
    --threads N            threads; by default one for each core
    --json                 print JSON; places are in UTF-16 units, half-open

  download MODEL           download a model from the hub
    --dir DIR              into DIR/MODEL; default ./.models
    --format NAME          ${Object.keys(FORMATS).join(", ")}; default onnx
    --revision NAME        branch, tag or commit; default main

  --help, --version`;

/** @typedef {(alone: string[], values: Record<string, string>) => Promise<number>} Verb */

/** @type {Record<string, [Record<string, boolean>, Verb]>} */
const COMMANDS = {
  ask: [ASK, ask],
  classify: [CLASSIFY, classify],
  tag: [TAG, tag],
  download: [{ dir: true, format: true, revision: true }, fetchModel],
};

/**
 * @param {string[]} args
 * @returns {Promise<number>} the exit status
 */
export async function main(args) {
  const [command, ...rest] = args;
  try {
    if (command === "--version") return await version();
    if (!command || command === "--help" || rest.includes("--help")) {
      say(`${HELP}\n`);
      return command ? 0 : 2;
    }
    if (!Object.hasOwn(COMMANDS, command)) throw new UsageError(`there is no command '${command}'`);
    const [flags, run] = COMMANDS[command];
    return await run(...parsed(rest, flags));
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
  say(`${JSON.parse(json).version}\n`);
  return 0;
}

/** @param {string[]} alone @param {Record<string, string>} values */
async function fetchModel([model, ...more], values) {
  if (model === undefined || more.length) throw new UsageError("download takes one MODEL");
  const format = /** @type {keyof typeof FORMATS | undefined} */ (values.format);
  const { dir, revision } = values;
  const folder = await download(model, { dir, format, revision, onProgress: progress() });
  say(`${folder}\n`);
  return 0;
}
