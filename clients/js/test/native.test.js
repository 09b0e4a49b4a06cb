import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";

import { QAClient, RuntimeType, initModel } from "potstill";

import { addonLibrary } from "../src/runtime/addon.js";
import { ENGINE, RELAXED } from "../src/runtime/engine_file.js";
import { openModels } from "../src/runtime/host.js";
import { wasmLibrary } from "../src/runtime/wasm.js";
import { EMBEDDED, FIXTURES, SHORT, folder, golden, server } from "./helpers.js";

const BERT = `${FIXTURES}/bert`;
const INT8 = "onnx/model_quantized.onnx";

const CASES = golden();

/** A folder of the golden file's question-answering model, its bytes changed. */
async function tinyModel(t, { change = (bytes) => bytes, config: own = {} } = {}) {
  const model = `${await folder(t)}/model`;
  await cp(BERT, model, { recursive: true });
  await rm(`${model}/onnx/model.onnx`);
  await writeFile(`${model}/${INT8}`, change(CASES[0].model));
  const config = JSON.parse(await readFile(`${model}/config.json`, "utf8"));
  const shape = { hidden_size: 48, num_attention_heads: 3, max_position_embeddings: 64 };
  await writeFile(`${model}/config.json`, JSON.stringify({ ...config, ...shape, ...own }));
  return model;
}

/** Rows of the golden case as a batch, padded. */
function batchOf({ ids, types, lengths }) {
  const length = Math.max(...lengths);
  const empty = () => new Int32Array(lengths.length * length);
  const batch = { n: lengths.length, length, inputIds: empty(), attentionMask: empty(), tokenTypeIds: empty() };
  let at = 0;
  lengths.forEach((n, row) => {
    batch.inputIds.set(ids.subarray(at, at + n), row * length);
    batch.attentionMask.fill(1, row * length, row * length + n);
    batch.tokenTypeIds.set(types.subarray(at, at + n), row * length);
    at += n;
  });
  return batch;
}

const bitsOf = (floats) => new Int32Array(floats.buffer, floats.byteOffset, floats.length);

const addon = await addonLibrary();
const LIBRARIES = [
  ["WebAssembly", await wasmLibrary(false), false],
  ["the addon", addon, addon ? false : "there is none here: make addon"],
];

for (const [name, library, skip] of LIBRARIES) {
  CASES.forEach(({ config, model, lengths, ids, types, bits }, number) => {
    test(`${name} gives the bits of the golden file: ${number}`, { skip }, async () => {
      const opened = await library.open(model, config);
      assert.equal(opened.kernel === "wasm", name === "WebAssembly");
      for (const threads of [1, 2]) {
        assert.deepEqual(bitsOf(opened.run(ids, types, lengths, threads)), bits);
      }
      opened.close();
    });
  });

  test(`${name} refuses by number and line, and reads the bytes it was given when it opened`, { skip }, async () => {
    const { config, model, lengths, ids, types, bits } = CASES[0];
    await assert.rejects(library.open(model.slice(0, 1000), config), { status: 1, message: /truncated/ });
    await assert.rejects(library.open(new Uint8Array(), config), { status: 1 });
    const given = model.slice();
    const opened = await library.open(given, config);
    given.fill(0);
    assert.deepEqual(bitsOf(opened.run(ids, types, lengths, 1)), bits);
    const wrong = ids.with(3, 1 << 30);
    assert.throws(() => opened.run(wrong, types, lengths, 1), { status: 3, message: /id/ });
    assert.deepEqual(bitsOf(opened.run(ids, types, lengths, 1)), bits);
    opened.close();
  });
}

test("POTSTILL_KERNEL chooses what computes", { skip: LIBRARIES[1][2] }, async () => {
  const code = `
    import { initModel } from "potstill";
    const model = await initModel({ name: ${JSON.stringify(EMBEDDED)} });
    console.log(model.session.kernel);
    await model.dispose();
  `;
  const kernels = (kernel) => {
    const env = { ...process.env, POTSTILL_KERNEL: kernel };
    const options = { encoding: "utf8", cwd: new URL("..", import.meta.url), env };
    return execFileSync(process.execPath, ["--input-type=module", "-e", code], options).trim();
  };
  assert.equal(kernels("wasm"), "wasm");
  assert.equal(kernels("reference"), "reference");
});

test("a session gives those bits, and 0 where there is only padding", async (t) => {
  const model = await initModel({ name: await tinyModel(t) });
  assert.equal(model.runtime, RuntimeType.Native);
  assert.equal(model.notice, "");
  const batch = batchOf(CASES[0]);
  const { start, end } = await model.session.run(batch);
  const real = (_, i) => batch.attentionMask[i] === 1;
  const said = [...start.filter(real), ...end.filter(real)];
  assert.deepEqual(bitsOf(Float32Array.from(said)), CASES[0].bits);
  assert.ok([...start, ...end].filter((_, i) => !real(_, i % start.length)).every((x) => x === 0));
  await model.dispose();
});

