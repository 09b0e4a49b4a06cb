/** A small TensorFlow.js graph model: logits looked up in a table, masked where there is padding. */
import { mkdir, writeFile } from "node:fs/promises";

const constant = (name, dtype, sizes) => ({
  name,
  op: "Const",
  attr: {
    dtype: { type: dtype },
    value: { tensor: { dtype, tensorShape: { dim: sizes.map((size) => ({ size: `${size}` })) } } },
  },
});
const input = (name) => ({
  name,
  op: "Placeholder",
  attr: { dtype: { type: "DT_INT32" }, shape: { shape: { dim: [{ size: "-1" }, { size: "-1" }] } } },
});
const FLOAT = { T: { type: "DT_FLOAT" } };

/** Start and end logit of each token of the vocabulary. */
export function table(vocabSize) {
  return Float32Array.from({ length: 2 * vocabSize }, (_, i) => Math.fround(Math.sin(i * 7.3) * 4));
}

/**
 * Writes `tfjs/model.json` and two shards into a model folder.
 *
 * @param {number} length of the rows it takes; -1 for any
 * @param {boolean} labels whether it gives two logits of every token, unmasked, instead
 */
export async function writeGraphModel(folder, vocabSize, length = -1, labels = false) {
  const logits = table(vocabSize);
  const bytes = new Uint8Array(logits.byteLength + 12);
  bytes.set(new Uint8Array(logits.buffer));
  bytes.set(new Uint8Array(Int32Array.of(0).buffer), logits.byteLength);
  bytes.set(new Uint8Array(Float32Array.of(1, 10000).buffer), logits.byteLength + 4);
  const node = [
    input("input_ids"),
    input("attention_mask"),
    constant("table", "DT_FLOAT", [vocabSize, 2]),
    constant("axis", "DT_INT32", []),
    constant("one", "DT_FLOAT", []),
    constant("never", "DT_FLOAT", []),
    { name: "both", op: "GatherV2", input: ["table", "input_ids", "axis"], attr: {} },
    { name: "parts", op: "Unpack", input: ["both"], attr: { axis: { i: "2" }, num: { i: "2" }, ...FLOAT } },
    { name: "mask", op: "Cast", input: ["attention_mask"], attr: { SrcT: { type: "DT_INT32" }, DstT: { type: "DT_FLOAT" } } },
    { name: "padding", op: "Sub", input: ["one", "mask"], attr: FLOAT },
    { name: "less", op: "Mul", input: ["padding", "never"], attr: FLOAT },
    { name: "start", op: "Sub", input: ["parts", "less"], attr: FLOAT },
    { name: "end", op: "Sub", input: ["parts:1", "less"], attr: FLOAT },
  ];
  const shape = { dim: [{ size: "-1" }, { size: `${length}` }] };
  const tensor = (name, dtype) => ({ name: `${name}:0`, dtype, tensorShape: shape });
  const model = {
    format: "graph-model",
    signature: {
      inputs: {
        input_ids: tensor("input_ids", "DT_INT32"),
        attention_mask: tensor("attention_mask", "DT_INT32"),
      },
      outputs: labels
        ? { output_0: tensor("both", "DT_FLOAT") }
        : { output_0: tensor("start", "DT_FLOAT"), output_1: tensor("end", "DT_FLOAT") },
    },
    modelTopology: { node, library: {}, versions: {} },
    weightsManifest: [
      {
        paths: ["shard1.bin", "shard2.bin"],
        weights: [
          { name: "table", shape: [vocabSize, 2], dtype: "float32" },
          { name: "axis", shape: [], dtype: "int32" },
          { name: "one", shape: [], dtype: "float32" },
          { name: "never", shape: [], dtype: "float32" },
        ],
      },
    ],
  };
  await mkdir(`${folder}/tfjs`, { recursive: true });
  await writeFile(`${folder}/tfjs/model.json`, JSON.stringify(model));
  await writeFile(`${folder}/tfjs/shard1.bin`, bytes.subarray(0, 100));
  await writeFile(`${folder}/tfjs/shard2.bin`, bytes.subarray(100));
}
