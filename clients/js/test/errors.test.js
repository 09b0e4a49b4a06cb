import assert from "node:assert/strict";
import { cp, rm, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { BertWordPieceTokenizer, PotstillError, QAClient, download, initModel } from "potstill";

import { FIXTURES, environment, folder } from "./helpers.js";

const BERT = `${FIXTURES}/bert`;
let client;
before(async () => {
  client = await QAClient.fromOptions({ model: BERT });
});
after(() => client.dispose());

/** Whether a call is refused with a code, by one line. */
async function refused(promise, code, message = /./) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof PotstillError, `${error}`);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}

test("what is no text is refused", async () => {
  for (const value of [undefined, null, 5, {}, Buffer.from("x")]) {
    await refused(client.predict(value, "text"), "INPUT", /question must be a string/);
    await refused(client.predict("question", value), "INPUT", /context must be a string/);
    await refused(client.predict(["question"], value), "INPUT", /context must be a string/);
    await refused(client.prepare(value), "INPUT");
  }
  await refused(client.predict("q", ["text", 7]), "INPUT");
  await refused(client.predictMany("q"), "INPUT", /pairs/);
  await refused(client.predict("q", "text", null), "INPUT", /options/);
});

test("what holds no text is refused", async () => {
  await refused(client.predict("", "text"), "EMPTY_INPUT", /the question is empty/);
  await refused(client.predict(" \n\u3000", "text"), "EMPTY_INPUT");
  await refused(client.predict("q", "\t"), "EMPTY_INPUT", /the context of the question is empty/);
  await refused(client.predict("q", "\u0000\u200b"), "EMPTY_INPUT", /nothing that the model can read/);
  await refused(client.predict("q", "\ud800"), "EMPTY_INPUT");
  await refused(client.predict("q", []), "EMPTY_INPUT", /list is empty/);
  await refused(client.predict("q", ["text", ""]), "EMPTY_INPUT", /context 1/);
  await refused(client.predict(["q", ""], "text"), "EMPTY_INPUT", /question 1/);
});

test("a question that leaves no room is refused", async () => {
  await refused(client.predict("who ".repeat(200), "text"), "QUESTION_TOO_LONG", /200 tokens/);
  await refused(client.predict(["who", "who ".repeat(200)], "text"), "QUESTION_TOO_LONG", /question 1/);
});

test("options that there are not are refused", async () => {
  await refused(client.predict("q", "text", { topk: 3 }), "INPUT", /no option 'topk': did you mean 'topK'/);
  await refused(client.predictMany([["q", "text"]], { top_k: 3 }), "INPUT", /did you mean 'topK'/);
  await refused(client.predict("q", "text", { limit: 3 }), "INPUT", /'limit': there are seqLen, /);
  await refused(client.highlight("q", "text", { top: 3 }), "INPUT", /no option 'top'/);
  await refused(client.prune("q", "text", { topK: 3 }), "INPUT", /there are tokens, enough, signal/);
  await refused(client.cite("q", "text", { topk: 3 }), "INPUT", /did you mean 'topK'/);
  await refused(QAClient.fromOptions({ Model: BERT }), "INPUT", /did you mean 'model'/);
  await refused(initModel({ model: BERT }), "INPUT", /no option 'model'/);
  await refused(download("owner/tiny", { directory: "x" }), "INPUT", /no option 'directory': there are dir, format/);
});

test("options out of range are refused", async () => {
  for (const options of [
    { topK: 0 },
    { topK: 1.5 },
    { topK: "2" },
    { maxAnswerLength: -1 },
    { maxAnswerLength: NaN },
    { noAnswer: "yes" },
    { alignToWords: 1 },
  ]) {
    await refused(client.predict("q", "text", options), "INPUT", new RegExp(Object.keys(options)[0]));
  }
  for (const options of [
    { seqLen: 1000 },
    { seqLen: 0 },
    { stride: -1 },
    { temperature: 0 },
    { temperature: Infinity },
    { threads: 0 },
    { precision: "int4" },
    { runtime: "torch" },
    { path: 7 },
    { tokenizer: {} },
    { model: 7 },
    { model: " " },
    { vocabPath: "/nowhere/vocab.txt" },
  ]) {
    await refused(QAClient.fromOptions({ model: BERT, ...options }), "INPUT");
  }
  await refused(QAClient.fromOptions(null), "INPUT");
  await refused(initModel(7), "INPUT");
  await refused(initModel({ runtime: "remote", path: "localhost" }), "INPUT", /http/);
  await refused(BertWordPieceTokenizer.fromOptions({}), "INPUT");
  await refused(BertWordPieceTokenizer.fromOptions({ vocabFile: "/nowhere" }), "TOKENIZER");
});

