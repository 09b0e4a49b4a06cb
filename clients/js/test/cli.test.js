import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { QAClient, download } from "potstill";

import { FIXTURES, environment, fixture, folder, server } from "./helpers.js";

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

test("ask reads a folder, shows the sentence, and says what it did not read", async (t) => {
  const home = await folder(t);
  await mkdir(`${home}/more`);
  await writeFile(`${home}/a.md`, "# Old\n\nNothing here. The old king built a tower by the river! It was new.\n");
  await writeFile(`${home}/more/b.html`, "<table><tr><th>Who<th>What<tr><td>The queen<td>wrote a book</table>");
  await writeFile(`${home}/c.pdf`, "%PDF-1.7");
  const asked = ["ask", "What did the old king build?", home];
  const people = await run(asked);
  assert.equal(people.status, 0, people.err);
  assert.equal(people.err, `potstill: skipped: ${home}/c.pdf: .pdf is not read here: \`potstill ask\` of the Python package reads it\n`);
  const lines = people.out.split("\n");
  assert.match(lines[0], /^a tower/);
  assert.equal(lines[1], "  The old king built a tower by the river!");
  assert.match(lines[2], /^ {2}0\.\d\d {2}.*\/a\.md:3$/);
  const [row] = JSON.parse((await run([...asked, "--json"])).out);
  assert.deepEqual([row.answer, row.sentence, row.source], [lines[0], lines[1].trim(), `${home}/a.md`]);
  const table = await run(["ask", "Who wrote a book?", `${home}/more`, "--any", "--json"]);
  assert.match(JSON.parse(table.out)[0].sentence, /^Who: The queen \|\tWhat: wrote a book$/);
  const nothing = await run(["ask", "q", `${home}/c.pdf`, "--model", BERT]);
  assert.equal(nothing.status, 1);
  assert.match(nothing.err, /^potstill: there is no text to ask: [^\n]+c\.pdf: \.pdf is not read here[^\n]+\n$/);
});

test("classify and tag print for people and for programs", async () => {
  const single = ["--model", `${FIXTURES}/single`];
  const { texts, tagged, words, said } = fixture("labels.json");
  const [{ said: labels }] = said["single fp32"];
  const one = await run(["classify", texts[0], ...single]);
  assert.equal(one.status, 0, one.err);
  const lines = labels[0].labels.map(({ label, score, chosen }) => `${chosen ? "*" : " "} ${score.toFixed(3)}  ${label}\n`);
  assert.equal(one.out, lines.join(""));
  const several = await run(["classify", ...single, "--top-k", "1", "--json", "--windows=1", "--", texts[0], texts[6]]);
  const [first, long] = JSON.parse(several.out);
  assert.deepEqual(first.chosen, labels[0].chosen);
  assert.equal(first.labels.length, 1);
  assert.ok(long.truncated);
  assert.match(several.err, /1 of 2 texts are longer than the 24 tokens that are read: their ends were left out/);
  const pair = await run(["classify", "-", "--pair", texts[3][1], "--json", ...single], { input: texts[3][0] });
  assert.deepEqual(JSON.parse(pair.out).chosen, labels[3].chosen);
  const tags = ["--model", `${FIXTURES}/tags`];
  const { said: spans } = said["tags fp32"].spans.find(({ options }) => options.aggregation === "first");
  const found = await run(["tag", tagged[0], "--json", ...tags]);
  assert.deepEqual(JSON.parse(found.out).map(({ text }) => text), spans[0].map(({ text }) => text));
  const people = await run(["tag", ...tags, "--aggregation", "max"], { input: tagged[0] });
  assert.match(people.out, /^(\d\.\d\d {2}(place|group) {2}.+ {2}\d+:\d+\n)+$/);
  const byWord = await run(["tag", "--words", words[0].join(" "), ...tags]);
  assert.equal(byWord.out, words[0].map((word, i) => `${word}\t${said["tags fp32"].tags[0][i]}\n`).join(""));
});

test("the exit status tells what went wrong, in one line", async () => {
  const cases = [
    [["ask"], 2],
    [["ask", "q", "--nothing"], 2],
    [["ask", "q", "--model"], 2],
    [["ask", "q", "--context", "x", "--top-k", "none"], 2],
    [["brew"], 2],
    [["download"], 2],
    [["ask", "q", "--json=yes"], 2],
    [["classify", "text"], 2],
    [["classify", "a", "b", "--pair", "c", "--model", BERT], 2],
    [["classify", "a", "--model", `${FIXTURES}/single`, "--threshold", "2"], 1],
    [["classify", "a", "--model", BERT], 1],
    [["tag", "a", "b", "--model", `${FIXTURES}/tags`], 2],
    [["tag", "a", "--model", `${FIXTURES}/tags`, "--aggregation", "last"], 2],
    [["tag", "a", "--model", `${FIXTURES}/single`], 1],
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
