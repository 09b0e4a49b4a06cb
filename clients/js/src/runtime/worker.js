/** The other thread: opens models, runs them one call after another, and closes them. */

import { PotstillError, reason } from "../errors.js";
import { IN_NODE } from "../env.js";

/** @import { Call, Engine, EngineOptions } from "./host.js" */

/** @type {Map<number, Engine>} */
const models = new Map();

/** @param {string} engine @returns {Promise<{ open: (options: EngineOptions) => Promise<Engine> }>} */
function engineOf(engine) {
  if (engine === "tfjs") return import("./tfjs.js");
  if (engine === "saved_model") return import("./saved_model.js");
  if (engine === "native") return import("./native.js");
  return import("./onnx.js");
}

/** @param {Call} call @returns {Promise<any>} */
async function handle(call) {
  if (call.kind === "open") {
    const { open } = await engineOf(call.engine);
    const model = await open(call.options);
    models.set(call.model, model);
    return { fixedLength: model.fixedLength, kernel: model.kernel };
  }
  if (call.kind === "count") return models.size;
  const model = models.get(call.model);
  if (call.kind === "close") {
    models.delete(call.model);
    return model?.dispose();
  }
  if (!model) throw new PotstillError("the model was disposed of", "MODEL");
  return model.run(call.batch);
}

/** @param {(message: any, transfer: any[]) => void} send */
function answering(send) {
  // Runtimes that wait for something must not be entered twice.
  let before = Promise.resolve();
  return (/** @type {Call & { id: number }} */ call) => {
    before = before.then(async () => {
      try {
        const value = await handle(call);
        // What a runtime may still own is copied by sending it.
        send({ id: call.id, value }, []);
      } catch (error) {
        const code = error instanceof PotstillError ? error.code : "MODEL";
        send({ id: call.id, error: { code, message: reason(error) } }, []);
      }
    });
  };
}

if (IN_NODE) {
  const { parentPort: port } = await import("node:worker_threads");
  if (port) port.on("message", answering((message) => port.postMessage(message)));
} else {
  const handler = answering((message) => globalThis.postMessage(message));
  globalThis.addEventListener("message", (event) => handler(event.data));
}
