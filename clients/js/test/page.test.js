import assert from "node:assert/strict";
import { access, readdir } from "node:fs/promises";
import { test } from "node:test";

import { Classifier, QAClient, Tagger } from "potstill";

import { serve, write } from "../../../examples/browser/serve.mjs";
import { FIXTURES, fixture, folder, golden } from "./helpers.js";

const BROWSERS = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];

/** Chromium of this machine. */
async function chromium() {
  for (const path of BROWSERS.filter(Boolean)) {
    const there = await access(path).then(() => true, () => false);
    if (there) return path;
  }
  return undefined;
}

const executablePath = await chromium();
const skip = executablePath
  ? false
  : "there is no Chromium: apt-get install chromium, or name one in CHROMIUM";

async function page(t, model) {
  const { chromium: playwright } = await import("playwright-core");
  const server = serve({ port: 0, model });
  await new Promise((resolve) => server.on("listening", resolve));
  const browser = await playwright.launch({ executablePath, args: ["--no-sandbox"] });
  t.after(async () => {
    await browser.close();
    server.closeAllConnections();
    server.close();
  });
  const opened = await browser.newPage();
  const faults = [];
  const asked = [];
  opened.on("pageerror", (error) => faults.push(String(error)));
  opened.on("console", (message) => message.type() === "error" && faults.push(message.text()));
  opened.on("request", (request) => asked.push(new URL(request.url())));
  const address = `http://127.0.0.1:${server.address().port}/`;
  await opened.goto(address);
  return { opened, address, faults, asked };
}

test("the page answers, highlights, and asks nobody else", { skip }, async (t) => {
  const { opened, address, faults, asked } = await page(t);
  await opened.waitForSelector("body[data-state=ready]", { timeout: 120_000 });
  await opened.fill("#context", "🏈 In 2015 the Denver Broncos beat the Carolina Panthers.");
  await opened.fill("#question", "Who beat the Carolina Panthers?");
  await opened.click("#ask");
  await opened.waitForSelector("body[data-state=answered]", { timeout: 60_000 });
  const { text, whole } = await opened.evaluate(() => ({
    text: document.querySelector("mark").textContent,
    whole: document.querySelector("#shown").textContent,
  }));
  assert.match(text, /Denver Broncos/);
  assert.equal(whole, "🏈 In 2015 the Denver Broncos beat the Carolina Panthers.");
  await opened.fill("#context", " \u200b");
  await opened.click("#ask");
  await opened.waitForSelector("body[data-state=failed]");
  assert.match(await opened.textContent("#said"), /empty|nothing/);
  assert.ok(asked.length > 5);
  const elsewhere = asked.filter(({ protocol, origin }) => protocol !== "data:" && `${origin}/` !== address);
  assert.deepEqual(elsewhere, []);
  assert.deepEqual(faults, []);
});

test("a page gives the answers of Python, and goes on while it reads", { skip }, async (t) => {
  const { opened, faults } = await page(t, `${FIXTURES}/bert`);
  await opened.waitForSelector("body[data-state=ready]", { timeout: 120_000 });
  const cases = fixture("answers.json").bert;
  const { answers, ticks, refused } = await opened.evaluate(async (asked) => {
    const { QAClient } = await import("potstill");
    const client = await QAClient.fromOptions({ model: "./model/", seqLen: 64, stride: 16 });
    let count = 0;
    const timer = setInterval(() => count++, 4);
    const found = [];
    for (const { question, context, options } of asked) {
      found.push(await client.predict(question, context, options));
    }
    clearInterval(timer);
    await client.dispose();
    const code = (promise) => promise.then(() => "none", (error) => error.code);
    const failed = [
      await code(client.predict("Who?", "The king.")),
      await code(QAClient.fromOptions()),
      await code(QAClient.fromOptions({ model: "./nothing/" })),
      await code(QAClient.fromOptions({ model: "./model/", runtime: "saved_model" })),
    ];
    return { answers: found, ticks: count, refused: failed };
  }, cases);
  const plain = (said) => [said].flat().map((one) => one && { ...one, score: 0 });
  answers.forEach((answer, i) => {
    assert.deepEqual(plain(answer), plain(cases[i].answer));
    for (const [j, one] of [answer].flat().entries()) {
      if (one) assert.ok(Math.abs(one.score - [cases[i].answer].flat()[j].score) < 1e-4);
    }
  });
  assert.ok(ticks > 5, `${ticks} ticks`);
  assert.deepEqual(refused, ["MODEL", "MODEL_NOT_FOUND", "MODEL_NOT_FOUND", "INPUT"]);
  assert.deepEqual(faults.filter((fault) => !/404/.test(fault)), []);
});