test("models that are not there are refused", async (t) => {
  const empty = await folder(t);
  for (const model of ["/nowhere", "./nowhere", empty, `${BERT}/vocab.txt`, "a/b/c", "../x/y"]) {
    await refused(QAClient.fromOptions({ model }), "MODEL_NOT_FOUND");
  }
  environment(t, { POTSTILL_MODEL: "/nowhere" });
  await refused(QAClient.fromOptions(), "MODEL_NOT_FOUND");
});

test("models that are damaged, or for another task, are refused", async (t) => {
  const model = `${await folder(t)}/model`;
  const again = () => cp(BERT, model, { recursive: true });
  const write = (file, value) =>
    writeFile(`${model}/${file}`, typeof value === "string" ? value : JSON.stringify(value));
  const open = () => QAClient.fromOptions({ model });
  await again();
  await write("potstill.json", { format_version: 1, task: "text-classification" });
  await refused(open(), "MODEL", /model is a text classifier: open it with Classifier$/);
  await write("potstill.json", { format_version: 9 });
  await refused(open(), "MODEL", /format_version 9/);
  await write("potstill.json", "{");
  await refused(open(), "CONFIG", /potstill.json/);
  await write("potstill.json", { format_version: 1 });
  await write("config.json", "[]");
  await refused(open(), "CONFIG");
  await write("config.json", { max_position_embeddings: "many" });
  await refused(open(), "CONFIG");
  await again();
  await write("onnx/model.onnx", "this is no graph");
  await refused(open(), "MODEL", /damaged or not an ONNX model/);
  await rm(`${model}/onnx`, { recursive: true });
  await refused(open(), "MODEL_NOT_FOUND", /potstill export/);
  await refused(QAClient.fromOptions({ model, file: "onnx/x.onnx" }), "MODEL_NOT_FOUND", /x\.onnx/);
  await again();
  await rm(`${model}/vocab.txt`);
  await refused(open(), "TOKENIZER");
  const named = { endLogits: "nothing", startLogits: "start_logits" };
  const other = await initModel({ name: BERT, outputsNames: named });
  await other.dispose();
});

test("a tokenizer of another model is refused when it is asked", async () => {
  const strange = await BertWordPieceTokenizer.fromOptions({ vocabFile: `${BERT}/vocab.txt` });
  strange.core.clsId = 100_000;
  const other = await QAClient.fromOptions({ model: BERT, tokenizer: strange });
  await refused(other.predict("who", "text"), "MODEL", /could not be run/);
  await other.dispose();
});

test("a model that was disposed of says so", async () => {
  const other = await QAClient.fromOptions({ model: BERT });
  await other.dispose();
  await other.dispose();
  await refused(other.predict("who", "text"), "MODEL", /disposed/);
});

test("an aborted call rejects, and the client goes on", async () => {
  await refused(client.predict("who", "text", { signal: AbortSignal.abort() }), "ABORTED");
  const long = "Denver won the game. ".repeat(3000);
  const controller = new AbortController();
  const asked = client.predict("Who won?", long, { signal: controller.signal });
  setTimeout(() => controller.abort(), 5);
  await refused(asked, "ABORTED");
  assert.ok(await client.predict("Who won?", "Denver won."));
  await refused(QAClient.fromOptions({ model: BERT, signal: AbortSignal.abort() }), "ABORTED");
});

test("a missing runtime is named, with the command that brings it", async (t) => {
  const model = `${await folder(t)}/model`;
  await cp(BERT, model, { recursive: true });
  await cp(`${BERT}/vocab.txt`, `${model}/savedmodel/saved_model.pb`);
  let installed = true;
  try {
    import.meta.resolve("@tensorflow/tfjs-node");
  } catch {
    installed = false;
  }
  const code = installed ? "MODEL" : "MISSING_PACKAGE";
  await refused(QAClient.fromOptions({ model, runtime: "saved_model" }), code);
});
