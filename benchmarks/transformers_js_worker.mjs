// transformers.js, asked in lines of JSON: node transformers_js_worker.mjs PACKAGES MODEL THREADS
//
// PACKAGES is a folder in which `npm install @huggingface/transformers` was run. MODEL is a folder
// with ONNX files; the first there is of float32 and int8 is run.
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [packages, model, threads] = process.argv.slice(2);
const found = createRequire(`${resolve(packages)}/`).resolve("@huggingface/transformers");
const { env, pipeline } = await import(pathToFileURL(found));
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(model));
const answer = await pipeline("question-answering", basename(resolve(model)), {
  dtype: existsSync(`${model}/onnx/model.onnx`) ? "fp32" : "q8",
  session_options: { intraOpNumThreads: Number(threads), interOpNumThreads: 1 },
});
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const { question, context } = JSON.parse(line);
  const began = performance.now();
  const { answer: text, score } = await answer(question, context);
  const seconds = (performance.now() - began) / 1000;
  console.log(JSON.stringify({ seconds, answer: { text, score } }));
}
