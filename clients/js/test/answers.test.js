import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cp, rename, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { BertWordPieceTokenizer, QAClient, RuntimeType, initModel } from "potstill";

import { READER } from "../src/packed.js";
import { FIXTURES, SHORT, environment, fixture, folder } from "./helpers.js";

const MODELS = {
  bert: [{ model: `${FIXTURES}/bert`, ...SHORT }, 1e-5],
  roberta: [{ model: `${FIXTURES}/roberta`, ...SHORT }, 1e-5],
  embedded: [{}, 1e-9], // the engine gives the same bits everywhere
};

const listed = (said) => (Array.isArray(said) ? said : [said]);

function same(found, wanted, within) {
  const plain = (answers) => listed(answers).map((a) => a && { ...a, score: 0 });
  assert.deepEqual(plain(found), plain(wanted));
  listed(found).forEach((answer, i) => {
    if (answer) assert.ok(Math.abs(answer.score - listed(wanted)[i].score) <= within);
  });
}

test("a question without its mark, or with a mistyped word, is mended", async () => {
  const client = await QAClient.fromOptions();
  const text = "In 1830 Aeneas Coffey patented a column still.";
  const wanted = await client.predict("Who patented the still?", text);
  const mistyped = ["Who patneted the still?", "who PATNTED the still"];
  for (const typed of ["Who patented the still", "Who patented the still \n", ...mistyped]) {
    assert.deepEqual(await client.predict(typed, text), wanted);
  }
  assert.notDeepEqual(await client.predict("Who patented the still.", text), wanted);
});

for (const [name, [options, within]] of Object.entries(MODELS)) {
  test(`answers are those of Python: ${name}`, async () => {
    const client = await QAClient.fromOptions(options);
    for (const { question, context, options: own, answer } of fixture("answers.json")[name]) {
      const said = await client.predict(question, context, own);
      same(said, answer, within);
      for (const { text, start, end, source } of listed(said).filter(Boolean)) {
        const of = source === undefined ? context : context[source];
        assert.equal(of.slice(start, end), text);
      }
    }
    await client.dispose();
  });
}

for (const [name, [options, within]] of Object.entries(MODELS)) {
  test(`sentences are those of Python: ${name}`, async () => {
    const client = await QAClient.fromOptions(options);
    for (const one of fixture("highlights.json")[name]) {
      const { question, answer, passages } = one;
      const all = await client.highlight(question, passages);
      same(all, one.highlight, within);
      for (const { text, start, end, source } of all) {
        assert.equal(passages[source].slice(start, end), text);
      }
      same(await client.highlight(question, passages, { topK: 2 }), one.highlight.slice(0, 2), within);
      for (const [own, kept] of one.prune) {
        same(await client.prune(question, passages, own), kept, within);
      }
      const claims = await client.cite(answer, passages, { topK: 2 });
      assert.equal(claims.length, one.cite.length);
      for (const [i, { sources, ...claim }] of claims.entries()) {
        const { sources: wanted, ...plain } = one.cite[i];
        assert.deepEqual(claim, plain);
        same(sources, wanted, within);
      }
    }
    await client.dispose();
  });
}

test("what cannot be highlighted is said", async () => {
  const client = await QAClient.fromOptions(MODELS.bert[0]);
  const rejects = (promise, code, message) => assert.rejects(promise, { name: code, message });
  await rejects(client.highlight("Who?", []), "EmptyInputError", /list is empty/);
  await rejects(client.cite(" ", "It won."), "EmptyInputError", /empty/);
  await rejects(client.highlight("Who?", "It won.", { topK: 0 }), "InputError", /topK/);
  await rejects(client.highlight("Who?", "It won.", null), "InputError", /options/);
  await rejects(client.prune("Who?", "It won.", { tokens: 0 }), "InputError", /tokens .* not 0/);
  await rejects(client.prune("Who?", "It won.", { enough: "x" }), "InputError", /enough .* string/);
  await rejects(client.highlight("old king ".repeat(99), "It won."), "QuestionTooLongError", /tokens/);
  const gone = { signal: AbortSignal.abort() };
  await rejects(client.highlight("Who?", "It won.", gone), "AbortedError", /./);
  await client.dispose();
});

test("a list of questions, and prepared contexts, give what each gives alone", async () => {
  const client = await QAClient.fromOptions(MODELS.bert[0]);
  const cases = fixture("answers.json").bert.filter((one) => typeof one.context === "string");
  const { context } = cases[0];
  const questions = cases.map((one) => one.question);
  const prepared = await client.prepare(context);
  const alone = [];
  for (const question of questions) alone.push(await client.predict(question, context));
  same(await client.predict(questions, context), alone, 1e-6);
  same(await client.predict(questions, prepared), alone, 1e-6);
  assert.deepEqual(await client.predict([], context), []);
  const pairs = cases.map((one) => [one.question, one.context]);
  const each = [];
  for (const [question, of] of pairs) each.push(await client.predict(question, of));
  same(await client.predictMany(pairs), each, 1e-6);
  await client.dispose();
});

