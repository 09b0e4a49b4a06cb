/** ONNX files in onnxruntime: onnxruntime-node in Node, onnxruntime-web in a page. Runs in a worker. */

import { MissingPackageError, ModelError, reason } from "../errors.js";
import { IN_NODE } from "../env.js";
import { inputsOf, notOfHead, outputsOf } from "./names.js";

/** @import { Engine, EngineOptions } from "./host.js" */

/**
 * @param {EngineOptions} options
 * @returns {Promise<Engine>}
 */
export async function open(options) {
  const ort = await load(options);
  const { where, head } = options;
  let session;
  try {
    session = await ort.InferenceSession.create(options.bytes ?? options.path, {
      executionProviders: [IN_NODE ? "cpu" : "wasm"],
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      logSeverityLevel: 4, // every fault is thrown as well
      extra: {
        // Spinning inside one run saves wake-ups; between two runs it would burn a core for nothing.
        session: { intra_op: { allow_spinning: "1" }, force_spinning_stop: "1" },
      },
    });
  } catch (error) {
    throw new ModelError(`${where} is damaged or not an ONNX model: ${reason(error)}`);
  }
  const inputs = inputsOf([...session.inputNames], options.inputsNames);
  const outputs = outputsOf(head, [...session.outputNames], options.outputsNames);
  if (!inputs || !outputs) {
    await session.release();
    throw new ModelError(notOfHead(where, head, [...session.inputNames], [...session.outputNames]));
  }
  return {
    fixedLength: 0,
    async run(batch) {
      /** @type {Record<string, any>} */
      const feeds = {};
      for (const [ours, name] of inputs) {
        const values = BigInt64Array.from(/** @type {Int32Array} */ (batch[ours]), BigInt);
        feeds[name] = new ort.Tensor("int64", values, [batch.n, batch.length]);
      }
      let found;
      try {
        found = await session.run(feeds, outputs.map(([, name]) => name));
      } catch (error) {
        throw new ModelError(`${where} could not be run: ${reason(error)}`);
      }
      return Object.fromEntries(outputs.map(([ours, name]) => [ours, found[name].data]));
    },
    async dispose() {
      await session.release();
    },
  };
}

/** @param {EngineOptions} options @returns {Promise<any>} */
async function load({ module }) {
  const name = IN_NODE ? "onnxruntime-node" : "onnxruntime-web";
  let found;
  try {
    if (IN_NODE) found = await import("onnxruntime-node");
    else found = await (module ? import(/* @vite-ignore */ module) : import("onnxruntime-web"));
  } catch (error) {
    throw new MissingPackageError(
      `ONNX models need ${name}: npm install ${name} (${reason(error)})`,
    );
  }
  return found.InferenceSession ? found : found.default;
}
