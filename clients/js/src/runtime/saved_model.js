/** SavedModels in TensorFlow's own library, through @tensorflow/tfjs-node. Runs in a worker. */

import { MissingPackageError, ModelError, reason } from "../errors.js";
import { inputsOf, notOfHead, outputsOf } from "./names.js";

/** @import { Engine, EngineOptions } from "./host.js" */

/**
 * @param {EngineOptions} options
 * @returns {Promise<Engine>}
 */
export async function open(options) {
  const tf = await load();
  const { where, head, path, signatureName = "serving_default" } = options;
  let signature;
  let model;
  try {
    const graphs = await tf.node.getMetaGraphsFromSavedModel(path);
    const served = graphs.find((/** @type {any} */ graph) => graph.tags.includes("serve"));
    signature = served?.signatureDefs[signatureName];
    if (!signature) throw new Error(`it has no signature '${signatureName}' under the tag 'serve'`);
    model = await tf.node.loadSavedModel(path, ["serve"], signatureName);
  } catch (error) {
    throw new ModelError(`${where} cannot be used as a SavedModel: ${reason(error)}`);
  }
  const inputNames = Object.keys(signature.inputs);
  const outputNames = Object.keys(signature.outputs);
  const inputs = inputsOf(inputNames, options.inputsNames);
  const outputs = outputsOf(head, outputNames, options.outputsNames);
  if (!inputs || !outputs) {
    model.dispose();
    throw new ModelError(notOfHead(where, head, inputNames, outputNames));
  }
  return {
    fixedLength: Math.max(0, sizeOf(signature.inputs[inputs[0][1]].shape?.[1])),
    async run(batch) {
      const feeds = Object.fromEntries(
        inputs.map(([ours, name]) => [
          name,
          tf.tensor2d(/** @type {Int32Array} */ (batch[ours]), [batch.n, batch.length], "int32"),
        ]),
      );
      try {
        const found = model.predict(feeds);
        const said = await Promise.all(outputs.map(([, name]) => found[name].data()));
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

/** @param {any} dimension a number, or in some versions a message that holds one */
function sizeOf(dimension) {
  return Number(dimension?.array?.[0] ?? dimension ?? 0);
}

/** @returns {Promise<any>} */
async function load() {
  const name = "@tensorflow/tfjs-node";
  try {
    const found = await import(name);
    return found.default ?? found;
  } catch (error) {
    throw new MissingPackageError(
      `SavedModels need ${name}, see docs/javascript.md for how to build it: ${reason(error)}`,
    );
  }
}
