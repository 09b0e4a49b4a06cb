"""A float ONNX file of a reader → OpenVINO's int8 by NNCF, for `speed.py --extra` to race with.

    PEER_PYTHON benchmarks/nncf_int8.py FOLDER DATA OUT.xml [-n 100]

FOLDER holds ``onnx/model.onnx`` and ``tokenizer.json``; DATA is SQuAD JSON, by which the ranges of
activations are taken: training questions, not those that are asked. Runs in an environment with
openvino, nncf and tokenizers, such as the one that `peers` makes and ``pip install nncf`` fills up.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino
from tokenizers import Tokenizer


def main() -> None:
    """Writes the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("-n", type=int, default=100, help="windows for the ranges of activations")
    given = parser.parse_args()
    tokenizer = Tokenizer.from_file(str(given.folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(384, strategy="only_second")
    model = openvino.Core().read_model(given.folder / "onnx" / "model.onnx")
    inputs = [one.get_any_name() for one in model.inputs]

    def feed(pair: tuple[str, str]) -> dict[str, Any]:
        window = tokenizer.encode(*pair)
        arrays = {
            "input_ids": window.ids,
            "attention_mask": window.attention_mask,
            "token_type_ids": window.type_ids,
        }
        return {name: np.array([arrays[name]], np.int64) for name in inputs}

    pairs = [
        (qa["question"], paragraph["context"])
        for article in json.loads(given.data.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]
    chosen = random.Random(0).sample(pairs, given.n)
    quantized = nncf.quantize(
        model,
        nncf.Dataset(chosen, feed),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=given.n,
    )
    openvino.save_model(quantized, given.out)


if __name__ == "__main__":
    main()
