"""Writes native/tests/golden.bin: tiny models, rows, and the bits that every kernel must give.

The outputs are the reference kernel's. A change of them is a change of every answer: it wants a
reason in docs/log.md.

    python scripts/write_golden.py [FOLDER OUT]

With a folder of Hugging Face's layout, a file of that model alone is written to OUT: something for
native/tests/fuzz.cpp to damage that is as large, and as whole, as what users open.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import tiny  # noqa: E402
from potstill.bundle.config import ModelConfig, read_config  # noqa: E402
from potstill.bundle.heads import HeadName  # noqa: E402
from potstill.bundle.onnx_graph import build_graph  # noqa: E402
from potstill.export.int8 import int8_storage  # noqa: E402
from potstill.runtime import native_session  # noqa: E402

GOLDEN = ROOT / "native" / "tests" / "golden.bin"
MODELS = (
    ("qa", "bert", {"hidden_width": 48, "n_heads": 3, "ffn_width": 100}),
    ("classification", "roberta", {"activation": "gelu_new", "hidden_width": 20, "n_heads": 4}),
    ("tagging", "distilbert", {"activation": "relu", "layer_heads": (1, 2), "layer_ffn": (20, 7)}),
    ("choice", "electra", {"hidden_width": 80, "n_heads": 4}),
    ("mlm", "bert", {"hidden_width": 64, "n_heads": 1, "n_layers": 1}),
    ("qa", "mpnet", {"n_layers": 1}),
)
LENGTHS = (1, 2, 15, 16, 17, 33, 60)


def main() -> None:
    """Writes the file."""
    if len(sys.argv) == 3:
        folder, out = Path(sys.argv[1]), Path(sys.argv[2])
        file = folder / "onnx" / "model_quantized.onnx"
        out.write_bytes(_case(0, file, read_config(folder), "qa"))
        return
    GOLDEN.write_bytes(b"".join(_made(number, *model) for number, model in enumerate(MODELS)))


def _made(number: int, head: HeadName, model_type: str, options: dict) -> bytes:
    labels = ("one", "two", "three") if head in ("classification", "tagging") else ()
    config = tiny.config(model_type, labels=labels, max_positions=64, **options)
    weights = tiny.weights(config, head=head, seed=number)
    graph = build_graph(config, weights, int8_storage(config), head=head)
    del graph.graph.node[:]  # names and shapes of the initialisers are all that is read
    file = ROOT / "out" / "golden.onnx"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(graph.SerializeToString())
    return _case(number, file, config, head)


def _case(number: int, file: Path, config: ModelConfig, head: HeadName) -> bytes:
    random = np.random.default_rng(number)
    lengths = np.array(LENGTHS, np.uint32)
    ids = random.integers(0, config.vocab_size, lengths.sum()).astype(np.int32)
    types = random.integers(0, max(config.n_token_types, 1), lengths.sum()).astype(np.int32)
    session = native_session.NativeSession(file, config, head=head, threads=1, kernel="reference")
    outputs = session.run_rows(ids, types, lengths)
    model = file.read_bytes()
    described = native_session._described(config, head)
    counts = (len(model), len(lengths), len(ids), int(config.n_token_types > 1), len(outputs), 0)
    return b"".join(
        (
            ctypes.string_at(ctypes.addressof(described), ctypes.sizeof(described)),
            struct.pack("<6I", *counts),
            model + bytes(-len(model) % 4),
            *(array.tobytes() for array in (lengths, ids, types, outputs)),
        )
    )


if __name__ == "__main__":
    main()
