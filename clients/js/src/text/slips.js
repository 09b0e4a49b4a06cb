/** Mistyped words: two letters swapped, one missing, or one too many. As potstill/text/slips.py. */

/** @typedef {import("./tokenizer.js").Encoded} Encoded */

const WORD = /\p{L}+/gu;
/** Letters of the shortest word that is looked at: too many others are near to shorter ones. */
const LEAST = 4;
/** Tokens of the longest question that is looked at. */
const LONGEST = 128;
/** Words of a question that are sought in its texts. */
const MOST = 4;

/**
 * Whether one word is the other with two letters swapped, one missing or one more, behind the first.
 *
 * @param {string} typed
 * @param {string} meant
 * @returns {boolean}
 */
export function isSlip(typed, meant) {
  const [one, other] = [[...typed], [...meant]];
  if (Math.min(one.length, other.length) < LEAST) return false;
  let same = 0;
  while (same < one.length && same < other.length && one[same] === other[same]) same++;
  if (!same || typed === meant) return false;
  const rest = one.slice(same).join("");
  const left = other.slice(same).join("");
  const without = one.slice(same + 1).join("");
  const swapped = [...one.slice(same + 1, same + 2), ...one.slice(same, same + 1), ...one.slice(same + 2)].join("");
  return without === left || other.slice(same + 1).join("") === rest || swapped === left;
}

/**
 * A question whose mistyped words are those of the texts that it is asked of.
 *
 * Only a word that the vocabulary does not have whole and no text has is taken for another one, and
 * only where exactly one word of the texts is a slip away. Nobody types a question that is longer
 * than `LONGEST`, or mistypes more than `MOST` words of one: what is beyond stays.
 *
 * @param {string} question as it was typed
 * @param {Encoded} encoded its tokens
 * @param {string[]} texts
 * @returns {string}
 */
export function mended(question, encoded, texts) {
  if (encoded.ids.length > LONGEST) return question;
  /** @type {string[] | undefined} */
  let lowered;
  let sought = 0;
  return question.replace(WORD, (word, start) => {
    const typed = word.toLowerCase();
    if (sought === MOST || [...typed].length < LEAST || isKnown(encoded, start, start + word.length)) return word;
    lowered ??= texts.map((text) => text.toLowerCase());
    if (lowered.some((text) => text.includes(typed))) return word;
    sought++;
    return meantBy(typed, texts) ?? word;
  });
}

/** @param {Encoded} encoded @param {number} start @param {number} end @returns {boolean} */
function isKnown({ offsets }, start, end) {
  let n = 0;
  for (let i = 0; i < offsets.length; i += 2) n += Number(offsets[i] >= start && offsets[i + 1] <= end);
  return n < 2;
}

/** @param {string} typed @param {string[]} texts @returns {string | undefined} */
function meantBy(typed, texts) {
  /** @type {Map<string, string>} */
  const near = new Map();
  for (const text of texts) {
    for (const word of new Set(text.match(WORD))) {
      const lower = word.toLowerCase();
      if (!near.has(lower) && isSlip(typed, lower)) near.set(lower, word);
    }
  }
  return near.size === 1 ? [...near.values()][0] : undefined;
}
