import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { BertWordPieceTokenizer, download } from "potstill";

import { readTokenizer } from "../src/text/files.js";
import { normalize } from "../src/text/normal.js";
import { sentences } from "../src/text/sentences.js";
import { search } from "../src/text/spans.js";
import { BERT_PAIR, ROBERTA_PAIR, byTokenBudget, pad, split } from "../src/text/windows.js";
import { EMBEDDED, FIXTURES, environment, fixture, folder, server } from "./helpers.js";
import { mutate } from "./mutations.js";

for (const { name, files, cases } of fixture("tokenizers.json")) {
  test(`tokens are those of Python: ${name}`, async () => {
    const own = files ?? { tokenizer: readFileSync(`${EMBEDDED}/tokenizer.json`, "utf8") };
    const tokenizer = readTokenizer(own);
    for (const { text, ids, offsets, words } of cases) {
      for (const encoded of [tokenizer.encode(text), await tokenizer.encodeLong(text)]) {
        const found = { ids: [...encoded.ids], offsets: [...encoded.offsets] };
        assert.deepEqual({ ...found, words: [...encoded.words] }, { ids, offsets, words }, text);
      }
    }
  });
}

test("a long text has the tokens of its parts, at their places", async () => {
  const tokenizer = readTokenizer({ vocab: readFileSync(`${FIXTURES}/bert/vocab.txt`, "utf8") });
  const text = "Denver won 🏈 the größte game in 1999. ".repeat(8000);
  const whole = tokenizer.encode(text);
  const pieces = await tokenizer.encodeLong(text);
  assert.ok(text.length > 250_000);
  assert.deepEqual(pieces.ids, whole.ids);
  assert.deepEqual(pieces.offsets, whole.offsets);
  assert.deepEqual(pieces.words, whole.words);
});

test("tokenizing a long text lets others run", async () => {
  const tokenizer = readTokenizer({ vocab: readFileSync(`${FIXTURES}/bert/vocab.txt`, "utf8") });
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  await tokenizer.encodeLong("the old river ".repeat(40_000));
  clearInterval(timer);
  assert.ok(ticks >= 3, `${ticks} ticks`);
});

test("slices and batches are those of Python", () => {
  const { slices, budgets } = fixture("windows.json");
  for (const { n, seqLen, stride, between, slices: wanted } of slices) {
    const layout = between === 1 ? BERT_PAIR : ROBERTA_PAIR;
    assert.deepEqual(split(n[0], n[1], { seqLen, stride, layout }), wanted);
  }
  for (const { lengths, budget, batches } of budgets) {
    assert.deepEqual(byTokenBudget(lengths, budget), batches);
  }
  assert.throws(() => split(61, 5, { seqLen: 64 }), { code: "QUESTION_TOO_LONG" });
});

