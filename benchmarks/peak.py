"""How much of what the machine can do is reached: matrix products alone, and whole models.

    python benchmarks/peak.py [MODEL…] [--threads 2] [--json] [--record FILE]

The peak is what the libraries themselves reach on one large matrix product: onnxruntime in float32
and with int8 × uint8, OpenVINO in bf16 where the processor has it. The floor of a model is its
matrix products at that peak, nothing else; what is printed is the floor as a share of the time that
a session takes. MODEL is ``default``, a folder or a hub id.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from records import add_options, finish

from potstill import QAClient
from potstill.bundle.find import find_model
from potstill.errors import PotstillError
from potstill.evaluation.describe import describe_model
from potstill.runtime import machine
from potstill.runtime.plans import run_batch
from potstill.runtime.probes import probe_rows

SHAPE = (1024, 1024, 1024)
"""m, k and n of the product: large enough for the caches to be used well."""


def product(kind: str, shape: tuple[int, int, int] = SHAPE) -> bytes:
    """An ONNX graph of one matrix product with a constant right side."""
    m, k, n = shape
    random = np.random.default_rng(0)
    if kind == "int8":
        node, left, out = "MatMulInteger", TensorProto.UINT8, TensorProto.INT32
        weights = random.integers(-63, 64, (k, n)).astype(np.int8)
    else:
        node, left, out = "MatMul", TensorProto.FLOAT, TensorProto.FLOAT
        weights = random.normal(size=(k, n)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node(node, ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", left, [m, k])],
        [helper.make_tensor_value_info("y", out, [m, n])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


def left(kind: str, shape: tuple[int, int, int] = SHAPE) -> Any:
    """The left side of a product."""
    random = np.random.default_rng(1)
    if kind == "int8":
        return random.integers(0, 255, shape[:2]).astype(np.uint8)
    return random.normal(size=shape[:2]).astype(np.float32)


def in_onnxruntime(kind: str, threads: int) -> Callable[[], object]:
    """A product to be called."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        product(kind), options, providers=["CPUExecutionProvider"]
    )
    feed = {"x": left(kind)}
    return lambda: session.run(None, feed)


def in_openvino_bf16(threads: int) -> Callable[[], object] | None:
    """The same in bf16; ``None`` where there is no OpenVINO, or the processor has no bf16."""
    try:
        import openvino

        from potstill.runtime.openvino_session import has_bf16

        if not has_bf16():
            return None
    except (ImportError, PotstillError):
        return None
    hints = {"INFERENCE_PRECISION_HINT": "bf16", "INFERENCE_NUM_THREADS": threads}
    core = openvino.Core()
    model = core.compile_model(core.read_model(product("fp32")), "CPU", hints)
    request = model.create_infer_request()
    feed = {"x": left("fp32")}
    return lambda: request.infer(feed)


def quickest(run: Callable[[], object], seconds: float) -> float:
    """Least seconds of a call: a peak is what is reached when nothing else runs."""
    run()
    best, until, n = float("inf"), time.perf_counter() + seconds, 0
    while n < 3 or time.perf_counter() < until:
        began = time.perf_counter()
        run()
        best, n = min(best, time.perf_counter() - began), n + 1
    return best


def peaks(threads: int, seconds: float) -> dict[str, float]:
    """Precision → GFLOP/s (multiplications and additions) of one product."""
    runs = {kind: in_onnxruntime(kind, threads) for kind in ("fp32", "int8")}
    bf16 = in_openvino_bf16(threads)
    if bf16 is not None:
        runs["bf16"] = bf16
    operations = 2.0 * np.prod(SHAPE)
    return {kind: operations / quickest(run, seconds) / 1e9 for kind, run in runs.items()}


def of_model(
    model: str, peak: dict[str, float], threads: int, runtime: str, seconds: float
) -> list[dict[str, Any]]:
    """What a session reaches at each length."""
    client = QAClient.from_options(model, threads=threads, runtime=runtime)
    assert client.opened is not None
    folder = find_model(model)
    name = getattr(client.session, "file", None)
    precision = "int8" if name is not None and "quantized" in name.name else "fp32"
    if client.opened.runtime.endswith("bf16"):
        precision = "bf16"
    found: list[dict[str, Any]] = []
    for row in probe_rows(client.tokenizer, longest=client.options.seq_len):
        tokenizer = client.tokenizer

        def run(row: Any = row, tokenizer: Any = tokenizer) -> None:
            run_batch(client.session, [row], pad_id=tokenizer.pad_id, layout=tokenizer.layout)

        flops = describe_model(folder, seq_len=len(row))["flops_per_token"] * len(row)
        floor, taken = flops / peak[precision] / 1e9, quickest(run, seconds)
        found.append(
            {
                "model": folder.name,
                "runtime": client.opened.runtime,
                "precision": precision,
                "tokens": len(row),
                "ms": 1000 * taken,
                "floor_ms": 1000 * floor,
                "share": floor / taken,
            }
        )
    return found


def main() -> int:
    """Measures, prints and records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=["default"])
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each product and length")
    add_options(parser)
    arguments = parser.parse_args()
    peak = peaks(arguments.threads, arguments.seconds)
    found = [
        one
        for model in arguments.models
        for one in of_model(model, peak, arguments.threads, arguments.runtime, arguments.seconds)
    ]
    if not arguments.json:
        for kind, value in peak.items():
            print(f"{kind:6}{value:8.0f} GFLOP/s")
        for one in found:
            print(
                f"{one['model']:20}{one['runtime']:16}{one['precision']:6}{one['tokens']:5} tokens"
                f"{one['ms']:9.2f} ms, floor {one['floor_ms']:.2f}: {one['share']:.0%}"
            )
        print(f"mean share {statistics.fmean(one['share'] for one in found):.0%}")
    shown = {"threads": arguments.threads, "gflops": peak, "models": found}
    finish("peak", shown, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
