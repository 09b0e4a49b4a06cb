/** `potstill ask`: a question, answered from files, a text or standard input. */

import { APART } from "../documents/html.js";
import { readDocuments, textOf } from "../documents/files.js";
import { EmptyInputError, InputError } from "../errors.js";
import { QAClient } from "../qa.js";
import { UsageError, whole } from "./flags.js";
import { note, progress, safe, say, standardInput } from "./streams.js";

/** @import { Document, Skipped } from "../documents/files.js" */
/** @import { Answer } from "../reading.js" */

/** Flags → whether a value follows. */
export const ASK = {
  context: true,
  model: true,
  "top-k": true,
  "max-answer-length": true,
  "no-answer": false,
  any: false,
  runtime: true,
  threads: true,
  json: false,
};

/** Files that are named of those that were skipped. */
const NAMED = 10;
/** Most units of a sentence shown on either side of an answer. */
const SHOWN = 240;
/** Of an answer, of it in its sentence, of its place; and none. */
const COLOURS = ["\x1b[1;32m", "\x1b[1;4;32m", "\x1b[2m", "\x1b[0m"];
const SENTENCE_END = /(?<=[.!?…])["'”’)\]]*\s+|\n\s*\n/g;
const ROW_END = /\n/g;

/** @param {string[]} alone @param {Record<string, string>} values */
export async function ask([question, ...files], values) {
  if (question === undefined) throw new UsageError("ask needs a QUESTION");
  const [topK, maxAnswerLength] = [whole(values, "top-k"), whole(values, "max-answer-length")];
  const threads = whole(values, "threads");
  const noAnswer = values.any ? false : values["no-answer"] ? true : undefined;
  const documents = await read(files, values.context);
  const client = await QAClient.fromOptions({
    model: values.model,
    threads,
    runtime: /** @type {any} */ (values.runtime),
    onProgress: progress(),
  });
  try {
    /** @type {any} */
    const found = await client.predict(
      question,
      documents.map(({ text }) => text),
      { topK, maxAnswerLength, noAnswer },
    );
    /** @type {Answer[]} */
    const answers = Array.isArray(found) ? found : found ? [found] : [];
    say(values.json ? json(answers, documents) : people(answers, documents));
  } finally {
    await client.dispose();
  }
  return 0;
}

/**
 * The texts to ask; what was not read is said.
 *
 * @param {string[]} paths
 * @param {string | undefined} context
 * @returns {Promise<Document[]>}
 */
async function read(paths, context) {
  /** @type {Document[]} */
  const found = context === undefined ? [] : [{ name: "context", text: context, lines: false }];
  /** @type {Skipped[]} */
  const skipped = [];
  for (const path of paths.length || found.length ? paths : ["-"]) {
    if (path === "-") {
      const name = "standard input";
      const one = textOf(await standardInput("a FILE, --context"));
      if ("reason" in one) skipped.push({ name, reason: one.reason });
      else found.push({ name, ...one });
      continue;
    }
    const below = await readDocuments([path]);
    found.push(...below.found);
    skipped.push(...below.skipped);
  }
  if (!found.length) {
    const [first] = skipped;
    if (!first) throw new EmptyInputError("there is no text to ask: the folder holds no files");
    const more = skipped.length > 1 ? ` (and ${skipped.length - 1} files more)` : "";
    throw new InputError(`there is no text to ask: ${safe(first.name)}: ${first.reason}${more}`);
  }
  for (const { name, reason } of skipped.slice(0, NAMED)) note(`skipped: ${name}: ${reason}`);
  if (skipped.length > NAMED) note(`skipped: ${skipped.length - NAMED} files more`);
  return found;
}

/** @param {Answer[]} answers @param {Document[]} documents */
function json(answers, documents) {
  const rows = answers.map(({ text: answer, score, start, end, source = 0 }) => {
    const { name, text } = documents[source];
    const [before, after] = surroundings(text, start, end);
    return { answer, score, start, end, source: name, sentence: before + answer + after };
  });
  return `${JSON.stringify(rows)}\n`;
}

/** @param {Answer[]} answers @param {Document[]} documents */
function people(answers, documents) {
  if (!answers.length) return "No answer.\n";
  const [bold, line, dim, plain] = process.stdout.isTTY ? COLOURS : ["", "", "", ""];
  return answers
    .map(({ text, score, start, end, source = 0 }) => {
      const { name, text: all, lines } = documents[source];
      const place = lines ? `${name}:${all.slice(0, start).split("\n").length}` : name;
      const [before, after] = surroundings(all, start, end);
      const sentence = `${safe(before)}${line}${safe(text)}${plain}${safe(after)}`;
      return `${bold}${safe(text)}${plain}\n  ${sentence}\n  ${dim}${score.toFixed(2)}  ${safe(place)}${plain}\n`;
    })
    .join("");
}

/**
 * What stands before and after an answer in its sentence, or in its row of a table.
 *
 * @param {string} text
 * @param {number} start
 * @param {number} end
 * @returns {[string, string]}
 */
function surroundings(text, start, end) {
  const [first, last] = [Math.max(0, start - SHOWN), Math.min(text.length, end + SHOWN)];
  const near = text.slice(first, last);
  const border = near.includes(APART) ? ROW_END : SENTENCE_END;
  const ends = [...near.matchAll(border)].map((match) => [first + match.index, first + match.index + match[0].length]);
  const begun = ends.filter(([, stop]) => stop <= start).at(-1)?.[1];
  const over = ends.find(([at]) => at >= end)?.[0];
  const [cutBefore, cutAfter] = [begun === undefined && first > 0, over === undefined && last < text.length];
  const before = (cutBefore ? "…" : "") + text.slice(begun ?? first, start);
  const after = text.slice(end, over ?? last) + (cutAfter ? "…" : "");
  return [before.trimStart(), after.trimEnd()];
}