test("rows are padded to the longest, or to a fixed length", () => {
  const rows = [Int32Array.of(1, 5, 2, 6, 2), Int32Array.of(1, 5, 2)];
  const batch = pad(rows, [3, 3], 9);
  assert.deepEqual([...batch.inputIds], [1, 5, 2, 6, 2, 1, 5, 2, 9, 9]);
  assert.deepEqual([...batch.attentionMask], [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
  assert.deepEqual([...batch.tokenTypeIds], [0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
  assert.equal(pad(rows, [3, 3], 9, ROBERTA_PAIR, 8).length, 8);
  assert.ok(pad(rows, [3, 3], 9, ROBERTA_PAIR).tokenTypeIds.every((type) => type === 0));
});

test("spans and scores are those of Python", () => {
  const logits = (values) => Float32Array.from(values, (value) => value ?? -Infinity);
  for (const { windows, options, spans, null: [nullScore, nullLogit] } of fixture("spans.json")) {
    const found = search(
      windows.map((w) => ({ ...w, start: logits(w.start), end: logits(w.end) })),
      {
        topK: options.top_k,
        maxAnswerTokens: options.max_answer_tokens,
        nullThreshold: options.null_threshold ?? undefined,
        temperature: options.temperature,
      },
    );
    const rows = found.spans.map((s) => [s.context, s.start, s.stop, s.logit]);
    assert.deepEqual(rows, spans.map(([c, start, stop, , logit]) => [c, start, stop, logit]));
    found.spans.forEach((s, i) => assert.ok(Math.abs(s.score - spans[i][3]) < 1e-7));
    assert.ok(Math.abs(found.nullScore - nullScore) < 1e-7);
    assert.equal(found.nullLogit, nullLogit);
  }
});

test("there is no span where there is no window, or none that is allowed", () => {
  assert.deepEqual(search([]).spans, []);
  const never = new Float32Array(3).fill(-Infinity);
  const window = { context: 0, at: 0, start: never, end: never, null: 1 };
  assert.deepEqual(search([window]).spans, []);
  assert.equal(search([window], { nullThreshold: 0 }).nullScore, 1);
});

test("the article's tokenizer pads and counts", async () => {
  const tokenizer = await BertWordPieceTokenizer.fromOptions({
    vocabFile: `${FIXTURES}/bert/vocab.txt`,
    lowercase: true,
  });
  tokenizer.setPadding({ maxLength: 16 });
  const encoding = await tokenizer.encode("Who won?", "Denver won 🏈.");
  const { ids, attentionMask, tokens, offsets, typeIds } = encoding;
  assert.deepEqual(tokens.slice(0, 10), [
    "[CLS]", "who", "won", "?", "[SEP]", "denver", "won", "[UNK]", ".", "[SEP]",
  ]);
  assert.equal(encoding.length, 16);
  assert.deepEqual(attentionMask, [...Array(10).fill(1), ...Array(6).fill(0)]);
  assert.deepEqual(typeIds.slice(0, 11), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0]);
  assert.deepEqual(offsets[7], [11, 13]);
  assert.deepEqual(ids.slice(10), Array(6).fill(0));
  assert.equal(tokens[15], "[PAD]");
});

test("tokenizers of other kinds are refused by name", () => {
  const json = (model, more = {}) => ({ tokenizer: JSON.stringify({ model, ...more }) });
  const cases = [
    [json({ type: "Unigram", vocab: [["a", -1]] }), /cuts words by 'nothing'/],
    [json({ type: "Unigram", vocab: { a: 0 } }), /a piece of its Unigram is no pair/],
    [json({ type: "Unigram", vocab: [["a", -1]], unk_id: 5 }), /the unknown token 5 is beyond/],
    [
      json({ type: "Unigram", vocab: [["a", -1]] }, { normalizer: { type: "Precompiled", precompiled_charsmap: "AQAAAAEAAAA=" } }),
      /table of characters in tokenizer.json is damaged/,
    ],
    [
      json({ type: "Unigram", vocab: [["a", -1]] }, { normalizer: { type: "Replace", pattern: { Regex: "(a" } } }),
      /replaces \{"Regex":"\(a"\}/,
    ],
    [json({ type: "WordLevel", vocab: { a: 0 } }), /type 'WordLevel'/],
    [json({ type: "BPE", vocab: { a: 0 }, merges: [] }), /cuts words by 'nothing'/],
    [json({ type: "WordPiece", vocab: { "[UNK]": 0 } }, { pre_tokenizer: { type: "Whitespace" } }), /'Whitespace'/],
    [
      json(
        { type: "WordPiece", vocab: { "[UNK]": 0 } },
        { pre_tokenizer: { type: "BertPreTokenizer" }, normalizer: { type: "NFKC" } },
      ),
      /normalizes by 'NFKC'/,
    ],
    [{ tokenizer: "{" }, /no JSON/],
    [{ tokenizer: "[]" }, /no JSON object/],
    [{ vocab: "a\nb" }, /unknown token/],
    [{ vocab: "[UNK]\nb" }, /cls token/],
    [{}, /neither tokenizer.json nor vocab.txt/],
  ];
  for (const [files, message] of cases) {
    assert.throws(() => readTokenizer(files), { code: "TOKENIZER", message });
  }
});

test("sentences are those of Python", () => {
  for (const { text, spans } of fixture("sentences.json")) assert.deepEqual(sentences(text), spans);
});

test("no text takes long to cut into sentences", () => {
  for (const text of [`a${" ".repeat(1e5)}b`, ".".repeat(1e5), `. ${'"'.repeat(1e5)}`, `${"1".repeat(1e5)}. a`]) {
    const began = performance.now();
    assert.deepEqual(sentences(text), [[0, text.length]]);
    assert.ok(performance.now() - began < 5000);
  }
});

test("damaged tokenizers are read, or refused by a typed error", () => {
  const { read, refused, raw } = mutate(2000, 7);
  assert.deepEqual(raw, []);
  assert.ok(read > 200 && refused > 200);
});

test("a hub's file with a way out of its folder in its name is not asked for", async (t) => {
  const files = ["tfjs/model.json", "tfjs/..\\..\\evil.json", "tfjs/../../evil.json", "tfjs/a\\b"];
  const seen = [];
  const address = await server(t, (request, response) => {
    seen.push(request.url);
    const listed = JSON.stringify({ siblings: files.map((rfilename) => ({ rfilename })) });
    response.end(request.url.startsWith("/api/") ? listed : "{}");
  });
  environment(t, { HF_ENDPOINT: address });
  await download("owner/tiny", { dir: await folder(t), format: "tfjs" });
  assert.deepEqual(seen.slice(1), ["/owner/tiny/resolve/main/tfjs/model.json"]);
});

test("a letter with marks without end is one pass", async () => {
  const n = 200_000;
  const texts = {
    one: `a${"\u0301".repeat(n)}`,
    two: `a${"\u0301\u0323".repeat(n / 2)}`, // to be put in order
    falling: `a${Array.from({ length: n }, (_, i) => String.fromCodePoint(0x36f - (i % 112))).join("")}`,
    letters: "a\u0301".repeat(n / 2),
  };
  const vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na";
  for (const strip_accents of [true, false]) {
    const config = JSON.stringify({ unk_token: "[UNK]", do_lower_case: true, strip_accents });
    const tokenizer = readTokenizer({ vocab, config });
    for (const [name, text] of Object.entries(texts)) {
      const before = process.cpuUsage();
      const { ids } = tokenizer.encode(text);
      const { user } = process.cpuUsage(before);
      assert.ok(user < 3e6, `${name}: ${user / 1e6} s`); // the square of it takes ten, or the stack
      assert.equal(ids.length, 1);
      assert.equal(ids[0], strip_accents && name !== "letters" ? 5 : 1);
    }
  }
});

test("marks change places as Unicode has it", () => {
  const options = { cleanText: false, chineseChars: false, stripAccents: true, lowercase: false };
  // Spacing marks stay in the text: those of a class change places, others keep marks apart.
  for (const text of ["a\u302e\u16ff\u0903", "ka\u302f\u302e", "a\u0301\u302e\u{1d16d}\u{1d165}"]) {
    const kept = [...text.normalize("NFD")].filter((sign) => !/\p{Mn}/u.test(sign)).join("");
    assert.equal(normalize(text, options).text, kept);
  }
});
