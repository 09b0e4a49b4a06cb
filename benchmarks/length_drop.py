"""What shortening rows from layer to layer would gain and cost: a reader's own graph, rewritten.

    python benchmarks/length_drop.py MODEL DATA [--keep 1,1,1,0.5,0.5,0.5 …] [-n 1000]

LengthDrop (Kim and Cho 2021, https://arxiv.org/abs/2010.07003) with drop and restore, and the
scores of PoWER-BERT (Goyal et al. 2020, https://arxiv.org/abs/2001.08950): behind a layer, the
tokens that were looked at least leave; the layers above work on those that stay; at the end all
stand in their row again, each with the last state it had, so that every token has its logits. The
question and the special tokens never leave. ``--keep`` says what share of the context's tokens each
layer works on and may be given several times.

Every schedule is a file of MODEL's format that onnxruntime runs: what choosing, gathering and
putting back cost is in its time. Questions are asked one at a time, every schedule right after the
unchanged reader; EM and F1 are of the same questions.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from compare import spread_of
from onnx import helper, numpy_helper
from records import add_options, finish

from potstill import QAClient, load_qa
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.layout import onnx_file
from potstill.errors import InputError, ModelError, PotstillError
from potstill.evaluation.readings import collect, score_predictions
from potstill.records import QAExample
from potstill.runtime.reading import Reading
from potstill.runtime.session import OnnxSession

SCHEDULES: list[str] = ["1,1,1,1,1,0.3", "1,1,1,1,1,0.15", "1,1,1,1,0.5,0.25", "1,1,1,0.6,0.4,0.25"]
FULL = "1"


def shortened(
    model: onnx.ModelProto, keep: Sequence[float], *, by_question: bool = False
) -> onnx.ModelProto:
    """A graph of `potstill.bundle.onnx_graph` in which layers work on fewer and fewer tokens.

    Args:
        model: of a reader with token types, for one row at a time; it is changed.
        keep: share of the context that each layer works on, never more than the layer below.
        by_question: a token is worth what the question's tokens look at it, not all tokens.
    """
    nodes = list(model.graph.node)
    norms = {node.input[1]: node for node in nodes if node.op_type == "LayerNormalization"}
    states: list[str] = [norms[f"layers.{i}.ffn_norm.weight"].output[0] for i in range(len(keep))]
    shares = [node for node in nodes if node.op_type == "Softmax"]  # of attention, by layer
    masked = [next(node for node in nodes if one.input[0] in node.output) for one in shares]
    model.graph.initializer.extend(_constants(keep))

    behind: dict[str, list[onnx.NodeProto]] = {}
    moved: dict[str, str] = {}  # states as they left a layer → as the next one reads them
    types, mask = "token_type_ids", masked[0].input[1]
    for i in range(len(keep)):
        masked[i].input[1] = mask
        if i + 1 < len(keep) and keep[i + 1] < keep[i]:
            looks = shares[i].output[0]
            behind[states[i]] = _cut(i, states[i], looks, types, mask, by_question=by_question)
            moved[states[i]], types, mask = (
                f"cut{i}.{part}" for part in ("states", "types", "mask")
            )
    last = states[-1]
    behind[last] = []
    for i in reversed(range(len(keep) - 1)):
        if states[i] in moved:
            back: list[str] = [states[i], f"cut{i}.rows", moved.get(last, last)]
            behind[last].append(_node("ScatterElements", back, f"back{i}", axis=1))
            moved[last] = f"back{i}"

    written: list[onnx.NodeProto] = []
    for node in nodes:
        read = [moved.get(name, name) for name in node.input]
        del node.input[:]
        node.input.extend(read)
        written += [node, *(new for name in node.output for new in behind.get(name, []))]
    del model.graph.node[:]
    model.graph.node.extend(written)
    onnx.checker.check_model(model)
    return model


def _constants(keep: Sequence[float]) -> list[onnx.TensorProto]:
    values: dict[str, Any] = {
        "drop.one": np.array(1.0, np.float32),
        "drop.much": np.array(1e4, np.float32),
        "drop.row": np.array([0], np.int64),
        "drop.heads": np.array([1, 2], np.int64),
        "drop.last": np.array([-1], np.int64),
    }
    for i in range(len(keep) - 1):
        values[f"drop.share{i}"] = np.array(keep[i + 1] / keep[i], np.float32)
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def _cut(
    i: int, states: str, looks: str, types: str, mask: str, *, by_question: bool
) -> list[onnx.NodeProto]:
    """Behind layer ``i``: scores, the tokens that stay, their states, types and mask."""

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return _node(kind, inputs, f"cut{i}.{output}", **attributes)

    n = f"cut{i}."
    return [
        node("Cast", [types], "context", to=onnx.TensorProto.FLOAT),
        node("Sub", ["drop.one", n + "context"], "question"),
        node("Add", [n + "context", n + "question"], "all"),
        # Looked at by whom: by all tokens or by those of the question; by all heads together.
        node("Unsqueeze", [n + "question" if by_question else n + "all", "drop.heads"], "asking"),
        node("MatMul", [n + "asking", looks], "looked"),
        node("ReduceSum", [n + "looked", "drop.heads"], "seen", keepdims=0),
        node("Mul", [n + "question", "drop.much"], "safe"),
        node("Add", [n + "seen", n + "safe"], "scores"),
        # How many: all of the question, a share of the context.
        node("ReduceSum", [n + "context", "drop.last"], "contexts", keepdims=0),
        node("ReduceSum", [n + "question", "drop.last"], "questions", keepdims=0),
        node("Mul", [n + "contexts", f"drop.share{i}"], "part"),
        node("Ceil", [n + "part"], "whole"),
        node("Add", [n + "whole", n + "questions"], "many"),
        node("Cast", [n + "many"], "k", to=onnx.TensorProto.INT64),
        # Their order is free: the states have their positions in them.
        helper.make_node("TopK", [n + "scores", n + "k"], [n + "best", n + "kept"], axis=1),
        node("Squeeze", [n + "kept", "drop.row"], "flat"),
        node("Gather", [states, n + "flat"], "states", axis=1),
        node("Gather", [types, n + "flat"], "types", axis=1),
        node("Gather", [mask, n + "flat"], "mask", axis=3),
        # Where the states go back to, once for each of their numbers.
        node("Unsqueeze", [n + "kept", "drop.last"], "column"),
        node("Shape", [n + "states"], "shape"),
        node("Expand", [n + "column", n + "shape"], "rows"),
    ]


def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], **attributes)


def measure(
    model: str,
    data: str,
    schedules: list[str],
    n: int,
    *,
    by_question: bool,
    precision: str | None,
    threads: int,
) -> dict[str, Any]:
    """The whole benchmark.

    Raises:
        PotstillError: the model or the data cannot be used.
    """
    loaded = load_qa(data)
    examples = loaded.examples[:: max(1, len(loaded.examples) // n)][:n]
    folder = find_model(model)
    config = read_config(folder)
    if config.n_token_types < 2:
        raise InputError(f"{model} has no token types, by which a question is told from its text")
    file = onnx_file(folder, precision)
    if file is None:
        raise ModelError(f"{model} has no ONNX file: `potstill export` writes one")
    with tempfile.TemporaryDirectory() as made:
        sessions: dict[str, OnnxSession] = {}
        for text in [FULL, *schedules]:
            graph = onnx.load(file)
            if text != FULL:
                keep = _shares(text, config.n_layers)
                graph = shortened(graph, keep, by_question=by_question)
            changed = Path(made) / f"{len(sessions)}.onnx"
            onnx.save(graph, changed)
            sessions[text] = OnnxSession(changed, threads=threads)
        return _ask(model, loaded.no_answer, examples, sessions)


def _shares(text: str, n_layers: int) -> list[float]:
    keep = [float(share) for share in text.split(",")]
    falling = all(0 < b <= a <= 1 for a, b in zip(keep, keep[1:], strict=False))
    if len(keep) != n_layers or not falling:
        raise InputError(f"--keep {text} is not {n_layers} shares from 1 down, one a layer")
    return keep


def _ask(
    model: str, no_answer: bool, examples: list[QAExample], sessions: dict[str, OnnxSession]
) -> dict[str, Any]:
    client = QAClient.from_options(model, runtime="onnxruntime")
    times: dict[str, list[float]] = {name: [] for name in sessions}
    readings: dict[str, list[Reading]] = {name: [] for name in sessions}
    for example in examples:
        for name, session in sessions.items():
            client.session = session
            began = time.perf_counter()
            readings[name].append(client.read(example.question, example.context))
            times[name].append(time.perf_counter() - began)
    found: dict[str, Any] = {}
    for name, values in times.items():
        scores = score_predictions(
            examples,
            collect(examples, readings[name]),
            rules_v2=no_answer,
            null_threshold=client.options.threshold,
        )
        pairs = [full / one for full, one in zip(times[FULL], values, strict=True)]
        found[name] = {
            **spread_of(values),
            "times_faster": spread_of(pairs),
            "exact": scores["exact"],
            "f1": scores["f1"],
        }
    return found


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", help="default, a model folder or a hub id, with token types")
    parser.add_argument("data", help="file of questions with gold answers")
    parser.add_argument("--keep", action="append", help="shares of the context, a layer each")
    parser.add_argument("-n", type=int, default=1000, help="questions, spread over the file")
    parser.add_argument("--by-question", action="store_true", help="scores by the question alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", help="file of the model; default: its own")
    add_options(parser)
    given = parser.parse_args()
    schedules: list[str] = given.keep or SCHEDULES
    try:
        found = measure(
            given.model,
            given.data,
            schedules,
            given.n,
            by_question=given.by_question,
            precision=given.precision,
            threads=given.threads,
        )
    except PotstillError as error:
        print(f"length_drop: error: {error}", file=sys.stderr)
        return 1
    if not given.json:
        print(f"{'kept of the context':28}{'ms':>8}{'times faster':>24}{'EM':>8}{'F1':>8}")
        for name, row in found.items():
            ratio = row["times_faster"]
            spread = f"{ratio['median']:.2f} ({ratio['q1']:.2f} to {ratio['q3']:.2f})"
            print(
                f"{name:28}{1000 * row['median']:>8.1f}{spread:>24}"
                f"{row['exact']:>8.2f}{row['f1']:>8.2f}"
            )
    shown = {"model": Path(given.model).name, "threads": given.threads, "schedules": found}
    finish("length-drop", {**shown, "questions": given.n}, given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
