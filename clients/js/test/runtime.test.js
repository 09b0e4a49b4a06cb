import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { QAClient, RuntimeType, initModel } from "potstill";

import { openModels } from "../src/runtime/host.js";
import { usableCores } from "../src/runtime/cores.js";
import { table, writeGraphModel } from "./graph_model.js";
import { FIXTURES, SHORT, environment, fixture, folder, server } from "./helpers.js";

const BERT = `${FIXTURES}/bert`;
const TEXT = "The old king built a tower by the river Thames. ".repeat(48);

/** How often a timer ticked while `work` went on. */
async function ticking(work) {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 2);
  const value = await work();
  clearInterval(timer);
  return { ticks, value };
}

test("120 queued predictions on two models leave the event loop free", async () => {
  const open = [
    QAClient.fromOptions({ model: BERT, ...SHORT }),
    QAClient.fromOptions({ model: `${FIXTURES}/roberta`, ...SHORT }),
  ];
  const clients = await Promise.all(open);
  const alone = [];
  for (const client of clients) alone.push(await client.predict("What was built?", TEXT));
  const asked = () =>
    Array.from({ length: 120 }, (_, i) => clients[i % 2].predict("What was built?", TEXT));
  const { value, ticks } = await ticking(() => Promise.all(asked()));
  assert.ok(ticks > 20, `${ticks} ticks`);
  value.forEach((answer, i) => assert.deepEqual(answer, alone[i % 2]));
  await Promise.all(clients.map((client) => client.dispose()));
});

test("a timer goes on ticking while a large model runs", async () => {
  const client = await QAClient.fromOptions({ threads: 1 });
  const prepared = await client.prepare("The old king built a tower by the river. ".repeat(100));
  const { ticks } = await ticking(() => client.predict("Who built it?", prepared));
  // Were the model to run here, the timer would tick once for each of the windows, of which there
  // are three, and not at all within one.
  assert.ok(ticks > 20, `${ticks} ticks`);
  await client.dispose();
});

test("1,000 models opened and disposed of leave none behind", async () => {
  const before = await openModels("onnx");
  for (let i = 0; i < 1000; i++) {
    const model = await initModel({ name: BERT, threads: 1 });
    if (i % 100 === 0) assert.equal(await openModels("onnx"), before + 1);
    await model.dispose();
    await model.dispose();
  }
  assert.equal(await openModels("onnx"), before);
});

test("models that fail to open leave none behind", async (t) => {
  const model = `${await folder(t)}/model`;
  await cp(BERT, model, { recursive: true });
  const before = await openModels("onnx");
  await cp(`${model}/config.json`, `${model}/tokenizer.json`);
  await assert.rejects(QAClient.fromOptions({ model }), { code: "TOKENIZER" });
  assert.equal(await openModels("onnx"), before);
});

test("a program that disposes of nothing ends, and one that waits gets its answer", async () => {
  const client = await QAClient.fromOptions({ model: BERT });
  const alone = await client.predict("Who?", "The king.");
  await client.dispose();
  const code = `
    import { QAClient } from "potstill";
    const client = await QAClient.fromOptions({ model: ${JSON.stringify(BERT)} });
    client.predict("Who?", "The king.").then((answer) => console.log(answer.text));
  `;
  const options = { encoding: "utf8", timeout: 60_000, cwd: new URL("..", import.meta.url) };
  const args = ["--input-type=module", "-e", code];
  assert.equal(execFileSync(process.execPath, args, options).trim(), alone.text);
});

test("cores are counted", async () => {
  assert.ok((await usableCores()) >= 1);
});

test("a graph model runs in TensorFlow.js, padded where it takes one length only", async (t) => {
  const model = `${await folder(t)}/model`;
  await cp(BERT, model, { recursive: true });
  const vocabulary = (await readFile(`${BERT}/vocab.txt`, "utf8")).trim().split("\n");
  const found = [];
  for (const length of [-1, 64]) {
    await writeGraphModel(model, vocabulary.length, length);
    const client = await QAClient.fromOptions({ model, runtime: RuntimeType.TFJS, ...SHORT });
    assert.equal(client.model.session.fixedLength, Math.max(0, length));
    const batch = {
      n: 1,
      length: 64,
      inputIds: Int32Array.from({ length: 64 }, (_, i) => i),
      attentionMask: new Int32Array(64).fill(1, 0, 60),
      tokenTypeIds: new Int32Array(64),
    };
    const { start, end } = await client.model.session.run(batch);
    const logits = table(vocabulary.length);
    for (let i = 0; i < 64; i++) {
      const less = i < 60 ? 0 : 10000;
      assert.ok(Math.abs(start[i] - (logits[2 * i] - less)) < 1e-2);
      assert.ok(Math.abs(end[i] - (logits[2 * i + 1] - less)) < 1e-2);
    }
    found.push(await client.predict("What was built?", TEXT, { topK: 3 }));
    await client.dispose();
  }
  assert.equal(found[0].length, 3);
  assert.deepEqual(
    found[0].map(({ score, ...answer }) => answer),
    found[1].map(({ score, ...answer }) => answer),
  );
  for (const { text, start, end } of found[0]) assert.equal(TEXT.slice(start, end), text);
  await writeFile(`${model}/tfjs/model.json`, '{"weightsManifest": []}');
  await assert.rejects(initModel({ name: model, runtime: "tfjs" }), { code: "MODEL" });
});

const KEY = { "x-key": "secret" };

