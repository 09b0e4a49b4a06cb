// Writes what npm gets beside src/; `npm pack` runs it, in a fresh clone too.
//
//   models/reader/    the reader that src/packed.js names, from the Python package
//   dist/browser.js   one file for pages and bundlers: the worker and the engine are inside, and it
//                     names nothing of Node's
//   types/            declarations
//
// esbuild and typescript are taken from node_modules; where they are not there, they are installed
// into a folder of their own, in the versions of package-lock.json.
import { execFileSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";

import { READER } from "../src/packed.js";

const HOME = fileURLToPath(new URL("..", import.meta.url));
const SRC = join(HOME, "src");
const MODEL = join(HOME, "..", "..", "src", "potstill", "embedded", READER);
const MODEL_FILES = [
  "README.md",
  "config.json",
  "potstill.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "onnx/model_quantized.onnx",
];
const TOOLS = ["esbuild", "typescript", "@types/node"];

/** @returns {Promise<string>} the folder whose node_modules has the tools */
async function tools() {
  const require = createRequire(join(HOME, "package.json"));
  try {
    for (const name of TOOLS) require.resolve(`${name}/package.json`);
    return HOME;
  } catch {
    const lock = JSON.parse(await readFile(join(HOME, "package-lock.json"), "utf8"));
    const wanted = TOOLS.map((name) => `${name}@${lock.packages[`node_modules/${name}`].version}`);
    const folder = await mkdtemp(join(tmpdir(), "potstill-pack-"));
    process.on("exit", () => execFileSync(process.execPath, ["-e", REMOVE, folder]));
    // `npm pack --dry-run` would hand its own options down.
    const options = ["--no-save", "--no-audit", "--no-fund", "--dry-run=false", "--prefix", folder];
    execFileSync("npm", ["install", ...options, ...wanted], { stdio: ["ignore", "ignore", "inherit"] });
    return folder;
  }
}
const REMOVE = "require('fs').rmSync(process.argv[1], { recursive: true, force: true })";

async function model() {
  const out = join(HOME, "models", "reader");
  await rm(dirname(out), { recursive: true, force: true });
  for (const name of MODEL_FILES) await cp(join(MODEL, name), join(out, name));
}

/** @param {string} from */
async function browser(from) {
  const require = createRequire(join(from, "package.json"));
  const { build } = await import(pathToFileURL(require.resolve("esbuild")).href);
  const common = {
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    // A page gives the address of onnxruntime-web (runtimeUrl); TensorFlow.js takes potstill/modules.
    external: ["onnxruntime-web", "onnxruntime-node", "@tensorflow/*", "node:*"],
    define: { IN_NODE: "false" },
    logLevel: "error",
  };
  const worker = await build({
    ...common,
    entryPoints: [join(SRC, "runtime", "worker.js")],
    write: false,
    plugins: [inPage()],
  });
  await build({
    ...common,
    entryPoints: [join(SRC, "browser.js")],
    outfile: join(HOME, "dist", "browser.js"),
    plugins: [inPage(worker.outputFiles[0].text)],
  });
  const written = await readFile(join(HOME, "dist", "browser.js"), "utf8");
  const nodes = written.match(/\bnode:\w+|onnxruntime-node"\)/g);
  if (nodes) throw new Error(`dist/browser.js names ${nodes.join(", ")}: keep it behind IN_NODE`);
}

/**
 * Puts in the place of two files what is so in a page, packs the engine, and takes IN_NODE for a constant, so that
 * esbuild leaves out what stands behind it.
 *
 * @param {string} [worker] source of the worker
 */
function inPage(worker = "") {
  const files = {
    "page_worker.js":
      `const source = ${JSON.stringify(worker)};` +
      "export const pageWorker = () => {" +
      'const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));' +
      'const made = new Worker(address, { type: "module" });' +
      'made.addEventListener("message", () => URL.revokeObjectURL(address), { once: true });' +
      "return made; };",
    "engine_file.js":
      'import fixed from "./potstill.wasm"; import relaxed from "./potstill-relaxed.wasm";' +
      'export const ENGINE = "the engine"; export const RELAXED = "its relaxed form";' +
      "export const engineFile = (name) => {" +
      "const packed = new Blob([name === RELAXED ? relaxed : fixed]).stream();" +
      'return new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer(); };',
  };
  return {
    name: "in-page",
    setup(build) {
      build.onLoad({ filter: /\.wasm$/ }, async ({ path }) => ({
        contents: gzipSync(await readFile(path), { level: 9 }),
        loader: "binary",
      }));
      build.onLoad({ filter: /[\\/]src[\\/].*\.js$/ }, async ({ path }) => ({
        contents: files[basename(path)] ?? (await readFile(path, "utf8")).replace(NODE, ""),
        resolveDir: dirname(path),
      }));
    },
  };
}

const NODE = /^import \{ IN_NODE \} from "\.*\/env\.js";$/m;

/** @param {string} from */
function types(from) {
  const tsc = createRequire(join(from, "package.json")).resolve("typescript/package.json");
  const options = ["--noEmit", "false", "--noCheck", "--declaration", "--emitDeclarationOnly", "--outDir", "types"];
  const roots = ["--typeRoots", join(from, "node_modules", "@types")];
  execFileSync(process.execPath, [join(dirname(tsc), "bin", "tsc"), ...options, ...roots], {
    cwd: HOME,
    stdio: ["ignore", "inherit", "inherit"],
  });
}

const from = await tools();
await model();
await browser(from);
types(from);
