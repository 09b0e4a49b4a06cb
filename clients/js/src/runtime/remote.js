/** A model that TensorFlow Serving, or a server that speaks its REST protocol, runs elsewhere. */

import { AbortedError, RemoteError, reason } from "../errors.js";
import { HEADS } from "../heads.js";
import { inputsOf, notOfHead, outputsOf } from "./names.js";

/** @import { Batch } from "../text/windows.js" */
/** @import { Session } from "./host.js" */
/** @import { HeadName, OutputsNames } from "../heads.js" */
/** @import { InputsNames } from "./names.js" */

/**
 * @typedef {object} RemoteOptions
 * @property {string} [signatureName] default `serving_default`
 * @property {InputsNames} [inputsNames]
 * @property {OutputsNames} [outputsNames]
 * @property {Record<string, string>} [headers] that go along with every request, such as a token
 * @property {number} [timeoutMs] how long one request may take; default a minute
 */

/**
 * @param {string} path the model's address, such as `http://localhost:8501/v1/models/qa`
 * @param {HeadName} head
 * @param {RemoteOptions} options
 * @param {AbortSignal} [signal]
 * @returns {Promise<Session>}
 * @throws {RemoteError} nobody answers there, or it is no such model
 */
export async function openRemote(path, head, options, signal) {
  const address = path.replace(/\/+$/, "");
  const { signatureName = "serving_default", timeoutMs = 60_000 } = options;
  const said = await request(`${address}/metadata`, { headers: options.headers }, timeoutMs, signal);
  const signature = said?.metadata?.signature_def?.signature_def?.[signatureName];
  if (!signature?.inputs || !signature?.outputs) {
    throw new RemoteError(`${address} has no signature '${signatureName}'`);
  }
  const inputNames = Object.keys(signature.inputs);
  const outputNames = Object.keys(signature.outputs);
  const inputs = inputsOf(inputNames, options.inputsNames);
  const outputs = outputsOf(head, outputNames, options.outputsNames);
  if (!inputs || !outputs) throw new RemoteError(notOfHead(address, head, inputNames, outputNames));
  const size = signature.inputs[inputs[0][1]].tensor_shape?.dim?.[1]?.size;
  let closed = false;
  return {
    head,
    fixedLength: Math.max(0, Number(size ?? 0) || 0),
    async run(batch, stop) {
      if (closed) throw new RemoteError(`${address} was disposed of: open the model again`);
      const feeds = Object.fromEntries(
        inputs.map(([ours, name]) => [name, rowsOf(/** @type {Int32Array} */ (batch[ours]), batch)]),
      );
      const body = JSON.stringify({ signature_name: signatureName, inputs: feeds });
      const init = { method: "POST", body, headers: options.headers };
      const answer = await request(`${address}:predict`, init, timeoutMs, stop);
      // A server leaves the name of a lone output out.
      const said = outputs.length > 1 ? answer?.outputs : { [outputs[0][1]]: answer?.outputs };
      return Object.fromEntries(
        outputs.map(([ours, name]) => [ours, flat(said?.[name], batch, HEADS[head].byToken, address)]),
      );
    },
    async dispose() {
      closed = true;
    },
  };
}

const CLOSED = ["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"];

/**
 * @param {string} address
 * @param {RequestInit} init
 * @param {number} timeoutMs
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
async function request(address, init, timeoutMs, signal) {
  const either = new AbortController();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    either.abort();
  }, timeoutMs);
  const stop = () => either.abort();
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  const headers = new Headers(init.headers);
  if (init.body) headers.set("content-type", "application/json");
  try {
    const asked = { ...init, headers, signal: either.signal };
    // A server may close an idle connection just as it is used again; asking twice does no harm.
    const answer = await fetch(address, asked).catch((error) => {
      if (!CLOSED.includes(error?.cause?.code)) throw error;
      return fetch(address, asked);
    });
    const text = await answer.text();
    if (!answer.ok) {
      throw new RemoteError(`${address} answered ${answer.status}: ${text.slice(0, 200).trim()}`);
    }
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof RemoteError) throw error;
    if (signal?.aborted) throw new AbortedError();
    const why = late ? `no answer in ${timeoutMs} ms` : reason(error);
    throw new RemoteError(`${address} could not be asked (${why}): is the server up?`);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** @param {Int32Array} values @param {Batch} batch @returns {number[][]} */
function rowsOf(values, { n, length }) {
  return Array.from({ length: n }, (_, i) => [...values.subarray(i * length, (i + 1) * length)]);
}

/**
 * @param {unknown} rows
 * @param {Batch} batch
 * @param {boolean} byToken
 * @param {string} address
 * @returns {Float32Array}
 */
function flat(rows, { n, length }, byToken, address) {
  /** @param {any} list @param {number} size */
  const holds = (list, size) => Array.isArray(list) && list.length === size;
  const own = /** @type {any[]} */ (rows);
  const right = holds(own, n) && own.every((row) => holds(row, byToken ? length : row?.length));
  if (right) return Float32Array.from(own.flat(2));
  throw new RemoteError(`${address} gave no logits of the shape [${n}${byToken ? `, ${length}` : ""}, …]`);
}
