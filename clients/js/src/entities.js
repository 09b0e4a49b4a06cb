/** Probabilities of every token → labelled spans of the text, by Hugging Face's strategies. */

import { withMarks } from "./reading.js";
import { best } from "./scores.js";
import { SPACES } from "./text/unicode.js";

/** @import { Encoded } from "./text/tokenizer.js" */

/**
 * How tokens become entities.
 *
 * `none`: every token by itself, with its own tag. The others join neighbours of one type, a new span
 * beginning where a tag begins with `B-`: `simple` joins tokens, the rest whole words, each with the tag
 * of its `first` token, of the token that is surest (`max`), or of the mean of its tokens' probabilities
 * (`average`).
 *
 * @typedef {"none" | "simple" | "first" | "max" | "average"} Aggregation
 */

/**
 * A labelled span of a text: `text.slice(start, end)`.
 *
 * @typedef {object} Entity
 * @property {string} text
 * @property {string} label
 * @property {number} score mean probability of its tokens or words
 * @property {number} start in UTF-16 units of the caller's own string
 * @property {number} end one past the last
 */

/** @typedef {{ tag: string, score: number, first: number, last: number }} Unit a token or a word */

/** What stands outside all entities. */
export const OUTSIDE = "O";

const PREFIX = /^[BIESLU]-/;
const OPENS = /^[BSU]-/;
const LEADING = new RegExp(`^[${SPACES}]*`);
const TRAILING = new RegExp(`[${SPACES}]*$`);

/**
 * The labelled spans of a text, in order.
 *
 * @param {string} text that was read
 * @param {Encoded} encoded its tokens
 * @param {number[][]} probabilities of every label, for each token
 * @param {string[]} labels
 * @param {{ aggregation: Aggregation, ignore: readonly string[] }} options `ignore`: tags and types to
 *   leave out
 * @returns {Entity[]}
 */
export function entities(text, encoded, probabilities, labels, { aggregation, ignore }) {
  const byToken = aggregation === "none" || aggregation === "simple";
  /** @type {Unit[]} */
  const units = [];
  for (let first = 0; first < encoded.ids.length; ) {
    let last = first;
    while (!byToken && last + 1 < encoded.ids.length && encoded.words[last + 1] === encoded.words[first]) last++;
    units.push(unitOf(probabilities.slice(first, last + 1), labels, first, last, aggregation));
    first = last + 1;
  }
  const groups = aggregation === "none" ? units.map((unit) => [unit]) : grouped(units);
  return groups
    .map((group) => entityOf(text, encoded, group, aggregation === "none" ? group[0].tag : typeOf(group[0].tag)))
    .filter((entity) => entity.text && !ignore.includes(entity.label));
}

/**
 * @param {number[][]} own probabilities of its tokens
 * @param {string[]} labels
 * @param {number} first
 * @param {number} last
 * @param {Aggregation} aggregation
 * @returns {Unit}
 */
function unitOf(own, labels, first, last, aggregation) {
  let scores = own[0];
  if (aggregation === "max") scores = own[best(own.map((row) => Math.max(...row)))];
  if (aggregation === "average") {
    scores = scores.map((_, i) => own.reduce((sum, row) => sum + row[i], 0) / own.length);
  }
  const at = best(scores);
  return { tag: labels[at], score: scores[at], first, last };
}

/** @param {Unit[]} units @returns {Unit[][]} */
function grouped(units) {
  /** @type {Unit[][]} */
  const groups = [];
  for (const unit of units) {
    const before = groups.at(-1)?.at(-1);
    const same = before && typeOf(before.tag) === typeOf(unit.tag);
    if (same && !OPENS.test(unit.tag)) groups.at(-1)?.push(unit);
    else groups.push([unit]);
  }
  return groups;
}

/** @param {string} tag */
function typeOf(tag) {
  return tag.replace(PREFIX, "");
}

/** @param {string} text @param {Encoded} encoded @param {Unit[]} group @param {string} label @returns {Entity} */
function entityOf(text, encoded, group, label) {
  const last = group[group.length - 1].last;
  let start = encoded.offsets[2 * group[0].first];
  let end = withMarks(text, encoded.offsets[2 * last + 1], encoded, last + 1);
  // Byte-level tokens may hold the blank before a word.
  /** @param {RegExp} ends */
  const blanks = (ends) => ends.exec(text.slice(start, end))?.[0].length ?? 0;
  start += blanks(LEADING);
  end -= blanks(TRAILING);
  const score = group.reduce((sum, unit) => sum + unit.score, 0) / group.length;
  return { text: text.slice(start, end), label, score, start, end };
}
