"""Speed of Potstill's ONNX files against those that optimum exports of the same weights.

    pip install --no-deps --target OTHER optimum optimum-onnx "transformers<4.58" \
        "tokenizers<0.23" "huggingface_hub<1"
    python benchmarks/onnx_by_hand.py --other OTHER [--types modernbert deberta-v2]

Random weights in the shape of a small published model (Ettin 17M; DeBERTa-v3-xsmall with a
smaller vocabulary), float32, for labels of tokens, read by onnxruntime with all its optimisations.
optimum runs in a process of its own with OTHER before everything else: it does not know
transformers 5. The files run in turn on one thread; printed are medians of processor time, their
ratio (optimum's by Potstill's: above 1 Potstill is the faster), the quartiles of that, and the
largest difference of the logits.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from potstill.bundle.config import ModelConfig
from potstill.bundle.encoders.table import ENCODERS
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.weights import read_weights

SHAPES: dict[str, dict[str, Any]] = {
    "modernbert": {
        "vocab_size": 8000, "hidden_size": 256, "num_hidden_layers": 7,
        "num_attention_heads": 4, "intermediate_size": 384, "pad_token_id": 0,
        "bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2, "sep_token_id": 2,
        "max_position_embeddings": 1024, "local_attention": 128,
    },
    "deberta-v2": {
        "vocab_size": 8000, "hidden_size": 384, "num_hidden_layers": 12,
        "num_attention_heads": 6, "intermediate_size": 1536, "type_vocab_size": 0,
        "relative_attention": True, "position_buckets": 256, "norm_rel_ebd": "layer_norm",
        "share_att_key": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False,
    },
}  # fmt: skip
MAKE = """
import sys, torch, transformers
from optimum.exporters.onnx import onnx_export_from_model
kind, prefix, shape, out = sys.argv[1], sys.argv[2], eval(sys.argv[3]), sys.argv[4]
torch.manual_seed(0)
config = getattr(transformers, prefix + "Config")(**shape)
config._attn_implementation = "eager"
model = getattr(transformers, prefix + "ForTokenClassification")(config).eval()
model.save_pretrained(out)
onnx_export_from_model(model, out, task="token-classification", do_validation=False)
"""


def session(path: Path) -> Any:
    """A session on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def timed(ours: Any, theirs: Any, batch: int, seq: int, repeats: int) -> list[Any]:
    """Seconds of each file, interleaved, and the largest difference of their logits."""
    ids = np.random.default_rng(0).integers(5, 8000, (batch, seq)).astype(np.int64)
    rows = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": 0 * ids}
    runs = []
    for one in (ours, theirs):
        named = {node.name: rows[node.name] for node in one.get_inputs()}
        runs.append((one, named))
    said = [one.run(["logits"], named)[0] for one, named in runs]
    seconds: list[list[float]] = [[], []]
    for _ in range(repeats):
        for times, (one, named) in zip(seconds, runs, strict=True):
            began = time.process_time()  # of one thread: what others do here does not count
            one.run(["logits"], named)
            times.append(time.process_time() - began)
    return [*seconds, float(np.abs(said[0] - said[1]).max())]


def main() -> None:
    """Exports both and prints one row for each type and shape of input."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, required=True)
    parser.add_argument("--types", nargs="*", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    print("type         batch × seq  ours ms  optimum  ratio  quartiles       max |Δ|")
    for kind in arguments.types:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work)
            path = os.pathsep.join([str(arguments.other), os.environ.get("PYTHONPATH", "")])
            made = [kind, ENCODERS[kind].prefix, repr(SHAPES[kind]), work]
            subprocess.run(
                [sys.executable, "-c", MAKE, *made],
                check=True, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            config = ModelConfig.from_hf({**SHAPES[kind], "model_type": kind})
            graph = build_graph(
                config, read_weights(folder, config, head="tagging"), head="tagging"
            )
            (folder / "ours.onnx").write_bytes(graph.SerializeToString())
            ours, theirs = session(folder / "ours.onnx"), session(folder / "model.onnx")
            for batch, seq in ((1, 32), (1, 128), (1, 384), (8, 128)):
                a, b, apart = timed(ours, theirs, batch, seq, arguments.repeats)
                ratios = np.array(b) / np.array(a)
                low, middle, high = np.percentile(ratios, (25, 50, 75))
                times = f"{1e3 * np.median(a):>9.1f}{1e3 * np.median(b):>9.1f}{middle:>7.2f}"
                spread = f"{low:.2f} to {high:.2f}"
                size = f"{batch} × {seq}"
                print(f"{kind:12}{size:>12}{times}  {spread}    {apart:.1e}", flush=True)


if __name__ == "__main__":
    main()
