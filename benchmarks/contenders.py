"""The programs that `speed.py` races: each a process of its own, asked over its pipes.

A program's code sets up ``one(question, context)`` and ``many(items)``, both of which give texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker import Worker

TRANSFORMERS = "transformers"
POTSTILL = "potstill"

_LOOP = """
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    began = time.perf_counter()
    if "items" in asked:
        found = many(asked["items"])
    else:
        found = [one(asked["question"], asked["context"])]
    took = time.perf_counter() - began
    print(json.dumps({"seconds": took, "answers": found}), flush=True)
"""
_PIPELINE = """
def one(question, context):
    return answer(question=question, context=context)["answer"]
def many(items):
    found = answer(items)
    return [one["answer"] for one in (found if isinstance(found, list) else [found])]
"""
_TRANSFORMERS = (
    """
import json, sys, time
import torch
from transformers import pipeline
torch.set_num_threads(int(sys.argv[2]))
# Without it a folder of float16 weights would be run in float16, many times slower on a CPU.
answer = pipeline("question-answering", model=sys.argv[1], dtype=torch.float32)
"""
    + _PIPELINE
    + _LOOP
)
_OPTIMUM = (
    """
import json, sys, time
import onnxruntime
from optimum.onnxruntime import ORTModelForQuestionAnswering
from transformers import AutoTokenizer, pipeline
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
folder, file = sys.argv[1], sys.argv[3]
model = ORTModelForQuestionAnswering.from_pretrained(
    folder, subfolder="onnx", file_name=file.rpartition("/")[2], session_options=options)
tokenizer = AutoTokenizer.from_pretrained(folder)
answer = pipeline("question-answering", model=model, tokenizer=tokenizer)
"""
    + _PIPELINE
    + _LOOP
)
_POTSTILL = (
    """
import json, sys, time
from potstill import pipeline
model, threads, runtime, precision = sys.argv[1:5]
from potstill import QAClient
how = {"runtime": runtime, "precision": precision or None}
from potstill.runtime.session import usable_cores
own = None if int(threads) == usable_cores() else int(threads)  # all: how many is measured
single = pipeline(model=QAClient.from_options(model, threads=own, **how))
several = pipeline(model=QAClient.from_options(model, workers="auto", **how))
opened = {name: {"runtime": p.client.opened.runtime, "workers": p.client.opened.layout.workers,
                 "threads": p.client.opened.layout.threads}
          for name, p in (("one", single), ("many", several))}
def one(question, context):
    if question == "?":
        return json.dumps(opened)
    return single(question=question, context=context)["answer"]
def many(items):
    found = several(items)
    return [one["answer"] for one in (found if isinstance(found, list) else [found])]