test("a page computes the bits of the golden file, and Node's answers", { skip }, async (t) => {
  const { opened, faults, asked } = await page(t);
  await opened.waitForSelector("body[data-state=ready]", { timeout: 120_000 });
  for (const [relaxed, kernel] of [[true, "wasm-relaxed"], [false, "wasm"]]) {
    for (const { bits, ...given } of golden()) {
      const entries = Object.entries(given).filter(([, values]) => values);
      const plain = Object.fromEntries(entries.map(([name, values]) => [name, [...values]]));
      const said = await opened.evaluate(async ({ config, model, ids, types, lengths, relaxed }) => {
        const { wasmLibrary } = await import(`${location.origin}/potstill/runtime/wasm.js`);
        const library = await wasmLibrary(relaxed);
        const engine = await library.open(Uint8Array.from(model), Uint8Array.from(config));
        const kinds = types && Int32Array.from(types);
        const out = engine.run(Int32Array.from(ids), kinds, Uint32Array.from(lengths), 1);
        return { kernel: engine.kernel, bits: [...new Int32Array(out.buffer)] };
      }, { ...plain, relaxed });
      assert.deepEqual(said, { kernel, bits: [...bits] });
    }
  }
  const short = ({ context }) => typeof context !== "string" || context.length < 1000;
  const cases = fixture("answers.json").embedded.filter(short);
  const { runtime, answers } = await opened.evaluate(async (questions) => {
    const { QAClient: Client } = await import("potstill");
    const client = await Client.fromOptions({ model: "./model/" });
    const found = [];
    for (const { question, context, options } of questions) {
      found.push(await client.predict(question, context, options));
    }
    return { runtime: client.model.runtime, answers: found };
  }, cases);
  assert.equal(runtime, "native");
  const client = await QAClient.fromOptions();
  for (const [i, { question, context, options }] of cases.entries()) {
    const [here, there] = [answers[i], await client.predict(question, context, options)].map((said) => [said].flat());
    here.forEach((one, j) => {
      // The logits are the same; browsers' own exponential functions differ in the last bit.
      if (one) assert.ok(Math.abs(one.score - there[j].score) < 1e-12);
      assert.deepEqual(one && { ...one, score: 0 }, there[j] && { ...there[j], score: 0 });
    });
  }
  await client.dispose();
  assert.ok(!asked.some(({ pathname }) => pathname.startsWith("/vendor/")), "onnxruntime is not fetched");
  assert.deepEqual(faults, []);
});

for (const [name, Client, call] of [["several", Classifier, "classifyMany"], ["tags", Tagger, "tagMany"]]) {
  test(`a page labels as Node does: ${name}`, { skip }, async (t) => {
    const { opened, faults } = await page(t, `${FIXTURES}/${name}`);
    await opened.waitForSelector("body[data-state=failed]", { timeout: 120_000 });
    assert.match(await opened.textContent("#said"), new RegExp(`open it with ${Client.name}`));
    const { texts, tagged } = fixture("labels.json");
    const given = [Client.name, call, call === "tagMany" ? tagged : texts];
    const { runtime, found } = await opened.evaluate(async ([client, method, asked]) => {
      const here = await import("potstill");
      const own = await here[client].fromOptions({ model: "./model/", precision: "int8" });
      return { runtime: own.model.runtime, found: await own[method](asked) };
    }, given);
    assert.equal(runtime, "native");
    const client = await Client.fromOptions({ model: `${FIXTURES}/${name}`, precision: "int8" });
    const digits = (said) => JSON.stringify(said, (key, one) => (key === "score" ? one.toFixed(12) : one));
    assert.equal(digits(found), digits(await client[call](given[2])));
    await client.dispose();
    assert.deepEqual(faults.filter((fault) => !/404/.test(fault)), []);
  });
}

test("the page can be written into a folder", async (t) => {
  const out = await folder(t);
  await write(out, `${FIXTURES}/bert`);
  const files = await readdir(out, { recursive: true });
  for (const file of ["index.html", "potstill/index.js", "vendor/ort.wasm.min.mjs", "model/onnx/model.onnx"]) {
    assert.ok(files.includes(file), `${file} in ${files}`);
  }
});
