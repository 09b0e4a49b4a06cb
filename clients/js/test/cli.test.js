import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, readdir, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { QAClient, download } from "potstill";

import { FIXTURES, environment, folder, server } from "./helpers.js";

const PROGRAM = fileURLToPath(new URL("../bin/potstill.js", import.meta.url));
const BERT = `${FIXTURES}/bert`;

function run(args, { input = "", ...options } = {}) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [PROGRAM, ...args], options);
    const found = { out: "", err: "" };
    child.stdout.on("data", (part) => (found.out += part));
    child.stderr.on("data", (part) => (found.err += part));
    child.on("close", (status) => resolve({ ...found, status }));
    child.stdin.end(input);
  });
}

/** A hub with one model, the tiny one; it counts what it is asked. */
async function hub(t, { fail } = {}) {
  const seen = [];
  const files = ["config.json", "vocab.txt", "tokenizer_config.json", "onnx/model.onnx"];
  const more = ["pytorch_model.bin", "onnx/model_fp16.onnx", "../evil.json"];
  const address = await server(t, async (request, response) => {
    seen.push([request.url, request.headers.authorization]);
    if (request.url === "/api/models/owner/tiny/revision/main") {
      const siblings = [...files, ...more].map((rfilename) => ({ rfilename }));
      return response.end(JSON.stringify({ siblings }));
    }
    const file = request.url.replace("/owner/tiny/resolve/main/", "");
    if (file === fail) {
      response.writeHead(200, { "content-length": 1000 });
      response.write("half of it");
      return setTimeout(() => response.destroy(), 20);
    }
    if (files.includes(file)) return response.end(await readFile(`${BERT}/${file}`));
    return response.writeHead(404).end();
  });
  environment(t, { HF_ENDPOINT: address, HF_TOKEN: "secret" });
  return seen;
}

test("ask prints answers for people and for programs", async (t) => {
  const file = `${await folder(t)}/text.txt`;
  await writeFile(file, "A line.\nThe old king built a tower 🏈.\n");
  const flags = ["--model", BERT, "--top-k", "2"];
  const people = await run(["ask", "What was built?", file, ...flags]);
  assert.equal(people.status, 0, people.err);
  assert.match(people.out, /\n {2}0\.\d\d {2}.*text\.txt:[12]\n/);
  const json = await run(["ask", "What was built?", file, "--json", ...flags]);
  const rows = JSON.parse(json.out);
  assert.equal(rows.length, 2);
  const text = await readFile(file, "utf8");
  for (const { answer, start, end, source } of rows) {
    assert.equal(text.slice(start, end), answer);
    assert.equal(source, file);
  }
  const input = await run(["ask", "What was built?", ...flags, "--json"], { input: text });
  assert.equal(JSON.parse(input.out)[0].source, "standard input");
  const given = await run(["ask", "q", "--context=The king.", "--model", BERT, "--any", "--json"]);
  assert.equal(given.status, 0);
});

test("the exit status tells what went wrong, in one line", async () => {
  const cases = [
    [["ask"], 2],
    [["ask", "q", "--nothing"], 2],
    [["ask", "q", "--model"], 2],
    [["ask", "q", "--context", "x", "--top-k", "none"], 2],
    [["brew"], 2],
    [["download"], 2],
    [["ask", "q", "--context", "x", "--model", "/nowhere"], 1],
    [["ask", "q", "/nowhere.txt", "--model", BERT], 1],
    [["ask", "", "--context", "x", "--model", BERT], 1],
    [["download", "no-owner"], 1],
    [["download", "owner/tiny", "--format", "zip"], 1],
  ];
  for (const [args, status] of cases) {
    const found = await run(args);
    assert.equal(found.status, status, `${args}: ${found.err}`);
    assert.match(found.err, /^potstill: [^\n]+\n$/);
  }
  assert.match((await run(["--help"])).out, /download MODEL/);
  assert.match((await run(["--version"])).out, /^\d+\.\d+\.\d+\n$/);
});

test("download brings what a format needs, and the model answers", async (t) => {
  const seen = await hub(t);
  const dir = await folder(t);
  const found = await run(["download", "owner/tiny", "--dir", dir], { env: process.env });
  assert.equal(found.status, 0, found.err);
  assert.equal(found.out, `${dir}/owner/tiny\n`);
  const files = (await readdir(`${dir}/owner/tiny`, { recursive: true })).sort();
  assert.deepEqual(files, ["config.json", "onnx", "onnx/model.onnx", "tokenizer_config.json", "vocab.txt"]);
  assert.ok(seen.every(([, token]) => token === "Bearer secret"));
  const client = await QAClient.fromOptions({ model: "owner/tiny", modelsDir: dir });
  assert.ok(await client.predict("Who?", "The king."));
  await client.dispose();
});

test("a hub id is downloaded when it is first named", async (t) => {
  const seen = await hub(t);
  const modelsDir = await folder(t);
  const told = [];
  for (let i = 0; i < 2; i++) {
    const onProgress = ({ file }) => told.push(file);
    const client = await QAClient.fromOptions({ model: "owner/tiny", modelsDir, onProgress });
    await client.dispose();
  }
  assert.equal(seen.filter(([url]) => url.endsWith("model.onnx")).length, 1);
  assert.ok(told.includes("onnx/model.onnx"));
});

test("a download that fails leaves nothing", async (t) => {
  const dir = await folder(t);
  await hub(t, { fail: "onnx/model.onnx" });
  await assert.rejects(download("owner/tiny", { dir }), { code: "HUB", message: /broke off/ });
  await assert.rejects(stat(`${dir}/owner/tiny`));
  assert.deepEqual(await readdir(dir, { recursive: true }).then((all) => all.filter((f) => f.includes("part"))), []);
  await assert.rejects(download("owner/other", { dir }), { code: "MODEL_NOT_FOUND" });
  await assert.rejects(download("owner/tiny", { dir, format: "tfjs" }), { code: "MODEL_NOT_FOUND", message: /potstill export/ });
  await assert.rejects(download("owner/tiny", { dir, signal: AbortSignal.abort() }), { code: "ABORTED" });
  await writeFile(`${dir}/file`, "");
  await hub(t);
  await assert.rejects(download("owner/tiny", { dir: `${dir}/file` }), { code: "OUTPUT" });
  environment(t, { HF_ENDPOINT: "http://127.0.0.1:9" });
  await assert.rejects(download("owner/tiny", { dir }), { code: "HUB" });
});
