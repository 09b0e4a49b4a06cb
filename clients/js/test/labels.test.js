import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";

import { Classifier, PotstillError, QAClient, Tagger, initModel } from "potstill";

import { table, writeGraphModel } from "./graph_model.js";
import { FIXTURES, environment, fixture, folder, server } from "./helpers.js";

const { texts, tagged, words, said } = fixture("labels.json");
/** The engine gives Python's bits; onnxruntime may add up in another order. */
const WITHIN = { int8: 1e-12, fp32: 1e-5 };
const RUNTIMES = { int8: "native", fp32: "onnx" };

/** The same but for the last digits of the scores. */
function alike(found, wanted, within) {
  const plain = (value) => JSON.parse(JSON.stringify(value, (key, one) => (key === "score" ? 0 : one)));
  assert.deepEqual(plain(found), plain(wanted));
  const scores = (value) => (Array.isArray(value) ? value.flatMap(scores) : [value.score]);
  const [ours, theirs] = [scores(found), scores(wanted)];
  ours.forEach((score, i) => assert.ok(Math.abs(score - theirs[i]) <= within, `${score} ${theirs[i]}`));
}

for (const [name, cases] of Object.entries(said)) {
  const [model, precision] = name.split(" ");
  const how = { model: `${FIXTURES}/${model}`, precision, runtime: RUNTIMES[precision] };
  const within = WITHIN[precision];
  if (Array.isArray(cases)) {
    test(`labels are those of Python: ${name}`, async () => {
      for (const { options, said: wanted } of cases) {
        const classifier = await Classifier.fromOptions({ ...how, ...options });
        const found = await classifier.classifyMany(texts);
        found.forEach(({ labels, ...rest }, i) => {
          const { labels: own, ...others } = wanted[i];
          assert.deepEqual(rest, others);
          alike(labels, own, within);
        });
        // A text alone, and a pair, are what they are among others.
        alike((await classifier.classify(texts[0])).labels, found[0].labels, within);
        alike((await classifier.classify(...texts[3])).labels, found[3].labels, within);
        await classifier.dispose();
      }
    });
    continue;
  }
  test(`entities are those of Python: ${name}`, async () => {
    const tagger = await Tagger.fromOptions(how);
    for (const { options, said: wanted } of cases.spans) {
      const found = await tagger.tagMany(tagged, options);
      alike(found, wanted, within);
      found.forEach((entities, i) => {
        for (const { text, start, end } of entities) assert.equal(tagged[i].slice(start, end), text);
      });
      alike(await tagger.tag(tagged[1], options), wanted[1], within);
    }
    assert.deepEqual(await tagger.tagWordsMany(words), cases.tags);
    assert.deepEqual(await tagger.tagWords(words[1]), cases.tags[1]);
    await tagger.dispose();
    const opened = await Tagger.fromOptions({ ...how, aggregation: "none" });
    const alone = cases.spans.find(({ options }) => options.aggregation === "none");
    alike(await opened.tag(tagged[1]), alone.said[1], within);
    await opened.dispose();
  });
}

/** Whether a call is refused with a code, by one line. */
async function refused(promise, code, message) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof PotstillError, `${error}`);
    assert.equal(error.code, code);
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });
}

const at = (name) => ({ model: `${FIXTURES}/${name}`, precision: "int8" });
let classifier;
let tagger;
before(async () => {
  classifier = await Classifier.fromOptions(at("single"));
  tagger = await Tagger.fromOptions(at("tags"));
});
after(() => Promise.all([classifier.dispose(), tagger.dispose()]));

test("a model of another task is refused, and the client for it named", async () => {
  await refused(QAClient.fromOptions(at("single")), "MODEL", /single is a text classifier: open it with Classifier$/);
  await refused(QAClient.fromOptions(at("letters")), "MODEL", /is a model that tags: open it with Tagger$/);
  await refused(Classifier.fromOptions(at("letters")), "MODEL", /open it with Tagger$/);
  await refused(Tagger.fromOptions(at("number")), "MODEL", /is a text classifier: open it with Classifier$/);
  await refused(Tagger.fromOptions({ model: `${FIXTURES}/bert` }), "MODEL", /bert\S* is not a model that tags: it takes .* and gives end_logits, start_logits/);
  const model = await initModel({ name: `${FIXTURES}/several`, precision: "int8" });
  assert.equal(model.task, "text-classification");
  await refused(Tagger.fromOptions({ model }), "MODEL", /open it with Classifier/);
  const other = await Classifier.fromOptions({ model });
  assert.equal((await other.classify("A river.")).labels.length, 4);
  await other.dispose();
});

