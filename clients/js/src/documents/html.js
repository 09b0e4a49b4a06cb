/**
 * HTML → the text that a reader of the page sees: paragraphs with blank lines between them, rows of
 * tables as lines. As the Python package reads it, for pages that close what they open.
 */

const LEFT_OUT = new Set(
  ("script style template noscript nav head svg math iframe object canvas audio video button " +
    "select datalist dialog").split(" "),
);
const BLOCKS = new Set(
  ("address article aside blockquote body center dd details div dl dt fieldset figcaption figure " +
    "footer form header hr html li main menu ol p pre section summary table caption ul td th tr " +
    "h1 h2 h3 h4 h5 h6 textarea").split(" "),
);
/** What ends a cell of a table. */
const CELL = new Set(["table", "tr", "td", "th"]);
/** What only a `</name>` ends: tags inside are text. */
const RAW = new Set(["script", "style", "template", "noscript", "textarea", "title"]);
const HIDDEN = /display\s*:\s*none|visibility\s*:\s*hidden/i;
/** Where a comment, a declaration or a tag begins. */
const BEGINS = /<!--|<[!?]|<(\/?)([a-zA-Z][^\s/>]*)/g;
/** Units of a tag in which the end of a quotation is looked for. */
const LONGEST = 1 << 20;
/** Between two cells of a row: words of two cells are never one answer. */
export const APART = " |\t";

/**
 * @param {string} page
 * @returns {string}
 */
export function htmlText(page) {
  const writer = new Writer();
  const begins = new RegExp(BEGINS);
  /** @type {Map<string, Map<number, number>>} */
  const ends = new Map();
  let at = 0;
  for (let tag = begins.exec(page); tag; tag = begins.exec(page)) {
    const [start, closes, named] = tag;
    const inside = tag.index + start.length;
    writer.words(page.slice(at, tag.index));
    const end = start === "<!--" ? page.indexOf("-->", inside) + 2 : tagEnd(page, inside);
    at = end < inside ? page.length : end + 1;
    begins.lastIndex = at;
    if (!named) continue;
    const attributes = page.slice(inside, end);
    const name = named.toLowerCase();
    const gone = LEFT_OUT.has(name) || isHidden(attributes);
    if (!closes && (gone || RAW.has(name)) && !attributes.endsWith("/")) {
      if (!ends.has(name)) ends.set(name, endsOf(page, name));
      const over = Math.max(at, ends.get(name)?.get(tag.index) ?? at);
      if (over > at || LEFT_OUT.has(name)) {
        if (!gone && name === "textarea") writer.block(page.slice(at, over).replace(/<\/textarea\s*>$/i, ""));
        begins.lastIndex = at = over;
        continue;
      }
    }
    if (closes) writer.close(name);
    else writer.open(name, attributes);
  }
  writer.words(page.slice(at));
  return writer.done();
}

/**
 * Where a tag ends: `>` may stand in a quotation inside it.
 *
 * @param {string} page
 * @param {number} at
 * @returns {number} -1 where it does not
 */
function tagEnd(page, at) {
  let quote = "";
  for (let i = at; i < Math.min(page.length, at + LONGEST); i++) {
    const letter = page[i];
    if (quote) quote = letter === quote ? "" : quote;
    else if (letter === ">") return i;
    else if ((letter === '"' || letter === "'") && /[\s=]/.test(page[i - 1])) quote = letter;
  }
  return page.indexOf(">", at);
}

/**
 * Where the elements of a name end, by where they begin; without those that nothing ends.
 *
 * @param {string} page
 * @param {string} name
 * @returns {Map<number, number>}
 */
function endsOf(page, name) {
  /** @type {Map<number, number>} */
  const ends = new Map();
  const open = [];
  for (const found of page.matchAll(new RegExp(`<(/?)${name}(?=[\\s/>])[^>]*>`, "gi"))) {
    if (!found[1] && !(open.length && RAW.has(name))) open.push(found.index);
    const begun = found[1] ? open.pop() : undefined;
    if (begun !== undefined) ends.set(begun, found.index + found[0].length);
  }
  return ends;
}

