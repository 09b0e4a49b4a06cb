"""One ONNX file, loaded once and run on numpy arrays by any number of threads."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from potstill.bundle.heads import QA_OUTPUTS
from potstill.errors import InputError, ModelError
from potstill.runtime.machine import usable_cores as usable_cores
from potstill.runtime.ort import onnxruntime
from potstill.text.windows import Batch

Logits = npt.NDArray[np.float32]

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}

Provider: TypeAlias = Literal["cpu", "cuda"]
PROVIDERS: Mapping[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
}
"""What computes in onnxruntime, by our name and by its own."""


class Session(Protocol):
    """Whatever turns a batch of rows into logits."""

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The model's outputs, float32, of the shapes that `bundle.onnx_graph` gives."""
        ...


@runtime_checkable
class RowSession(Protocol):
    """A session that takes rows of any lengths as they are, without padding."""

    def run_each(
        self, ids: Sequence[npt.NDArray[np.int64]], second_at: Sequence[int] | None
    ) -> list[tuple[Logits, ...]]:
        """What the model says of each row, in order.

        Args:
            ids: of each row.
            second_at: where each row's token type 1 begins; ``None`` where all types are 0.

        Returns:
            For each row its outputs, float32, as `Session.run` has them without the batch axis.
        """
        ...


class OnnxSession:
    """A model in onnxruntime. Safe to share between threads.

    A session of one thread computes in the thread that calls it, so several callers share one copy
    of the weights.
    """

    def __init__(
        self,
        file: str | Path,
        *,
        threads: int | None = None,
        outputs: tuple[str, ...] = QA_OUTPUTS,
        provider: Provider = "cpu",
    ) -> None:
        """Loads ``file``.

        Args:
            file: an ONNX file with inputs ``input_ids``, ``attention_mask`` and perhaps
                ``token_type_ids``.
            threads: threads of one run; by default one for each core (see `usable_cores`).
            outputs: those to give, in this order; the file must have them.
            provider: what computes. Where onnxruntime was built without it, a warning says so and
                the CPU computes.

        Raises:
            InputError: ``threads`` is not a positive number.
            ModelError: the file is missing, damaged, or gives something else.
        """
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        self.file = Path(file)
        self.threads = threads or usable_cores()
        if not self.file.is_file():
            raise ModelError(f"there is no ONNX file {self.file}")
        self._session = _load(self.file, self.threads, provider)
        with _reported(f"{self.file} is damaged or not an ONNX model"):
            inputs = {node.name for node in self._session.get_inputs()}
            given = {node.name for node in self._session.get_outputs()}
        if not (inputs <= _INPUTS and "input_ids" in inputs and given.issuperset(outputs)):
            kind = "question-answering model" if outputs == QA_OUTPUTS else "model of this task"
            raise ModelError(
                f"{self.file} is not a {kind}: it takes "
                f"{', '.join(sorted(inputs))} and gives {', '.join(sorted(given))}"
            )
        self._inputs, self._outputs = sorted(inputs), list(outputs)

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The outputs that were asked for, float32.

        Raises:
            ModelError: the model cannot be run on these ids, as where the tokenizer is another
                model's.
        """
        feed = {name: getattr(batch, name) for name in self._inputs}
        with _reported(f"{self.file} could not be run"):
            return tuple(self._session.run(self._outputs, feed))


def _load(file: Path, threads: int, provider: Provider) -> Any:
    library = onnxruntime()
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # every fault is raised as well
    # Spinning between the nodes of one run saves a wake-up each (9% of a question, docs/log.md);
    # between two runs it would burn a core for nothing.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    with _reported(f"{file} is damaged or not an ONNX model"):
        return library.InferenceSession(
            str(file),
            sess_options=options,
            providers=_providers(provider),
            # There is nothing to fall back to, and the attempt is announced on standard output.
            enable_fallback=int(provider != "cpu"),
        )


def _providers(wanted: Provider) -> list[str]:
    name = PROVIDERS[wanted]
    if name in onnxruntime().get_available_providers():
        return list(dict.fromkeys([name, PROVIDERS["cpu"]]))
    warnings.warn(
        f"onnxruntime has no {name} here: the CPU runs the model; install an onnxruntime "
        "built with it, such as onnxruntime-gpu",
        RuntimeWarning,
        stacklevel=4,
    )
    return [PROVIDERS["cpu"]]


@contextmanager
def _reported(what: str) -> Generator[None, None, None]:
    """Turns onnxruntime's errors, which share no base class of their own, into one line."""
    onnxruntime()
    import onnxruntime.capi.onnxruntime_pybind11_state as state

    try:
        yield
    except (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoModel,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
    ) as error:
        reason = str(error).split("\n", 1)[0]
        raise ModelError(f"{what}: {reason:.200}") from None
    except UnicodeDecodeError:  # its message quotes a name of the file, which is no text
        raise ModelError(f"{what}: a name in it is not text") from None
