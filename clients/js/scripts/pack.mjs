// Writes what npm gets beside src/; `npm pack` runs it, in a fresh clone too.
//
//   models/reader/    the reader that src/packed.js names, from the Python package
//   dist/browser.js   one file for pages and bundlers: the worker and the engine are inside, and it
//                     names nothing of Node's
//   types/            declarations
//
// esbuild and typescript are taken from node_modules; where they are not there, they are installed
// into a folder of their own, in the versions of package-lock.json.
//
// All is made in a folder aside and moved into its place file by file, and only what differs: a
// second `npm pack` beside this one finds every file whole.
import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, readdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
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

/** @param {string} aside */
async function model(aside) {
  const out = join(aside, "models", "reader");
  for (const name of MODEL_FILES) await cp(join(MODEL, name), join(out, name));
}

/** @param {string} from @param {string} aside */
async function browser(from, aside) {
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
    outfile: join(aside, "dist", "browser.js"),
    plugins: [inPage(worker.outputFiles[0].text)],
  });
  const written = await readFile(join(aside, "dist", "browser.js"), "utf8");
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

/** @param {string} from @param {string} aside */
function types(from, aside) {
  const tsc = createRequire(join(from, "package.json")).resolve("typescript/package.json");
  const options = ["--noEmit", "false", "--noCheck", "--declaration", "--emitDeclarationOnly", "--outDir", join(aside, "types")];
  const roots = ["--typeRoots", join(from, "node_modules", "@types")];
  execFileSync(process.execPath, [join(dirname(tsc), "bin", "tsc"), ...options, ...roots], {
    cwd: HOME,
    stdio: ["ignore", "inherit", "inherit"],
  });
}

/** @param {string} folder @returns {Promise<string[]>} its files, relative to it */
async function filesOf(folder) {
  const found = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = found.filter((entry) => entry.isFile());
  return files.map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)));
}

/** Moves what was made into its place. @param {string} aside */
async function place(aside) {
  for (const folder of ["models", "dist", "types"]) {
    const made = await filesOf(join(aside, folder));
    for (const name of made) {
      const [from, to] = [join(aside, folder, name), join(HOME, folder, name)];
      const was = await readFile(to).catch(() => undefined);
      if (was?.equals(await readFile(from))) continue;
      await mkdir(dirname(to), { recursive: true });
      await rename(from, to);
    }
    const kept = new Set(made);
    for (const name of await filesOf(join(HOME, folder))) {
      if (!kept.has(name)) await rm(join(HOME, folder, name), { force: true });
    }
  }
}

const from = await tools();
await mkdir(join(HOME, "build"), { recursive: true });
const aside = await mkdtemp(join(HOME, "build", "pack-"));
try {
  await model(aside);
  await browser(from, aside);
  types(from, aside);
  await place(aside);
} finally {
  await rm(aside, { recursive: true, force: true });
}
