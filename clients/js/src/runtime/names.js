/** The names of a model's inputs and outputs in its own file. */

/**
 * @typedef {object} InputsNames
 * @property {string} [ids]
 * @property {string} [attentionMask]
 * @property {string} [tokenTypeIds]
 */

/** @typedef {{ startLogits?: string, endLogits?: string }} OutputsNames */

/**
 * @typedef {object} Names
 * @property {InputsNames} [inputsNames]
 * @property {OutputsNames} [outputsNames]
 */

/**
 * Our names of what a batch holds → the model's own.
 *
 * @param {string[]} inputs of the model
 * @param {InputsNames} [given]
 * @returns {[keyof import("../text/windows.js").Batch, string][] | undefined} undefined where the
 *   model wants something else
 */
export function inputsOf(inputs, given = {}) {
  /** @type {[keyof import("../text/windows.js").Batch, string][]} */
  const known = [
    ["inputIds", given.ids ?? "input_ids"],
    ["attentionMask", given.attentionMask ?? "attention_mask"],
    ["tokenTypeIds", given.tokenTypeIds ?? "token_type_ids"],
  ];
  const found = known.filter(([, name]) => inputs.includes(name));
  return found.length === inputs.length && found[0]?.[0] === "inputIds" ? found : undefined;
}

/**
 * The model's names of start and end logits.
 *
 * @param {string[]} outputs of the model
 * @param {OutputsNames} [given]
 * @returns {{ start: string, end: string } | undefined} undefined where it has none
 */
export function outputsOf(outputs, given = {}) {
  for (const [start, end] of [
    [given.startLogits, given.endLogits],
    ["start_logits", "end_logits"],
    ["output_0", "output_1"],
  ]) {
    if (start && end && outputs.includes(start) && outputs.includes(end)) return { start, end };
  }
  return undefined;
}

/**
 * @param {string} where
 * @param {string[]} inputs
 * @param {string[]} outputs
 */
export function notForQuestions(where, inputs, outputs) {
  const [takes, gives] = [inputs, outputs].map((names) => [...names].sort().join(", "));
  return `${where} is no question-answering model: it takes ${takes} and gives ${gives}`;
}