/** A server with TensorFlow Serving's protocol, its rows computed by an ONNX model. */
async function serving(t, { length = -1, broken = {} } = {}) {
  const model = await initModel({ name: BERT });
  t.after(() => model.dispose());
  const shape = { dim: [{ size: "-1" }, { size: `${length}` }] };
  const io = (names) => Object.fromEntries(names.map((name) => [name, { tensor_shape: shape }]));
  const signature = {
    inputs: io(["input_ids", "attention_mask", "token_type_ids"]),
    outputs: io(["output_0", "output_1"]),
  };
  const seen = [];
  const address = await server(t, async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    const answer = (value) => response.end(JSON.stringify(value));
    if (request.headers["x-key"] !== "secret") return response.writeHead(401).end("no key");
    if (broken.closes) {
      broken.closes--;
      return request.socket.destroy();
    }
    if (broken.status) return response.writeHead(broken.status).end("overloaded");
    if (request.url.endsWith("/metadata")) {
      return answer({ metadata: { signature_def: { signature_def: { serving_default: signature } } } });
    }
    if (broken.silent) return undefined;
    if (broken.text) return response.end(broken.text);
    const { inputs } = JSON.parse(body);
    seen.push(inputs.input_ids[0].length);
    const [n, of] = [inputs.input_ids.length, inputs.input_ids[0].length];
    const flat = (name) => Int32Array.from(inputs[name].flat());
    const { start, end } = await model.session.run({
      n,
      length: of,
      inputIds: flat("input_ids"),
      attentionMask: flat("attention_mask"),
      tokenTypeIds: flat("token_type_ids"),
    });
    const rows = (values) => Array.from({ length: n }, (_, i) => [...values.slice(i * of, (i + 1) * of)]);
    return answer({ outputs: { output_0: rows(start), output_1: rows(end) } });
  });
  return { path: `${address}/v1/models/tiny`, seen, broken };
}

test("a remote model gives the answers of a local one", async (t) => {
  const cases = fixture("answers.json").bert;
  for (const length of [-1, 64]) {
    const { path, seen } = await serving(t, { length });
    const model = await initModel({ name: BERT, path, runtime: RuntimeType.Remote, headers: KEY });
    const client = await QAClient.fromOptions({ model, ...SHORT });
    for (const { question, context, options, answer } of cases) {
      const plain = (said) => [said].flat().map((one) => one && { ...one, score: 0 });
      assert.deepEqual(plain(await client.predict(question, context, options)), plain(answer));
    }
    assert.ok(length < 0 || seen.every((n) => n === length));
    await client.dispose();
    await assert.rejects(client.predict("Who?", "A king."), { code: "REMOTE" });
  }
});

test("a remote that is dead, broken, slow or aborted is an error of its own", async (t) => {
  const remote = { name: BERT, runtime: RuntimeType.Remote, headers: KEY };
  const dead = "http://127.0.0.1:9/v1/models/x";
  await assert.rejects(initModel({ ...remote, path: dead }), { code: "REMOTE", message: /is the server up/ });
  const { path, broken } = await serving(t);
  const client = await QAClient.fromOptions({ model: await initModel({ ...remote, path, timeoutMs: 3000 }) });
  const asked = (options) => client.predict("Who?", "The old king.", options);
  broken.silent = true;
  await assert.rejects(asked(), { code: "REMOTE", message: /no answer in 3000 ms/ });
  const controller = new AbortController();
  const waiting = asked({ signal: controller.signal });
  await sleep(20);
  controller.abort();
  await assert.rejects(waiting, { code: "ABORTED" });
  broken.silent = false;
  for (const text of ["<html>", '{"outputs": {}}', '{"outputs": {"output_0": [[1]], "output_1": [[1]]}}']) {
    broken.text = text;
    await assert.rejects(asked(), { code: "REMOTE" });
  }
  broken.status = 503;
  await assert.rejects(asked(), { code: "REMOTE", message: /answered 503: overloaded/ });
  broken.status = 0;
  broken.text = "";
  broken.closes = 2;
  await assert.rejects(asked(), { code: "REMOTE" });
  broken.closes = 1;
  assert.ok(await asked());
  const noKey = { ...remote, path, headers: {} };
  await assert.rejects(initModel(noKey), { code: "REMOTE", message: /answered 401: no key/ });
  const wrong = { ...remote, path, signatureName: "other" };
  await assert.rejects(initModel(wrong), { code: "REMOTE", message: /no signature 'other'/ });
});

test("a model is fetched from an address, and its loading told", async (t) => {
  environment(t, { HF_TOKEN: "secret" });
  const seen = [];
  const address = await server(t, async (request, response) => {
    seen.push(request.headers.authorization);
    const bytes = await readFile(FIXTURES + request.url).catch(() => undefined);
    if (!bytes) return response.writeHead(404).end();
    response.writeHead(200, { "content-length": bytes.length });
    return response.end(request.method === "HEAD" ? undefined : bytes);
  });
  const told = [];
  const client = await QAClient.fromOptions({
    model: `${address}/bert/`,
    onProgress: (progress) => told.push(progress),
    ...SHORT,
  });
  const { question, context, answer } = fixture("answers.json").bert[0];
  assert.equal((await client.predict(question, context)).text, answer.text);
  const last = told.filter(({ file }) => file === "onnx/model.onnx").pop();
  assert.equal(last.loaded, last.total);
  assert.ok(seen.every((token) => token === undefined), "the hub's token goes to the hub alone");
  await client.dispose();
  await assert.rejects(initModel({ name: `${address}/nothing` }), { code: "MODEL_NOT_FOUND" });
  await assert.rejects(initModel({ name: "http://127.0.0.1:9/x" }), { code: "HUB" });
});
