"""LiteRT (TensorFlow Lite) files for phones and small computers: float32, float16, int8.

One signature, ``serving_default``, int32 inputs of any batch and length and float32 outputs under
the SavedModel's names. Int8 keeps weights with one scale for each output column and rounds what
goes into a product token by token while it runs, so an answer does not depend on its neighbours.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
import threading
from pathlib import Path

import numpy as np

from potstill.bundle.atomic import write_bytes
from potstill.bundle.heads import HeadName
from potstill.errors import ExportError, ModelError
from potstill.export.source import Source, library, output_names
from potstill.export.tf_graph import build_module, signature, tensorflow
from potstill.runtime.session import Logits, usable_cores
from potstill.text.windows import Batch

_SIGNATURE = "serving_default"


def write(source: Source, file: Path, precision: str) -> None:
    """Writes one file.

    Args:
        source: the model.
        file: ``….tflite``.
        precision: ``fp32``, ``fp16`` or ``int8``.

    Raises:
        MissingExtraError: TensorFlow is not installed.
        ExportError: TensorFlow's converter refused the model.
    """
    tf = tensorflow()
    phases = library("tensorflow.lite.python.convert_phase", "tf", "this format")
    # The converter keeps names of inputs and outputs only where it reads a SavedModel.
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        module = build_module(source)
        tf.saved_model.save(module, folder, signatures=signature(source, module, None))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[_SIGNATURE])
        if precision != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                data = converter.convert()
        except (phases.ConverterError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ExportError(f"{file.name} could not be converted: {reason}") from error
    write_bytes(file, data)


class LiteRtSession:
    """A file in LiteRT, on the CPU. Threads take turns."""

    def __init__(self, file: Path, head: HeadName) -> None:
        """Loads ``file``.

        Raises:
            MissingExtraError: LiteRT is not installed.
            ModelError: the file is damaged, or has no signature.
        """
        runtime = library("ai_edge_litert.interpreter", "tf", f"running {file.name}")
        self.file, self._outputs, self._turn = file, output_names(head), threading.Lock()
        try:
            self._interpreter = runtime.Interpreter(str(file), num_threads=usable_cores())
            signatures = self._interpreter.get_signature_list()
            self._inputs = sorted(signatures[_SIGNATURE]["inputs"])
            self._run = self._interpreter.get_signature_runner(_SIGNATURE)
        except (ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"{file} is damaged or not a LiteRT file: {error}") from None

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The outputs, float32."""
        feed = {name: getattr(batch, name).astype(np.int32) for name in self._inputs}
        with self._turn:
            found = self._run(**feed)
            return tuple(np.array(found[name]) for name in self._outputs)
