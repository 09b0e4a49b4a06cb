import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const HOME = fileURLToPath(new URL("..", import.meta.url));
/** Bytes that the packed package may have, and those of what is not its model, unpacked. */
const MOST = 9_000_000;
const MOST_CODE = 1_000_000;

test("the package is small, holds what it names, and depends on nothing", async () => {
  // Two at once: neither takes from the other what it is about to pack.
  const pack = () => promisify(execFile)("npm", ["pack", "--dry-run", "--json"], { cwd: HOME });
  const both = await Promise.all([pack(), pack()]);
  const [[packed], [again]] = both.map(({ stdout }) => JSON.parse(stdout));
  assert.deepEqual(again.files, packed.files);
  assert.ok(packed.size <= MOST, `${packed.size} bytes`);
  const code = packed.files.filter(({ path }) => !path.startsWith("models/"));
  const bytes = code.reduce((sum, { size }) => sum + size, 0);
  assert.ok(bytes <= MOST_CODE, `${bytes} bytes beside the model`);
  const files = new Set(packed.files.map(({ path }) => path));
  const about = JSON.parse(await readFile(`${HOME}/package.json`, "utf8"));
  const { browser, ...usual } = about.exports["."];
  const exported = [browser, usual, about.exports["./modules"]].flatMap((one) => Object.values(one));
  const named = [...exported, ...Object.values(about.bin), about.types];
  const model = ["config.json", "tokenizer.json", "potstill.json", "onnx/model_quantized.onnx"];
  const inside = model.map((name) => `models/reader/${name}`);
  for (const path of [...named, ...inside, "LICENSE", "README.md", "src/runtime/potstill.wasm", "src/runtime/potstill-relaxed.wasm"]) {
    assert.ok(files.has(path.replace("./", "")), path);
  }
  assert.equal(about.dependencies, undefined);
  assert.ok(Object.values(about.peerDependenciesMeta).every(({ optional }) => optional));
  // What a declaration refers to is packed as well.
  for (const path of [...files].filter((file) => file.endsWith(".d.ts"))) {
    const text = (await readFile(`${HOME}/${path}`, "utf8")).replace(/\/\*[^]*?\*\//g, "");
    for (const [, to] of text.matchAll(/(?:from|import\()\s*"(\.[^"]+)\.js"/g)) {
      const target = new URL(`${to}.d.ts`, `file:///${path}`).pathname.slice(1);
      assert.ok(files.has(target), `${path} refers to ${target}`);
    }
  }
});