test("no answer is null, or an empty list", async () => {
  const client = await QAClient.fromOptions({ ...MODELS.bert[0], noAnswer: true, nullThreshold: -1e9 });
  assert.equal(await client.predict("Who?", "The old king."), null);
  assert.deepEqual(await client.predict("Who?", "The old king.", { topK: 2 }), []);
  assert.notEqual(await client.predict("Who?", "The old king.", { noAnswer: false }), null);
  await client.dispose();
});

test("the article's ways to open and ask work", async () => {
  const model = await initModel({ name: "bert", path: FIXTURES, runtime: RuntimeType.Onnx });
  const tokenizer = await BertWordPieceTokenizer.fromOptions({ vocabFile: `${FIXTURES}/bert/vocab.txt` });
  const client = await QAClient.fromOptions({ model, tokenizer, timeIt: true });
  const answer = await client.predict("Who won?", "Denver won the game.", 1);
  assert.ok(answer.end - answer.start <= "Denver".length);
  const vocabPath = `${FIXTURES}/bert/vocab.txt`;
  const other = await QAClient.fromOptions({ model, vocabPath, cased: false });
  const { inferenceTime, totalTime, ...untimed } = answer;
  assert.ok(totalTime >= inferenceTime && inferenceTime > 0);
  same(await other.predict("Who won?", "Denver won the game.", 1), untimed, 1e-6);
  await model.dispose();
  assert.equal(typeof createRequire(import.meta.url)("potstill").QAClient, "function");
});

test("cased overrules the files", async () => {
  const lower = await QAClient.fromOptions({ model: `${FIXTURES}/bert` });
  const cased = await QAClient.fromOptions({ model: `${FIXTURES}/bert`, cased: true });
  const ids = (client) => [...client.tokenizer.encode("Denver denver").ids];
  assert.equal(new Set(ids(lower)).size, 1);
  assert.equal(new Set(ids(cased)).size, 2);
  await Promise.all([lower.dispose(), cased.dispose()]);
});

test("the manifest says how a model is asked", async (t) => {
  const model = `${await folder(t)}/model`;
  await cp(`${FIXTURES}/bert`, model, { recursive: true });
  const manifest = {
    format_version: 1,
    seq_len: 48,
    stride: 8,
    max_answer_tokens: 3,
    no_answer: true,
    null_threshold: 2.5,
    calibration: { temperature: 1.5 },
  };
  await writeFile(`${model}/potstill.json`, JSON.stringify(manifest));
  const { options } = await QAClient.fromOptions({ model });
  const { seqLen, stride, maxAnswerTokens, noAnswer, nullThreshold, temperature } = options;
  assert.deepEqual(
    [seqLen, stride, maxAnswerTokens, noAnswer, nullThreshold, temperature],
    [48, 8, 3, true, 2.5, 1.5],
  );
  await rename(`${model}/onnx/model.onnx`, `${model}/onnx/model_fp16.onnx`);
  await assert.rejects(QAClient.fromOptions({ model, precision: "int8" }), { code: "MODEL_NOT_FOUND" });
});

test("the default model is found in the documented order", async (t) => {
  const home = await folder(t);
  environment(t, { POTSTILL_MODEL: undefined });
  const path = async (options) => {
    const model = await initModel(options);
    await model.dispose();
    return model.name;
  };
  assert.match(await path({ modelsDir: home }), /embedded\/default$/);
  await cp(`${FIXTURES}/bert`, `${home}/default`, { recursive: true });
  assert.equal(await path({ modelsDir: home }), `${home}/default`);
  process.env.POTSTILL_MODEL = `${FIXTURES}/roberta`;
  assert.equal(await path({ modelsDir: home }), `${FIXTURES}/roberta`);
  assert.equal(await path({ modelsDir: home, name: `${FIXTURES}/bert` }), `${FIXTURES}/bert`);
  await cp(`${FIXTURES}/bert`, `${home}/owner/name`, { recursive: true });
  assert.equal(await path({ modelsDir: home, name: "owner/name" }), `${home}/owner/name`);
});

test("the article's program runs, and ends by itself", () => {
  const program = fileURLToPath(new URL("../examples/super-bowl.mjs", import.meta.url));
  const printed = execFileSync(process.execPath, [program], { encoding: "utf8", timeout: 60_000 });
  assert.match(printed, /text: 'Denver Broncos'/);
});

test("the package's own reader answers as docs/javascript.md says", async (t) => {
  const page = readFileSync(new URL("../../../docs/javascript.md", import.meta.url), "utf8");
  const [, question, context] = /predict\("(.*?)", "(.*?)"\);\n\/\/ \{/.exec(page);
  const [, text, score, start, end] =
    /\/\/ \{ text: '(.*?)', score: (\d\.\d+)…, start: (\d+), end: (\d+) \}/.exec(page);
  const client = await QAClient.fromOptions({ model: READER });
  t.after(() => client.dispose());
  const answer = await client.predict(question, context);
  assert.deepEqual([answer.text, answer.start, answer.end], [text, Number(start), Number(end)]);
  assert.equal(answer.score.toString().slice(0, score.length), score);
});