test("a folder that says something else than its file is refused", async (t) => {
  const model = `${await folder(t)}/model`;
  await cp(`${FIXTURES}/single`, model, { recursive: true });
  const write = (file, values) => writeFile(`${model}/${file}`, JSON.stringify(values));
  const config = JSON.parse(await readFile(`${model}/config.json`, "utf8"));
  const manifest = { format_version: 1, task: "text-classification" };
  const open = async (options = {}) => (await Classifier.fromOptions({ model, ...options })).dispose();
  await write("config.json", { ...config, id2label: { 0: "no", 1: "yes" } });
  const two = await Classifier.fromOptions({ model, precision: "int8" });
  await refused(two.classify("text"), "MODEL", /gives 3 logits for its 2 labels/);
  await two.dispose();
  await write("config.json", { ...config, id2label: { 0: "no", 2: "yes" } });
  await refused(open(), "CONFIG", /config\.json: id2label must number its labels from 0 on/);
  await write("config.json", { ...config, problem_type: "ranking" });
  await refused(open(), "CONFIG", /problem_type 'ranking' is none of regression, single_label/);
  await write("config.json", config);
  await write("potstill.json", { ...manifest, calibration: { temperature: 0 } });
  await refused(open(), "MODEL", /potstill\.json: calibration's temperature must be a number above 0, not 0/);
  await write("potstill.json", { ...manifest, calibration: { thresholds: { good: 2 } } });
  await refused(open(), "MODEL", /the threshold of 'good' must be a number from 0 to 1, not 2/);
  await write("potstill.json", { ...manifest, max_windows: -1 });
  await refused(open(), "MODEL", /max_windows must be a whole number of at least 0, not -1/);
  await write("potstill.json", { format_version: 1, task: "masked-lm" });
  await refused(open(), "MODEL", /is a model for masked-lm, which this package does not run/);
  await write("potstill.json", { ...manifest, task: "token-classification" });
  const tags = await Tagger.fromOptions({ model, runtime: "onnx", precision: "fp32" });
  await refused(tags.tag("The king."), "MODEL", /no logits of the shape|do not belong together/);
  await tags.dispose();
  // What has no name of its own is taken at its word, and its labels are numbered.
  const { architectures, id2label, label2id, ...bare } = config;
  await cp(`${FIXTURES}/single`, `${model}2`, { recursive: true });
  await writeFile(`${model}2/potstill.json`, "{\"format_version\": 1, \"task\": \"text-classification\"}");
  await writeFile(`${model}2/config.json`, JSON.stringify({ ...bare, num_labels: 3 }));
  const numbered = await Classifier.fromOptions({ model: `${model}2` });
  const { labels } = await numbered.classify("The king.");
  assert.deepEqual(labels.map(({ label }) => label).sort(), ["LABEL_0", "LABEL_1", "LABEL_2"]);
  await numbered.dispose();
});

test("texts that are none, or hold none, are refused", async () => {
  for (const value of [undefined, null, 5, {}]) {
    await refused(classifier.classify(value), "INPUT", /the text must be a string/);
    await refused(tagger.tag(value), "INPUT", /the text must be a string/);
    await refused(classifier.classifyMany(value), "INPUT", /texts must be a list/);
    await refused(tagger.tagMany(value), "INPUT", /texts must be a list/);
    await refused(tagger.tagWords(value), "INPUT", /the sentence must be a list of words/);
  }
  await refused(classifier.classify("text", 7), "INPUT", /must be a string, not number/);
  await refused(classifier.classifyMany([["one"]]), "INPUT", /a list of 1: give a string, or a pair/);
  await refused(classifier.classifyMany(["text", " "]), "EMPTY_INPUT", /text 1 is empty/);
  await refused(classifier.classify("text", ""), "EMPTY_INPUT", /the text is empty/);
  await refused(tagger.tag("\u3000"), "EMPTY_INPUT", /the text is empty/);
  await refused(tagger.tagWords([]), "EMPTY_INPUT", /the sentence is empty/);
  await refused(tagger.tagWordsMany([["a"], ["b", " "]]), "EMPTY_INPUT", /sentence 1 holds an empty word/);
  await refused(tagger.tagWords(["a", 1]), "INPUT", /no string, but number/);
  assert.deepEqual(await classifier.classifyMany([]), []);
  assert.deepEqual(await tagger.tagMany([]), []);
  // A text of which the tokenizer leaves nothing is read as special tokens alone, as in Python.
  assert.equal((await classifier.classify("\u0000")).labels.length, 3);
  assert.deepEqual(await tagger.tag("\u0000"), []);
});

test("options that there are not, or out of range, are refused", async () => {
  const opened = (Client, name, options) => Client.fromOptions({ ...at(name), ...options });
  await refused(opened(Classifier, "single", { max_windows: 3 }), "INPUT", /did you mean 'maxWindows'/);
  await refused(opened(Classifier, "single", { stride: 3 }), "INPUT", /no option 'stride': there are model, /);
  await refused(opened(Tagger, "tags", { maxWindows: 3 }), "INPUT", /no option 'maxWindows'/);
  for (const options of [{ seqLen: 7 }, { seqLen: 129 }, { maxWindows: -1 }, { threshold: 1.5 }, { threshold: "0" }]) {
    await refused(opened(Classifier, "single", options), "INPUT", new RegExp(Object.keys(options)[0]));
  }
  await refused(opened(Classifier, "single", { threshold: 2 }), "INPUT", /a number from 0 to 1, not 2/);
  await refused(opened(Tagger, "tags", { seqLen: 2 }), "INPUT", /a whole number of at least 3/);
  await refused(opened(Tagger, "tags", { aggregation: "last" }), "INPUT", /one of none, simple, first, max, average/);
  await refused(tagger.tag("x", { aggregation: "last" }), "INPUT", /one of none/);
  await refused(tagger.tag("x", { ignore: "O" }), "INPUT", /ignore must be a list/);
  await refused(tagger.tag("x", { topK: 1 }), "INPUT", /no option 'topK': there are aggregation, ignore, signal/);
  await refused(classifier.classify("x", undefined, { topK: 1 }), "INPUT", /no option 'topK'/);
  await refused(classifier.classify("x", undefined, { signal: AbortSignal.abort() }), "ABORTED", /./);
  await refused(tagger.tag("x", { signal: AbortSignal.abort() }), "ABORTED", /./);
});

test("a graph model labels in TensorFlow.js", async (t) => {
  const model = `${await folder(t)}/model`;
  await cp(`${FIXTURES}/tags`, model, { recursive: true });
  const config = JSON.parse(await readFile(`${model}/config.json`, "utf8"));
  await writeFile(`${model}/config.json`, JSON.stringify({ ...config, id2label: { 0: "O", 1: "B-x" } }));
  const vocabulary = (await readFile(`${model}/vocab.txt`, "utf8")).trim().split("\n");
  await writeGraphModel(model, vocabulary.length, -1, true);
  const logits = table(vocabulary.length);
  const graph = await Tagger.fromOptions({ model, runtime: "tfjs" });
  const asked = "the old king and the queen of paris won a game".split(" ");
  const wanted = asked.map((word) => {
    const id = vocabulary.indexOf(word);
    return logits[2 * id] >= logits[2 * id + 1] ? "O" : "B-x";
  });
  assert.equal(new Set(wanted).size, 2);
  assert.deepEqual(await graph.tagWords(asked), wanted);
  await graph.dispose();
});

test("a remote model labels as a local one", async (t) => {
  environment(t, { HF_TOKEN: undefined });
  const name = `${FIXTURES}/tags`;
  const local = await initModel({ name, precision: "int8" });
  t.after(() => local.dispose());
  const dim = [{ size: "-1" }, { size: "-1" }];
  const io = (names) => Object.fromEntries(names.map((one) => [one, { tensor_shape: { dim } }]));
  const serving_default = {
    inputs: io(["input_ids", "attention_mask", "token_type_ids"]),
    outputs: io(["output_0"]),
  };
  const address = await server(t, async (request, response) => {
    if (request.url.endsWith("/metadata")) {
      return response.end(JSON.stringify({ metadata: { signature_def: { signature_def: { serving_default } } } }));
    }
    const parts = [];
    for await (const part of request) parts.push(part);
    const { inputs } = JSON.parse(Buffer.concat(parts).toString());
    const [n, length] = [inputs.input_ids.length, inputs.input_ids[0].length];
    const flat = (one) => Int32Array.from(inputs[one].flat());
    const [inputIds, attentionMask, tokenTypeIds] = Object.keys(serving_default.inputs).map(flat);
    const { logits } = await local.session.run({ n, length, inputIds, attentionMask, tokenTypeIds });
    const of = (row, token) => [...logits.slice(5 * (row * length + token), 5 * (row * length + token + 1))];
    const rows = Array.from({ length: n }, (_, i) => Array.from({ length }, (_, j) => of(i, j)));
    return response.end(JSON.stringify({ outputs: rows })); // a lone output's name is left out
  });
  const model = await initModel({ name, path: `${address}/v1/models/tags`, runtime: "remote" });
  const remote = await Tagger.fromOptions({ model });
  assert.deepEqual(await remote.tagMany(tagged), await tagger.tagMany(tagged));
  await remote.dispose();
});
