/** What several tests share. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const FIXTURES = fileURLToPath(new URL("fixtures", import.meta.url));
export const EMBEDDED = fileURLToPath(
  new URL("../../../src/potstill/embedded/default", import.meta.url),
);
/** The tiny models are asked in windows this short, so that there are several. */
export const SHORT = { seqLen: 64, stride: 16 };

export const fixture = (name) => JSON.parse(readFileSync(join(FIXTURES, name), "utf8"));

/** A folder of the test's own. */
export async function folder(test) {
  const path = await mkdtemp(join(tmpdir(), "potstill-"));
  test.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A server of the test's own; its address. */
export async function server(test, handler) {
  const listening = createServer(handler);
  await new Promise((resolve) => listening.listen(0, "127.0.0.1", resolve));
  test.after(() => listening.closeAllConnections() ?? listening.close());
  return `http://127.0.0.1:${listening.address().port}`;
}

/** Sets variables of the environment while the test runs. */
export function environment(test, values) {
  const before = Object.fromEntries(Object.keys(values).map((name) => [name, process.env[name]]));
  const set = (wanted) => {
    for (const [name, value] of Object.entries(wanted)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  set(values);
  test.after(() => set(before));
}

/** The cases of native/tests/golden.bin: a model, rows, and the bits that every kernel must give. */
export function golden() {
  const file = readFileSync(new URL("../../../native/tests/golden.bin", import.meta.url));
  const bytes = new Uint8Array(file).buffer;
  const found = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const take = (Kind, n) => {
      const values = new Kind(bytes.slice(at, at + n * Kind.BYTES_PER_ELEMENT));
      at += n * Kind.BYTES_PER_ELEMENT;
      return values;
    };
    const config = take(Uint8Array, 28);
    const [size, nRows, nTokens, hasTypes, nOut] = take(Uint32Array, 6);
    const model = take(Uint8Array, Math.ceil(size / 4) * 4).slice(0, size);
    const lengths = take(Uint32Array, nRows);
    const [ids, types, bits] = [nTokens, nTokens, nOut].map((n) => take(Int32Array, n));
    found.push({ config, model, lengths, ids, types: hasTypes ? types : undefined, bits });
  }
  return found;
}
