/** Tokens such as `[SEP]` that are found in a text before it is cut into words. */

import { IS_WHITE, kindTable } from "./unicode.js";

/**
 * @typedef {object} Added
 * @property {string} content
 * @property {number} id
 * @property {boolean} normalized whether it is looked for in the normalized text
 * @property {boolean} singleWord only where no word goes on before or after it
 * @property {boolean} lstrip takes the white space before it
 * @property {boolean} rstrip takes the white space after it
 */

/** @typedef {{ pattern: RegExp, byContent: Map<string, Added> } | undefined} Finder */

export class AddedTokens {
  /**
   * @param {Added[]} tokens
   * @param {(content: string) => string} normalize how the text is normalized
   */
  constructor(tokens, normalize) {
    /** @type {Map<string, number>} */
    this.ids = new Map(tokens.map((token) => [token.content, token.id]));
    /** @type {Map<number, string>} */
    this.texts = new Map(tokens.map((token) => [token.id, token.content]));
    this.raw = finder(tokens.filter((token) => !token.normalized));
    this.normal = finder(
      tokens
        .filter((token) => token.normalized)
        .map((token) => ({ ...token, content: normalize(token.content) })),
    );
  }

  /**
   * Cuts a text at its added tokens.
   *
   * @param {string} text
   * @param {Finder} found
   * @param {(start: number, stop: number, id?: number) => void} take is called with each part; with
   *   an id where it is a token
   */
  split(text, found, take) {
    let at = 0;
    if (found) {
      for (const match of text.matchAll(found.pattern)) {
        const token = /** @type {Added} */ (found.byContent.get(match[0]));
        let start = match.index;
        let stop = start + match[0].length;
        if (start < at || (token.singleWord && !standsAlone(text, start, stop))) continue;
        while (token.lstrip && start > at && isWhite(text, start - 1)) start--;
        while (token.rstrip && stop < text.length && isWhite(text, stop)) stop++;
        if (start > at) take(at, start);
        take(start, stop, token.id);
        at = stop;
      }
    }
    if (at < text.length) take(at, text.length);
  }
}

/** @param {Added[]} tokens @returns {Finder} */
function finder(tokens) {
  const named = tokens.filter((token) => token.content);
  if (!named.length) return undefined;
  // The longest first: of several that begin at one place the longest is taken.
  const contents = named.map((token) => token.content).sort((a, b) => b.length - a.length);
  const escaped = contents.map((content) => content.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return {
    pattern: new RegExp(escaped.join("|"), "gu"),
    byContent: new Map(named.map((token) => [token.content, token])),
  };
}

/** @param {string} text @param {number} at */
function isWhite(text, at) {
  return kindTable()[text.charCodeAt(at)] & IS_WHITE;
}

/** @param {string} text @param {number} start @param {number} stop */
function standsAlone(text, start, stop) {
  const letter = "[\\p{L}\\p{M}\\p{N}\\p{Pc}]";
  return (
    !new RegExp(`${letter}$`, "u").test(text.slice(0, start)) &&
    !new RegExp(`^${letter}`, "u").test(text.slice(stop))
  );
}
