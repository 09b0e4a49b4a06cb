// Potstill in Node, asked in lines of JSON: node node_worker.mjs MODEL RUNTIME THREADS [OPTIONS]
//
// RUNTIME may be empty: what runs a model where nobody names a runtime.
//
// OPTIONS is JSON for QAClient.fromOptions. A line holds a question, a context and options of
// `predict`; so does the answer, with the seconds it took.
import { createInterface } from "node:readline";

import { QAClient } from "../clients/js/src/index.js";

const [model, runtime, threads, options = "{}"] = process.argv.slice(2);
const client = await QAClient.fromOptions({
  model,
  runtime: runtime || undefined,
  threads: Number(threads),
  ...JSON.parse(options),
});
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const { question, context, options: own } = JSON.parse(line);
  const began = performance.now();
  const answer = await client.predict(question, context, own);
  const seconds = (performance.now() - began) / 1000;
  console.log(JSON.stringify({ seconds, answer }));
}
