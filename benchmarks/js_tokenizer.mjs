// Tokens of the texts on standard input, a JSON list: node js_tokenizer.mjs VOCAB cased|uncased
import { readFileSync } from "node:fs";

import { fromVocabulary, vocabularyOf } from "../clients/js/src/text/files.js";

const [vocabulary, kind] = process.argv.slice(2);
const lower = kind === "uncased";
const tokenizer = fromVocabulary(vocabularyOf(readFileSync(vocabulary, "utf8")), {
  do_lower_case: lower,
});
const texts = JSON.parse(readFileSync(0, "utf8"));
const began = performance.now();
const encoded = texts.map((text) => tokenizer.encode(text));
const milliseconds = performance.now() - began;
const tokens = encoded.map(({ ids, offsets, words }) => [[...ids], [...offsets], [...words]]);
process.stdout.write(JSON.stringify({ tokens, milliseconds }));
