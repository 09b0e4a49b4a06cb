// The page of this folder with all that it needs: `node examples/browser/serve.mjs`.
//
//   --port N     default 8000; 0 takes a free one
//   --model DIR  a model folder; default the one inside the Python package
//   --out DIR    write a folder that any web server can serve, instead of serving it
import { createReadStream } from "node:fs";
import { cp, mkdir, readdir, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "..", "..");
const MODEL_FILES =
  /^(config|tokenizer|tokenizer_config|potstill)\.json$|^vocab\.(txt|json)$|^merges\.txt$|^onnx$|\.onnx$/;
const ORT_FILES = /^ort\.wasm\.min\.mjs$|^ort-wasm-simd-threaded\.(mjs|wasm)$/;
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
};

/** Folder of the page → where its files come from, and which of them. */
export function parts(model = join(root, "src/potstill/embedded/default")) {
  return {
    "": { from: here, only: /^index\.html$/ },
    potstill: { from: join(root, "clients/js/src"), only: /./ },
    vendor: { from: join(root, "clients/js/node_modules/onnxruntime-web/dist"), only: ORT_FILES },
    model: { from: model, only: MODEL_FILES },
  };
}

/** A server of the page; it listens once `listening` has come. */
export function serve({ port = 8000, model } = {}) {
  const known = parts(model);
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://page").pathname).slice(1);
    const [first, ...rest] = (path || "index.html").split("/");
    const part = rest.length ? known[first] : known[""];
    const inside = normalize(rest.length ? rest.join("/") : first);
    const allowed = part && !inside.startsWith("..") && part.only.test(inside.split("/").pop());
    const file = allowed ? join(part.from, inside) : undefined;
    const found = file && (await stat(file).catch(() => undefined));
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[extname(file)] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type, "content-length": found.size });
    if (request.method === "HEAD") response.end();
    else createReadStream(file).pipe(response);
  });
  return server.listen(port, "127.0.0.1");
}

/** Writes all of it into a folder. */
export async function write(out, model) {
  for (const [name, { from, only }] of Object.entries(parts(model))) {
    await mkdir(join(out, name), { recursive: true });
    for (const entry of await readdir(from)) {
      if (only.test(entry)) await cp(join(from, entry), join(out, name, entry), { recursive: true });
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { port: { type: "string" }, model: { type: "string" }, out: { type: "string" } },
  });
  if (values.out) {
    await write(values.out, values.model);
    console.log(`${values.out}: serve it with any web server`);
  } else {
    const server = serve({ port: Number(values.port ?? 8000), model: values.model });
    server.on("listening", () => console.log(`http://127.0.0.1:${server.address().port}/`));
  }
}
