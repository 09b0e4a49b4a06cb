/** What is particular to each head that this package runs: whatever else names a task asks here. */

import { ModelError } from "./errors.js";

/** @typedef {"qa" | "classification" | "tagging"} HeadName */
/** @typedef {{ startLogits?: string, endLogits?: string, logits?: string }} OutputsNames */

/**
 * @typedef {object} Output
 * @property {keyof OutputsNames} option that names it
 * @property {string[]} names it has in files, the usual one first
 */

/**
 * @typedef {object} Head
 * @property {string} task as manifests call it
 * @property {string} title of a model that has it
 * @property {string} client that such a model is opened with
 * @property {string} architecture end of Hugging Face's class names
 * @property {number} number in the engine: `potstill_head` of native/include/potstill.h
 * @property {boolean} byToken whether it speaks of every token; otherwise of the whole row
 * @property {Record<string, Output>} outputs by our names, in the order in which the engine gives them
 * @property {number} seqLen longest row, where a folder has no manifest
 */

/** @type {Readonly<Record<HeadName, Head>>} */
export const HEADS = Object.freeze({
  qa: {
    task: "question-answering",
    title: "a question-answering model",
    client: "QAClient",
    architecture: "ForQuestionAnswering",
    number: 0,
    byToken: true,
    outputs: {
      start: { option: "startLogits", names: ["start_logits", "output_0"] },
      end: { option: "endLogits", names: ["end_logits", "output_1"] },
    },
    seqLen: 384,
  },
  classification: {
    task: "text-classification",
    title: "a text classifier",
    client: "Classifier",
    architecture: "ForSequenceClassification",
    number: 1,
    byToken: false,
    outputs: { logits: { option: "logits", names: ["logits", "output_0"] } },
    seqLen: Infinity,
  },
  tagging: {
    task: "token-classification",
    title: "a model that tags",
    client: "Tagger",
    architecture: "ForTokenClassification",
    number: 2,
    byToken: true,
    outputs: { logits: { option: "logits", names: ["logits", "output_0"] } },
    seqLen: 384,
  },
});

const NAMES = /** @type {HeadName[]} */ (Object.keys(HEADS));

/**
 * The head of a model folder.
 *
 * @param {string} where the folder, for messages
 * @param {string | undefined} task that its manifest names, where it has one
 * @param {unknown} architectures of its config.json
 * @param {HeadName} [wanted] by whoever opens it
 * @returns {HeadName} where the folder says nothing, what is wanted, or question answering
 * @throws {ModelError} it is for another task
 */
export function headOf(where, task, architectures, wanted) {
  if (task !== undefined) {
    const head = NAMES.find((name) => HEADS[name].task === task);
    if (head) return checkHead(where, head, wanted);
    throw new ModelError(`${where} is a model for ${task}, which this package does not run`);
  }
  const classes = Array.isArray(architectures) ? architectures.map(String) : [];
  const head = NAMES.find((name) => classes.some((one) => one.endsWith(HEADS[name].architecture)));
  if (head) return checkHead(where, head, wanted);
  // A reader's tokenizer may come from the folder of any model; labels belong to their own.
  const other = classes.find((one) => /For[A-Z]\w*$/.test(one));
  if (other && wanted && wanted !== "qa") {
    throw new ModelError(`${where} is not ${HEADS[wanted].title}: its config.json says ${other}`);
  }
  return wanted ?? "qa";
}

/**
 * @param {string} where
 * @param {HeadName} head that a model has
 * @param {HeadName | undefined} wanted
 * @returns {HeadName}
 * @throws {ModelError} they differ
 */
export function checkHead(where, head, wanted) {
  if (wanted === undefined || head === wanted) return head;
  const { title, client } = HEADS[head];
  throw new ModelError(`${where} is ${title}: open it with ${client}`);
}
