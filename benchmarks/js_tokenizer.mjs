// Tokens of the texts on standard input, a JSON list: node js_tokenizer.mjs VOCAB cased|uncased, or
// node js_tokenizer.mjs FILES, a JSON object of a tokenizer's files as `readTokenizer` takes them.
import { readFileSync } from "node:fs";

import { fromVocabulary, readTokenizer, vocabularyOf } from "../clients/js/src/text/files.js";

const [file, kind] = process.argv.slice(2);
const given = readFileSync(file, "utf8");
const tokenizer = kind
  ? fromVocabulary(vocabularyOf(given), { do_lower_case: kind === "uncased" })
  : readTokenizer(JSON.parse(given));
const texts = JSON.parse(readFileSync(0, "utf8"));
const began = performance.now();
const encoded = texts.map((text) => tokenizer.encode(text));
const milliseconds = performance.now() - began;
const tokens = encoded.map(({ ids, offsets, words }) => [[...ids], [...offsets], [...words]]);
process.stdout.write(JSON.stringify({ tokens, milliseconds }));
