/**
 * Damages a tokenizer's files at random and reads them: each is read, or refused by a typed error.
 *
 *     node test/mutations.js [N] [SEED]        # 200,000 by default
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { PotstillError } from "../src/errors.js";
import { readTokenizer } from "../src/text/files.js";
import { FIXTURES } from "./helpers.js";

const TEXT = "The König's 3 Boats, [MASK] 東京 \u0301 🏈 don't";
const VALUES = [
  null, true, false, 0, -1, 1.5, 1e300, "", "x", "a b", "\ud800", [], {}, [[]], [null], ["a", "b", "c"],
  { type: "Sequence" }, { type: 3 }, { id: "x" }, { __proto__: null, toString: 1 },
]; // prettier-ignore

/** A generator of numbers below 1, the same for the same seed (mulberry32). */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The files of tokenizers small enough to be damaged often. */
function tokenizers() {
  const vocab = "[PAD] [UNK] [CLS] [SEP] [MASK] the kö ##nig ' s 3 boats ,".split(" ");
  const pieces = Object.fromEntries(vocab.map((token, id) => [token, id]));
  const added = { id: 4, content: "[MASK]", special: true, normalized: false, lstrip: true };
  const wordPiece = {
    added_tokens: [added],
    normalizer: { type: "BertNormalizer", clean_text: true, lowercase: true, strip_accents: null },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "TemplateProcessing", single: [], pair: [] },
    model: { type: "WordPiece", vocab: pieces, unk_token: "[UNK]", max_input_chars_per_word: 100 },
  };
  const bpe = JSON.parse(readFileSync(`${FIXTURES}/roberta/tokenizer.json`, "utf8"));
  const config = { do_lower_case: true, unk_token: "[UNK]", mask_token: { content: "[MASK]" } };
  return [
    { tokenizer: wordPiece, config },
    { tokenizer: bpe },
    { vocab: vocab.join("\n"), config },
    { vocabJson: bpe.model.vocab, merges: "#version\nt h\nth e\n", config: { add_prefix_space: true } },
  ];
}

/** Puts something else in one place of a value. */
function damaged(value, draw) {
  if (typeof value === "string") {
    const at = Math.floor(draw() * (value.length + 1));
    const sign = String.fromCharCode(Math.floor(draw() * 128));
    return value.slice(0, at) + sign + value.slice(at + Math.floor(draw() * 3));
  }
  const copy = structuredClone(value);
  let place = copy;
  for (;;) {
    const keys = Object.keys(place);
    const key = keys[Math.floor(draw() * keys.length)];
    const inside = place[key];
    const deeper = inside !== null && typeof inside === "object" && Object.keys(inside).length;
    if (deeper && draw() < 0.8) {
      place = inside;
      continue;
    }
    if (draw() < 0.2) delete place[key];
    else place[key] = structuredClone(VALUES[Math.floor(draw() * VALUES.length)]);
    return copy;
  }
}

/**
 * @param {number} n mutations
 * @param {number} seed
 * @returns {{ read: number, refused: number, raw: string[] }} `raw`: what was no typed error
 */
export function mutate(n, seed = 1) {
  const draw = random(seed);
  const originals = tokenizers();
  const found = { read: 0, refused: 0, raw: [] };
  for (let i = 0; i < n; i++) {
    const files = { ...originals[i % originals.length] };
    for (let times = 1 + Math.floor(draw() * 3); times; times--) {
      const names = Object.keys(files);
      const name = names[Math.floor(draw() * names.length)];
      files[name] = damaged(files[name], draw);
    }
    const texts = Object.entries(files).map(([name, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return [name, draw() < 0.1 ? damaged(text, draw) : text];
    });
    try {
      const { ids, offsets } = readTokenizer(Object.fromEntries(texts)).encode(TEXT);
      if (offsets.length !== 2 * ids.length) throw new Error("offsets do not go with the tokens");
      found.read++;
    } catch (error) {
      if (error instanceof PotstillError) found.refused++;
      else found.raw.push(`${error?.stack ?? error} of ${JSON.stringify(texts).slice(0, 600)}`);
    }
  }
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { read, refused, raw } = mutate(Number(process.argv[2] ?? 200_000), Number(process.argv[3] ?? 1));
  console.log(`${read} read, ${refused} refused, ${raw.length} of no typed error`);
  for (const one of raw.slice(0, 5)) console.log(one);
  process.exitCode = raw.length ? 1 : 0;
}
