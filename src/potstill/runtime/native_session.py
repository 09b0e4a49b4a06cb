"""An int8 model in Potstill's own engine: native/, a shared library behind a C border.

The library is built when the package is installed, or comes with the wheel; where there was no
compiler there is none, and onnxruntime answers. Nothing else is imported for it but ctypes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Sequence
from ctypes import POINTER, c_char_p, c_float, c_int, c_int32, c_size_t, c_uint32, c_void_p
from functools import cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HEADS, Activate, HeadName
from potstill.errors import InputError, ModelError
from potstill.runtime.machine import usable_cores
from potstill.runtime.session import Logits
from potstill.text.windows import Batch

_NAMES = {"win32": "potstill.dll", "darwin": "libpotstill.dylib"}
LIBRARY = Path(__file__).parent / "engine" / _NAMES.get(sys.platform, "libpotstill.so")
"""Where the engine is, in an installation that has one."""

_ABI = 1
_ACTIVATIONS = {"gelu": 0, "gelu_new": 1, "relu": 2, "tanh": 3}
_ROOM = 512
"""Bytes for a message."""


class _Config(ctypes.Structure):
    """``potstill_config`` of native/include/potstill.h."""

    _fields_ = (
        ("size", c_uint32),
        ("head", c_uint32),
        ("head_width", c_uint32),
        ("activation", c_uint32),
        ("head_activation", c_uint32),
        ("pad_id", c_int32),
        ("norm_eps", c_float),
    )


class NativeSession:
    """A model in the engine. Safe to share between threads, and after a fork.

    Rows of any lengths are run without padding, and each as if it were alone.
    """

    def __init__(
        self,
        file: str | Path,
        config: ModelConfig,
        *,
        head: HeadName,
        threads: int | None = None,
        kernel: str | None = None,
    ) -> None:
        """Opens ``file``, which is mapped into memory and shared by all processes that do.

        Args:
            file: an int8 ONNX file that Potstill wrote.
            config: of its model.
            head: that the file carries.
            threads: most threads of one run; by default one for each core.
            kernel: one of `kernels`; by default what ``POTSTILL_KERNEL`` names, or the quickest.

        Raises:
            InputError: ``threads`` is not a positive number, there is no such kernel, or this
                installation has no engine.
            ModelError: the file is missing or damaged, or not one that the engine runs.
        """
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, not {threads}")
        library = _library()
        self.file = Path(file)
        self.threads = threads or usable_cores()
        try:
            with self.file.open("rb") as opened:
                self._bytes = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: it is empty
            raise ModelError(f"{self.file} cannot be read: {error}") from None
        data = np.frombuffer(self._bytes, np.uint8)
        self._model = c_void_p()
        message = ctypes.create_string_buffer(_ROOM)
        status = library.potstill_open(
            data.ctypes.data,
            data.size,
            _described(config, head),
            kernel.encode() if kernel else None,
            ctypes.byref(self._model),
            message,
            _ROOM,
        )
        if status:
            reason = message.value.decode(errors="replace")
            if status == _BAD_CALL:
                raise InputError(reason)
            raise ModelError(f"{self.file}: {reason}")
        # The bytes are held by the finalizer: the engine reads them until it is closed.
        weakref.finalize(self, _close, library, self._model, data)
        self._head = HEADS[head]
        self._n_labels = library.potstill_outputs(self._model, 1, 1) // len(self._head.outputs)

    @property
    def kernel(self) -> str:
        """What computes, one of `kernels`."""
        return _library().potstill_kernel(self._model).decode()

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The outputs that `bundle.onnx_graph` names, float32; 0 where there is only padding.

        Raises:
            ModelError: the model cannot be run on these ids, as where the tokenizer is another
                model's.
        """
        lengths = batch.attention_mask.sum(axis=1)
        real = np.arange(batch.input_ids.shape[1]) < lengths[:, None]
        if not np.array_equal(real, batch.attention_mask != 0):
            raise ModelError("the engine takes padding behind a row only: the mask has holes")
        out = self.run_rows(
            _small(batch.input_ids[real]), _small(batch.token_type_ids[real]), lengths
        )
        if not self._head.by_token:
            return (out.reshape(len(lengths), -1),)
        if len(self._head.outputs) == 1:
            return (_padded(out.reshape(-1, self._n_labels), real),)
        start, end = out.reshape(2, -1)
        return _padded(start, real), _padded(end, real)

    def run_each(
        self, ids: Sequence[npt.NDArray[np.int64]], second_at: Sequence[int] | None
    ) -> list[tuple[Logits, ...]]:
        """The outputs of each row, as `RowSession` has them.

        Raises:
            ModelError: the model cannot be run on these ids.
        """
        lengths = [len(row) for row in ids]
        ends = list(accumulate(lengths))
        types = np.zeros(ends[-1], np.int32)
        if second_at is not None:
            for at, length, end in zip(second_at, lengths, ends, strict=True):
                types[end - length + at : end] = 1
        together = ids[0] if len(ids) == 1 else np.concatenate(ids)
        out = self.run_rows(_small(together), types, np.array(lengths, np.uint32))
        if not self._head.by_token:
            return [(row,) for row in out.reshape(len(ids), -1)]
        outputs = out.reshape(len(self._head.outputs), ends[-1], -1)
        if len(self._head.outputs) > 1:
            outputs = outputs[..., 0]
        return [
            tuple(output[end - length : end] for output in outputs)
            for length, end in zip(lengths, ends, strict=True)
        ]

    def run_rows(
        self,
        ids: npt.NDArray[np.int32],
        types: npt.NDArray[np.int32],
        lengths: npt.NDArray[np.integer],
    ) -> npt.NDArray[np.float32]:
        """The outputs of rows that lie one behind the other, as potstill.h describes them.

        Raises:
            ModelError: an id is out of range, or a row too long.
        """
        counts = np.ascontiguousarray(lengths, np.uint32)
        n_out = _library().potstill_outputs(self._model, len(counts), len(ids))
        out = np.empty(n_out, np.float32)
        message = ctypes.create_string_buffer(_ROOM)
        status = _library().potstill_run(
            self._model,
            ids.ctypes.data,
            types.ctypes.data,
            counts.ctypes.data,
            len(counts),
            self.threads,
            out.ctypes.data,
            n_out,
            message,
            _ROOM,
        )
        if status:
            raise ModelError(f"{self.file}: {message.value.decode(errors='replace')}")
        return out