/** @param {string} attributes */
function isHidden(attributes) {
  const style = /\sstyle\s*=\s*("[^"]*"|'[^']*')/i.exec(attributes)?.[1] ?? "";
  const bare = attributes.replace(/"[^"]*"|'[^']*'/g, "''");
  return HIDDEN.test(style) || /\shidden(?=[\s=/]|$)/i.test(bare) || /\srole\s*=\s*["']?navigation/i.test(attributes);
}

/** Collects the words of a block until it ends. */
class Writer {
  constructor() {
    /** @type {string[]} */
    this.paragraphs = [];
    this.text = "";
    this.pre = 0;
    /** @type {{ rows: string[][], heads: boolean } | undefined} the innermost table */
    this.table = undefined;
    this.cell = false;
  }

  /** @param {string} text */
  words(text) {
    this.text += plain(text);
  }

  /** @param {string} text of a paragraph as it is */
  block(text) {
    this.end();
    const kept = plain(text).trim();
    if (kept) this.paragraphs.push(kept);
  }

  /** @param {string} name @param {string} attributes */
  open(name, attributes) {
    if (name === "br") this.text += "\u2028"; // until its block ends
    if (name === "img") this.text += plain(/\salt\s*=\s*"([^"]*)"/i.exec(attributes)?.[1] ?? "");
    if (!BLOCKS.has(name)) return;
    if (CELL.has(name)) this.#endCell();
    else if (this.cell) this.text += " "; // a paragraph or a list inside a cell is words of it
    else this.end();
    if (name === "pre") this.pre++;
    if (name === "li" && !this.cell) this.text += "- ";
    if (name === "table") {
      this.#write(); // that of a layout, around this one
      this.table = { rows: [], heads: true };
    }
    if (name === "tr") this.table?.rows.push([]);
    if ((name === "td" || name === "th") && this.table?.rows.length) {
      this.cell = true;
      if (name === "td" && this.table.rows.length === 1) this.table.heads = false;
    }
  }

  /** @param {string} name */
  close(name) {
    if (!BLOCKS.has(name)) return;
    if (CELL.has(name)) this.#endCell();
    else if (this.cell) this.text += " ";
    else this.end();
    if (name === "pre") this.pre = Math.max(0, this.pre - 1);
    if (name === "table") this.#write();
  }

  #endCell() {
    if (!this.cell) return this.end();
    this.table?.rows.at(-1)?.push(spaced(this.text));
    this.text = "";
    this.cell = false;
  }

  end() {
    const text = this.text;
    this.text = "";
    const asItIs = () => [text.replaceAll("\u2028", "\n").trimEnd().replace(/^\n+/, "")];
    const lines = this.pre ? asItIs() : text.split("\u2028").map(spaced);
    const kept = lines.filter((line) => line && line !== "-").join("\n");
    if (kept.trim()) this.paragraphs.push(kept);
  }

  #write() {
    const { rows = [], heads = false } = this.table ?? {};
    this.table = undefined;
    const named = heads && rows.length > 1 && rows[0].length > 1 ? rows[0] : undefined;
    const lines = (named ? rows.slice(1) : rows).map((row) => {
      const own = named?.length === row.length ? named : undefined;
      const cells = row.map((cell, i) => (own?.[i] && cell && own[i] !== cell ? `${own[i]}: ${cell}` : cell));
      return cells.filter(Boolean).join(APART);
    });
    const text = lines.filter(Boolean).join("\n");
    if (text) this.paragraphs.push(text);
  }

  done() {
    this.#endCell();
    this.#write();
    return this.paragraphs.join("\n\n");
  }
}

/** @param {string} text */
function spaced(text) {
  return text.replace(/\s+/g, " ").trim();
}

/** Latin letters and signs from U+00A0 on, by their names. */
const LATIN =
  "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 " +
  "acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde " +
  "Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute " +
  "Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde " +
  "auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute " +
  "ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";
const NAMED = new Map([
  ...LATIN.split(" ").map((name, i) => /** @type {[string, string]} */ ([name, String.fromCharCode(0xa0 + i)])),
  ...Object.entries({
    amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", ndash: "–", mdash: "—", lsquo: "‘", rsquo: "’",
    sbquo: "‚", ldquo: "“", rdquo: "”", bdquo: "„", bull: "•", hellip: "…", prime: "′", euro: "€",
    trade: "™", larr: "←", rarr: "→", minus: "−", le: "≤", ge: "≥", ne: "≠", thinsp: "\u2009",
    ensp: "\u2002", emsp: "\u2003", zwnj: "\u200c", zwj: "\u200d", OElig: "Œ", oelig: "œ", Scaron: "Š",
    scaron: "š",
  }),
]);

/** Characters in place of their names. @param {string} text */
function plain(text) {
  return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|(\w+));/g, (whole, decimal, hex, name) => {
    if (name) return NAMED.get(name) ?? whole;
    const code = hex ? parseInt(hex, 16) : Number(decimal);
    return code && code < 0x110000 && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : "\ufffd";
  });
}