test("ids that the model has not, and rows it does not take, are typed errors", async (t) => {
  const model = await initModel({ name: await tinyModel(t) });
  const one = { n: 1, length: 4, inputIds: new Int32Array(4), attentionMask: new Int32Array(4).fill(1) };
  const batch = (own) => ({ ...one, tokenTypeIds: new Int32Array(4), ...own });
  for (const id of [-1, 1e6, 2 ** 31 - 1]) {
    const wrong = batch({ inputIds: Int32Array.of(1, id, 1, 1) });
    await assert.rejects(model.session.run(wrong), { code: "MODEL", message: /onnx: .*\bid\b/ });
  }
  const holes = batch({ attentionMask: Int32Array.of(1, 0, 1, 1) });
  await assert.rejects(model.session.run(holes), { code: "MODEL", message: /holes/ });
  const empty = batch({ attentionMask: new Int32Array(4) });
  await assert.rejects(model.session.run(empty), { code: "MODEL" });
  assert.equal((await model.session.run(batch())).start.length, 4);
  await model.dispose();
  await assert.rejects(model.session.run(batch()), { code: "MODEL", message: /disposed/ });
});

test("a damaged file is an error, and leaves no model behind", async (t) => {
  const before = await openModels("native");
  const cut = (n) => (bytes) => bytes.slice(0, n);
  const named = (bytes) => {
    const file = Buffer.from(bytes);
    file[file.indexOf("layers.0.attention.query.bias")] = 0x58;
    return file;
  };
  for (const change of [cut(0), cut(100), cut(30_000), named]) {
    const name = await tinyModel(t, { change });
    await assert.rejects(initModel({ name }), { code: "MODEL", message: /model_quantized\.onnx: the file/ });
  }
  assert.equal(await openModels("native"), before);
});

test("what the engine does not run goes to onnxruntime, with the reason", async (t) => {
  const floats = await initModel({ name: BERT });
  assert.equal(floats.runtime, RuntimeType.Onnx);
  assert.match(floats.notice, /^onnx\/model\.onnx is not an int8 file.*onnxruntime runs it$/);
  await floats.dispose();
  const named = await initModel({ name: BERT, runtime: RuntimeType.Onnx });
  assert.equal(named.notice, "");
  await named.dispose();
  await assert.rejects(initModel({ name: BERT, file: "onnx/model.onnx", runtime: "native" }), {
    code: "UNFIT",
    message: /int8/,
  });
  await assert.rejects(initModel({ name: BERT, runtime: "native" }), { code: "MODEL_NOT_FOUND" });
  const strange = `${await folder(t)}/model`;
  await cp(BERT, strange, { recursive: true });
  await mkdir(`${strange}/onnx`, { recursive: true });
  await cp(`${strange}/onnx/model.onnx`, `${strange}/${INT8}`);
  await rm(`${strange}/onnx/model.onnx`);
  const served = [];
  const address = await server(t, async (request, response) => {
    served.push(request.method + request.url);
    const bytes = await readFile(strange + request.url).catch(() => undefined);
    if (!bytes) return response.writeHead(404).end();
    return response.end(request.method === "HEAD" ? undefined : bytes);
  });
  for (const name of [strange, address]) {
    const other = await initModel({ name });
    assert.equal(other.runtime, RuntimeType.Onnx);
    assert.match(other.notice, /model_quantized\.onnx: the engine runs int8 files.*onnxruntime runs it$/);
    await other.dispose();
  }
  assert.equal(served.filter((one) => one === `GET/${INT8}`).length, 1, "its file is fetched once");
  const alias = await tinyModel(t, { config: { hidden_act: "gelu_pytorch_tanh" } });
  await (await initModel({ name: alias, runtime: "native" })).dispose();
  const config = { hidden_act: "silu" };
  await assert.rejects(initModel({ name: await tinyModel(t, { config }), runtime: "native" }), {
    code: "UNFIT",
    message: /silu/,
  });
});

test("a config that the engine cannot use is for another runtime", async (t) => {
  const name = await tinyModel(t, { config: { hidden_size: 50 } });
  await assert.rejects(initModel({ name, runtime: "native" }), { code: "UNFIT", message: /heads are 16\.6/ });
});

test("models opened and disposed of leave none behind, and two run at once", async (t) => {
  const before = await openModels("native");
  const name = await tinyModel(t);
  for (let i = 0; i < 200; i++) {
    const model = await initModel({ name, threads: 1 });
    if (i % 50 === 0) assert.equal(await openModels("native"), before + 1);
    await model.dispose();
    await model.dispose();
  }
  assert.equal(await openModels("native"), before);
  const clients = [await QAClient.fromOptions({ model: name, ...SHORT }), await QAClient.fromOptions()];
  const asked = clients.map((client) => client.predict("Who won?", "The Denver Broncos won."));
  const both = await Promise.all(asked);
  assert.equal(both[1].text, "Denver Broncos");
  for (const client of clients) await client.dispose();
});

test("the embedded model is run by the engine, whose files are small", async () => {
  const model = await initModel({ name: EMBEDDED });
  assert.equal(model.runtime, "native");
  await model.dispose();
  for (const name of [ENGINE, RELAXED]) {
    const file = new URL(`../src/runtime/${name}`, import.meta.url);
    assert.ok((await stat(file)).size <= 200_000);
  }
});