"""
    + _LOOP
)
_BY_HAND = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from tokenizers import Tokenizer
folder, threads, file = sys.argv[1:4]
tokenizer = Tokenizer.from_file(folder + "/tokenizer.json")
tokenizer.no_padding()
tokenizer.enable_truncation(384, stride=128, strategy="only_second")
def windows(question, context):
    first = tokenizer.encode(question, context)
    return [first, *first.overflowing]
def feed(window):
    arrays = {"input_ids": window.ids, "attention_mask": window.attention_mask,
              "token_type_ids": window.type_ids}
    return {name: np.array([arrays[name]], np.int64) for name in inputs}
def best(run, question, context):
    found = (-1e9, 0, 0)
    for window in windows(question, context):
        start, end = (np.array(out)[0] for out in run(feed(window)))
        own = np.array([s == 1 for s in window.sequence_ids])
        at = np.flatnonzero(own)
        scores = np.triu(start[at][:, None] + end[at][None, :])
        scores = np.where(np.triu(np.ones_like(scores)) - np.triu(np.ones_like(scores), 15) > 0,
                          scores, -1e9)
        i, j = np.unravel_index(scores.argmax(), scores.shape)
        if scores[i, j] > found[0]:
            found = (scores[i, j], window.offsets[at[i]][0], window.offsets[at[j]][1])
    return context[found[1]:found[2]]
"""
_HAND_MANY = """
def one(question, context):
    return best(single, question, context)
def many(items):
    with ThreadPoolExecutor(int(threads)) as pool:
        return list(pool.map(lambda i: best(several, i["question"], i["context"]), items))
"""
_ONNXRUNTIME = (
    _BY_HAND
    + """
import onnxruntime
def opened(n):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
alone, shared = opened(int(threads)), opened(1)
inputs = [one.name for one in alone.get_inputs()]
single = lambda feed: alone.run(["start_logits", "end_logits"], feed)
several = lambda feed: shared.run(["start_logits", "end_logits"], feed)
"""
    + _HAND_MANY
    + _LOOP
)
_OPENVINO = (
    _BY_HAND
    + """
import threading
import openvino
def opened(n, streams):
    return openvino.Core().compile_model(
        file, "CPU", {"INFERENCE_NUM_THREADS": n, "NUM_STREAMS": streams})
alone, shared = opened(int(threads), 1), opened(int(threads), int(threads))
inputs = [one.get_any_name() for one in alone.inputs]
names = ["start_logits", "end_logits"]
request, own = alone.create_infer_request(), threading.local()
def single(feed):
    found = request.infer(feed)
    return [found[alone.output(name)] for name in names]
def several(feed):
    if not hasattr(own, "request"):
        own.request = shared.create_infer_request()
    found = own.request.infer(feed)
    return [found[shared.output(name)] for name in names]
"""
    + _HAND_MANY
    + _LOOP
)
CODE = {
    TRANSFORMERS: _TRANSFORMERS,
    "optimum": _OPTIMUM,
    "onnxruntime": _ONNXRUNTIME,
    "openvino": _OPENVINO,
    POTSTILL: _POTSTILL,
}
"""Kind of contender → its program."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A program to race."""

    name: str
    kind: str
    """One of `CODE`."""
    python: str
    arguments: Sequence[str]
    megabytes: float | None = None
    """Of the weights that it reads."""

    def start(self) -> Worker:
        """The program, ready to be asked."""
        return Worker(self.python, CODE[self.kind], *self.arguments)


def contenders(
    folder: Path,
    file: Path,
    *,
    pythons: dict[str, str],
    threads: int,
    runtime: str,
    precision: str,
    model: str | None = None,
    extra: Sequence[tuple[str, Path]] = (),
) -> list[Contender]:
    """Who races over one model.

    Args:
        folder: a Hugging Face folder with float weights, and ``onnx/`` with files of them.
        file: the ONNX file that those read who work by hand.
        pythons: kind → python of its environment; a kind that is missing does not race.
        threads: of everyone.
        runtime: of potstill.
        precision: of the file that potstill reads.
        model: what potstill reads, where it is not ``folder``.
        extra: further files by hand: onnxruntime or openvino, and the file.
    """
    n, where = str(threads), str(folder)
    size = _megabytes(file)
    known = {
        TRANSFORMERS: ([where, n], _megabytes(folder / "model.safetensors")),
        "optimum": ([where, n, str(file)], size),
        "onnxruntime": ([where, n, str(file)], size),
        "openvino": ([where, n, str(file)], size),
        POTSTILL: ([model or where, n, runtime, precision], size),
    }
    found = [
        Contender(kind, kind, pythons[kind], arguments, megabytes)
        for kind, (arguments, megabytes) in known.items()
        if kind in pythons
    ]
    for kind, other in extra:
        if kind in pythons:
            name = f"{kind} on {other.name}"
            arguments = [where, n, str(other)]
            found.append(Contender(name, kind, pythons[kind], arguments, _megabytes(other)))
    return found


def _megabytes(file: Path) -> float | None:
    files = [file, file.with_suffix(".bin")] if file.suffix == ".xml" else [file]
    sizes = [one.stat().st_size for one in files if one.is_file()]
    return round(sum(sizes) / 1e6, 2) if sizes else None
