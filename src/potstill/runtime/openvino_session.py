"""An ONNX file, or an IR file, run by OpenVINO on the CPU.

openvino is imported inside the calls only. It compiles a model's kernels anew for every shape it
meets, so rows are padded to lengths that come again.
"""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from potstill.bundle.heads import QA_OUTPUTS
from potstill.errors import InputError, MissingExtraError, ModelError
from potstill.runtime.machine import usable_cores
from potstill.runtime.session import Logits
from potstill.text.windows import Batch

BUCKET = 16
"""Rows are padded to a multiple of so many tokens: 8 tokens of padding in the mean, and at most 24
shapes of up to 384 tokens to compile."""
_FIRST_ARRAY = threading.Lock()


class OpenVinoSession:
    """A model in OpenVINO, on the CPU. Safe to share between threads.

    As many threads as ``workers`` run at once; further ones wait their turn.
    """

    def __init__(
        self,
        file: str | Path,
        *,
        threads: int | None = None,
        workers: int = 1,
        outputs: tuple[str, ...] = QA_OUTPUTS,
        precision: Literal["f32", "bf16"] = "f32",
        bucket: int = BUCKET,
    ) -> None:
        """Loads and compiles ``file``.

        Args:
            file: ONNX or IR (``….xml``), with inputs ``input_ids``, ``attention_mask`` and perhaps
                ``token_type_ids``.
            threads: threads of one run; by default one for each core.
            workers: runs at the same time.
            outputs: those to give, in this order; the file must have them.
            precision: what matrix products are computed in. OpenVINO's own default is bf16
                wherever the processor has it, which is another model than the file's.
            bucket: rows are padded to a multiple of so many tokens.

        Raises:
            MissingExtraError: OpenVINO is not installed.
            InputError: ``threads``, ``workers`` or ``bucket`` is no positive number.
            ModelError: the file is missing, damaged, or gives something else.
        """
        for name, value in (("threads", threads), ("workers", workers), ("bucket", bucket)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, not {value}")
        self.file = Path(file)
        self.threads = threads or usable_cores()
        self.workers, self._bucket = workers, bucket
        if not self.file.is_file():
            raise ModelError(f"there is no file {self.file}")
        hints = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": self.threads * workers,
            "NUM_STREAMS": workers,
        }
        try:
            model = _openvino().Core().compile_model(str(self.file), "CPU", hints)
            self._inputs = sorted(port.get_any_name() for port in model.inputs)
            self._ports = [model.output(name) for name in outputs]
        except RuntimeError as error:
            raise ModelError(f"{self.file} cannot be run by OpenVINO: {_last(error)}") from None
        # A head that speaks of tokens has a second axis as long as the row; the others a fixed one.
        self._by_token = [port.get_partial_shape()[1].is_dynamic for port in self._ports]
        self._free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(workers):
            self._free.put(model.create_infer_request())

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The outputs that were asked for, float32.

        Raises:
            ModelError: the model cannot be run on these ids.
        """
        n_tokens = batch.input_ids.shape[1]
        feed = {name: self._padded(getattr(batch, name)) for name in self._inputs}
        request = self._free.get()
        try:
            found = request.infer(feed)
            # Copied: the request's own arrays are written over by its next run.
            return tuple(
                np.array(found[port][:, :n_tokens] if by_token else found[port], np.float32)
                for port, by_token in zip(self._ports, self._by_token, strict=True)
            )
        except RuntimeError as error:
            raise ModelError(f"{self.file} could not be run: {_last(error)}") from None
        finally:
            self._free.put(request)

    def warm_up(self, longest: int) -> None:
        """Compiles the shapes of rows that run alone, of up to ``longest`` tokens.

        A first pass over a new length takes several times as long as later ones.
        """
        for length in range(self._bucket, longest + 1, self._bucket):
            ids = np.zeros((1, length), np.int64)
            self.run(Batch(ids, np.ones_like(ids), ids))

    def _padded(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Zeros behind the rows: padding is masked, so its ids and types say nothing."""
        lacking = -rows.shape[1] % self._bucket
        return np.pad(rows, ((0, 0), (0, lacking))) if lacking else rows


def has_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    return "BF16" in _openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _openvino() -> Any:
    try:
        openvino = importlib.import_module("openvino")
    except ImportError:
        raise MissingExtraError("openvino", "openvino", "the runtime openvino") from None
    # Its bindings look numpy up at the first array that is asked of them. Where two threads are the
    # first, each waits for ever for what the other holds: one for the GIL, one for the lookup.
    with _FIRST_ARRAY:
        np.asarray(openvino.Tensor(np.zeros(1, np.float32)).data)
    return openvino


def _last(error: RuntimeError) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[-1]
