"""How often int8 files give the float32 answer: ours against onnxruntime's dynamic schemes.

    python benchmarks/int8_agreement.py FOLDER DATA [-n 1500] [--seed 7]

FOLDER is an export with ``--format onnx --format int8``, DATA a file of questions; its gold answers
are not looked at, so it may be the training set. Every window is run alone.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from onnxruntime.quantization import QuantType, quantize_dynamic

from potstill import QAClient, load_qa
from potstill.evaluation.qa import f1


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=1500, help="questions")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    examples = load_qa(arguments.data).examples
    chosen = random.Random(arguments.seed).sample(examples, min(arguments.n, len(examples)))
    pairs = [(example.question, example.context) for example in chosen]
    full = arguments.folder / "onnx" / "model.onnx"
    with tempfile.TemporaryDirectory() as scratch:
        files = {"fp32": full, "ours": arguments.folder / "onnx" / "model_quantized.onnx"}
        for name, per_channel in (("dynamic, per channel", True), ("dynamic, per tensor", False)):
            files[name] = Path(scratch) / f"{per_channel}.onnx"
            quantize_dynamic(
                str(full), str(files[name]), per_channel=per_channel, weight_type=QuantType.QInt8
            )
        answers: dict[str, list[str]] = {}
        for name, file in files.items():
            client = QAClient.from_options(
                arguments.folder, onnx_file=file, threads=1, token_budget=1
            )
            answers[name] = [answer.text for answer in client.predict_many(pairs, workers=2)]
            both = list(zip(answers[name], answers["fp32"], strict=True))
            same = sum(a == b for a, b in both) / len(both)
            overlap = sum(f1(a, b) for a, b in both) / len(both)
            print(f"{name}: same answer {same:.4f}, F1 against the fp32 answers {overlap:.4f}")


if __name__ == "__main__":
    main()
