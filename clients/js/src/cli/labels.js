/** `potstill classify` and `potstill tag`: texts, and the labels they or their parts have. */

import { Classifier } from "../classification.js";
import { EmptyInputError } from "../errors.js";
import { AGGREGATIONS } from "../options.js";
import { Tagger } from "../tagging.js";
import { UsageError, whole } from "./flags.js";
import { note, progress, safe, say, standardText } from "./streams.js";

/** @import { Classification } from "../classification.js" */
/** @import { Entity } from "../entities.js" */

const OPENING = { model: true, runtime: true, threads: true, json: false };
/** Flags → whether a value follows. */
export const CLASSIFY = { ...OPENING, pair: true, "top-k": true, threshold: true, windows: true };
/** Flags → whether a value follows. */
export const TAG = { ...OPENING, aggregation: true, words: false };

/** @param {Record<string, string>} values */
function opening(values) {
  if (values.model === undefined) throw new UsageError("--model is needed: a folder, an address or a hub id");
  const runtime = /** @type {any} */ (values.runtime);
  return { model: values.model, runtime, threads: whole(values, "threads"), onProgress: progress() };
}

/** @param {string[]} alone @param {Record<string, string>} values */
export async function classify(alone, values) {
  const { pair } = values;
  if (pair !== undefined && alone.length > 1) throw new UsageError("--pair goes with one TEXT");
  const topK = whole(values, "top-k");
  const maxWindows = whole(values, "windows", 0);
  const threshold = values.threshold === undefined ? undefined : Number(values.threshold);
  const opened = opening(values);
  const texts = [];
  for (const one of alone.length ? alone : ["-"]) texts.push(one === "-" ? await standardText("a TEXT") : one);
  const classifier = await Classifier.fromOptions({ ...opened, threshold, maxWindows });
  try {
    const asked = pair === undefined ? texts : [/** @type {[string, string]} */ ([texts[0], pair])];
    const found = await classifier.classifyMany(asked);
    sayCut(found, classifier.options);
    const cut = found.map((one) => ({ ...one, labels: one.labels.slice(0, topK) }));
    say(values.json ? `${JSON.stringify(cut.length > 1 ? cut : cut[0])}\n` : labelled(cut, texts));
  } finally {
    await classifier.dispose();
  }
  return 0;
}

/** @param {Classification[]} found @param {{ seqLen: number, maxWindows: number }} options */
function sayCut(found, { seqLen, maxWindows }) {
  const n = found.filter((one) => one.truncated).length;
  if (!n) return;
  const several = maxWindows > 1;
  note(
    `${n} of ${found.length} texts are longer than the ${several ? `${maxWindows} windows of ` : ""}${seqLen} tokens ` +
      `that are read: ${several ? "parts" : "their ends"} were left out; --windows 0 reads all`,
  );
}

/** @param {Classification[]} found @param {string[]} texts */
function labelled(found, texts) {
  const several = found.length > 1;
  return found
    .map(({ labels }, i) => {
      const rows = labels.map(({ label, score, chosen }) => {
        return `${several ? "  " : ""}${chosen ? "*" : " "} ${score.toFixed(3)}  ${shown(label)}\n`;
      });
      return `${several ? `${shown(texts[i])}\n` : ""}${rows.join("")}`;
    })
    .join("");
}

/** One line of no great length. @param {string} text */
function shown(text) {
  const line = safe(text).trim();
  return line.length <= 80 ? line : `${line.slice(0, 79)}…`;
}

/** @param {string[]} alone @param {Record<string, string>} values */
export async function tag([given, ...more], values) {
  if (more.length) throw new UsageError("tag takes one TEXT: put quotation marks around it");
  const aggregation = /** @type {any} */ (values.aggregation);
  if (aggregation !== undefined && !AGGREGATIONS.includes(aggregation)) {
    throw new UsageError(`--aggregation must be one of ${AGGREGATIONS.join(", ")}, not '${aggregation}'`);
  }
  const opened = opening(values);
  const text = given === undefined || given === "-" ? await standardText("a TEXT") : given;
  const tagger = await Tagger.fromOptions({ ...opened, aggregation });
  try {
    if (values.words) say(await byWord(tagger, text, Boolean(values.json)));
    else {
      const found = await tagger.tag(text);
      say(values.json ? `${JSON.stringify(found)}\n` : spans(found));
    }
  } finally {
    await tagger.dispose();
  }
  return 0;
}

/** @param {Entity[]} found */
function spans(found) {
  if (!found.length) return "Nothing found.\n";
  const width = Math.max(...found.map(({ label }) => label.length));
  return found
    .map(({ text, label, score, start, end }) => {
      return `${score.toFixed(2)}  ${label.padEnd(width)}  ${safe(text)}  ${start}:${end}\n`;
    })
    .join("");
}

/** A word and its tag a line. @param {Tagger} tagger @param {string} text @param {boolean} json */
async function byWord(tagger, text, json) {
  const sentences = text.split(/\r?\n/).map((line) => line.split(/\s+/).filter(Boolean)).filter(({ length }) => length);
  if (!sentences.length) throw new EmptyInputError("the text is empty: give one with words to tag");
  const tagged = await tagger.tagWordsMany(sentences);
  const rows = sentences.map((words, i) => words.map((word, j) => ({ word, tag: tagged[i][j] })));
  if (json) return `${JSON.stringify(rows)}\n`;
  return rows.map((own) => own.map(({ word, tag: one }) => `${safe(word)}\t${one}\n`).join("")).join("\n");
}
