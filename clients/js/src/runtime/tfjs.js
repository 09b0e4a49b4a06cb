/** TensorFlow.js graph models on the wasm backend. Runs in a worker. */

import { MissingPackageError, ModelError, reason } from "../errors.js";
import { inputsOf, notOfHead, outputsOf } from "./names.js";

/** @import { Engine, EngineOptions } from "./host.js" */

/**
 * @param {EngineOptions} options `files` has `model.json` under "model" and its weights, joined,
 *   under "weights"
 * @returns {Promise<Engine>}
 */
export async function open(options) {
  const { tf, converter } = await load();
  const { where, head, files } = options;
  let model;
  try {
    const json = JSON.parse(new TextDecoder().decode(files?.model));
    const weightSpecs = json.weightsManifest.flatMap((/** @type {any} */ group) => group.weights);
    model = await converter.loadGraphModel(
      tf.io.fromMemory({
        modelTopology: json.modelTopology,
        format: json.format,
        signature: json.signature,
        userDefinedMetadata: json.userDefinedMetadata,
        weightSpecs,
        weightData: /** @type {Uint8Array} */ (files?.weights).buffer,
      }),
    );
  } catch (error) {
    throw new ModelError(`${where} is damaged or not a graph model: ${reason(error)}`);
  }
  const signature = model.modelSignature ?? {};
  const inputNames = Object.keys(signature.inputs ?? {});
  const outputNames = Object.keys(signature.outputs ?? {});
  const inputs = inputsOf(inputNames, options.inputsNames);
  const outputs = outputsOf(head, outputNames, options.outputsNames);
  if (!inputs || !outputs) {
    model.dispose();
    throw new ModelError(notOfHead(where, head, inputNames, outputNames));
  }
  /** @param {string} name of an output */
  const tensorOf = (name) => signature.outputs[name].name;
  const dims = signature.inputs[inputs[0][1]].tensorShape?.dim ?? [];
  return {
    fixedLength: Math.max(0, Number(dims[1]?.size ?? 0)),
    async run(batch) {
      const feeds = Object.fromEntries(
        inputs.map(([ours, name]) => [
          signature.inputs[name].name,
          tf.tensor2d(/** @type {Int32Array} */ (batch[ours]), [batch.n, batch.length], "int32"),
        ]),
      );
      try {
        // A list of one name gives a tensor, not a list of one.
        const found = [model.execute(feeds, outputs.map(([, name]) => tensorOf(name)))].flat();
        const said = await Promise.all(found.map((/** @type {any} */ t) => t.data()));
        tf.dispose(found);
        return Object.fromEntries(outputs.map(([ours], i) => [ours, said[i]]));
      } catch (error) {
        throw new ModelError(`${where} could not be run: ${reason(error)}`);
      } finally {
        tf.dispose(feeds);
      }
    },
    async dispose() {
      model.dispose();
    },
  };
}

async function load() {
  try {
    const tf = unwrapped(await import("@tensorflow/tfjs-core"));
    const converter = unwrapped(await import("@tensorflow/tfjs-converter"));
    await import("@tensorflow/tfjs-backend-wasm");
    await tf.setBackend("wasm");
    await tf.ready();
    return { tf, converter };
  } catch (error) {
    const names = ["core", "converter", "backend-wasm"].map((name) => `@tensorflow/tfjs-${name}`);
    throw new MissingPackageError(
      `graph models need TensorFlow.js: npm install ${names.join(" ")} (${reason(error)})`,
    );
  }
}

/** @param {any} found a module; one of CommonJS has its names under `default` @returns {any} */
function unwrapped(found) {
  return found.default ?? found;
}