_BAD_CALL = 4


def is_installed() -> bool:
    """Whether this installation has the engine."""
    return LIBRARY.is_file()


def kernels() -> list[str]:
    """The kernels that this processor can run, the quickest first.

    Raises:
        InputError: this installation has no engine.
    """
    return _library().potstill_kernels().decode().split(",")


@cache
def _library() -> ctypes.CDLL:
    if not is_installed():
        raise InputError(
            "this installation has no engine, since there was no C++ compiler: use the runtime "
            "onnxruntime, or install a compiler and then potstill again"
        )
    try:
        library = ctypes.CDLL(os.fspath(LIBRARY))
    except OSError as error:
        raise InputError(f"the engine cannot be loaded: {error}; install potstill again") from None
    if library.potstill_abi() != _ABI:
        raise InputError(f"{LIBRARY} is of another version: install potstill again")
    signatures = {
        "potstill_kernels": (c_char_p, ()),
        "potstill_kernel": (c_char_p, (c_void_p,)),
        "potstill_outputs": (c_size_t, (c_void_p, c_size_t, c_size_t)),
        "potstill_close": (None, (c_void_p,)),
        "potstill_open": (
            c_int,
            (c_void_p, c_size_t, POINTER(_Config), c_char_p, c_void_p, c_char_p, c_size_t),
        ),
        "potstill_run": (
            c_int,
            (*(c_void_p,) * 4, c_size_t, c_uint32, c_void_p, c_size_t, c_char_p, c_size_t),
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _described(config: ModelConfig, head: HeadName) -> _Config:
    if not config.spec.engine:
        raise ModelError(f"the engine runs no {config.model_type} models")
    known = HEADS[head]
    if known.engine is None:
        raise ModelError(f"the engine has no {known.title}")
    inner = [step.activation for step in known.steps(config) if isinstance(step, Activate)]
    try:
        return _Config(
            size=ctypes.sizeof(_Config),
            head=known.engine,
            head_width=config.head_width,
            activation=_ACTIVATIONS[config.activation],
            head_activation=_ACTIVATIONS[inner[0] if inner else "gelu"],
            pad_id=config.pad_id if config.position_offset else -1,
            norm_eps=config.norm_eps,
        )
    except KeyError as error:
        raise ModelError(f"the engine runs no model with {error}") from None


def _close(library: ctypes.CDLL, model: c_void_p, data: npt.NDArray[np.uint8]) -> None:
    library.potstill_close(model)
    del data


def _small(ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """As int32; what does not fit becomes -1, which is out of every range."""
    if ids.size and not -1 <= ids.min() <= ids.max() < 2**31:
        ids = np.where((ids < 0) | (ids >= 2**31), -1, ids)
    return np.ascontiguousarray(ids, np.int32)


def _padded(values: npt.NDArray[np.float32], real: npt.NDArray[np.bool_]) -> Logits:
    if real.all():
        return values.reshape(*real.shape, *values.shape[1:])
    found = np.zeros((*real.shape, *values.shape[1:]), np.float32)
    found[real] = values
    return found
