"""OpenVINO IR: the float32 ONNX graph in OpenVINO's own two files, names and types unchanged."""

from __future__ import annotations

import threading
from pathlib import Path

from potstill.bundle.heads import HEADS, HeadName
from potstill.bundle.onnx_graph import build_graph
from potstill.errors import ModelError
from potstill.export.source import Source, library
from potstill.runtime.session import Logits
from potstill.text.windows import Batch


def write(source: Source, file: Path, precision: str) -> None:
    """Writes ``file`` (``….xml``) and its weights (``….bin``) beside it.

    Args:
        source: the model.
        file: where the graph goes.
        precision: ``fp32``, or ``fp16`` for weights of half the size, widened when loaded.

    Raises:
        MissingExtraError: OpenVINO is not installed.
    """
    openvino = library("openvino", "openvino", "this format")
    graph = build_graph(source.config, source.weights, head=source.head)
    model = openvino.Core().read_model(graph.SerializeToString())
    openvino.save_model(model, str(file), compress_to_fp16=precision == "fp16")


class IrSession:
    """An IR file in OpenVINO, on the CPU, in float32. Threads take turns."""

    def __init__(self, file: Path, head: HeadName) -> None:
        """Loads ``file`` (``….xml``).

        Raises:
            MissingExtraError: OpenVINO is not installed.
            ModelError: the file is damaged.
        """
        openvino = library("openvino", "openvino", f"running {file.name}")
        self.file, self._turn = file, threading.Lock()
        try:
            # A processor with bf16 would otherwise compute in that.
            options = {"INFERENCE_PRECISION_HINT": "f32"}
            model = openvino.Core().compile_model(str(file), "CPU", options)
            self._inputs = sorted(port.get_any_name() for port in model.inputs)
            outputs = HEADS[head].outputs
            self._ports = [model.output(name) for name in outputs]
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ModelError(f"{file} is damaged or no OpenVINO IR: {reason}") from None
        self._request = model.create_infer_request()

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The outputs, float32."""
        with self._turn:
            found = self._request.infer({name: getattr(batch, name) for name in self._inputs})
            return tuple(found[port].copy() for port in self._ports)
