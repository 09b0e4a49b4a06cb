"""Teachers of a task, and what they said: the logits of each example."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle.cache import ensure_onnx
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import LOGITS
from potstill.bundle.manifest import head_of_folder
from potstill.bundle.weights import read_weights
from potstill.errors import ModelError
from potstill.runtime.session import OnnxSession, Session
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer
from potstill.training.columns import Columns
from potstill.training.shards import ShardCache, tokenizer_hash, weights_hash
from potstill.training.task import FloatArray, Task


class TaskTeacher:
    """A model of a task that others learn from; its weights are loaded when it is first asked."""

    def __init__(
        self, name: str, task: Task, *, seq_len: int, device: str = "cpu", threads: int = 0
    ) -> None:
        """Opens a teacher.

        Args:
            name: a folder or a hub id.
            task: what it was trained for.
            seq_len: longest row, in tokens; less where the teacher has fewer positions.
            device: ``cpu`` or ``cuda``.
            threads: threads on the CPU, 0 for one for each core.

        Raises:
            ModelError: there is no such model, or it is one of another task.
        """
        self.name = name
        self.folder = find_model(name)
        self.config = read_config(self.folder)
        if head_of_folder(self.folder, self.config) != task.head:
            raise ModelError(
                f"teacher {name} is not a model of {task.name}: fine-tune one first, or name "
                "another"
            )
        self.tokenizer = Tokenizer.from_folder(self.folder)
        self.seq_len = min(seq_len, self.config.max_positions)
        self._task, self._device, self._threads = task, device, threads
        self._session: Session | None = None
        if device == "cpu":
            self._file = ensure_onnx(self.folder, head=task.head)

    def facts(self) -> dict[str, Any]:
        """All that the logits depend on, as hashes and numbers."""
        return {
            "task": self._task.name,
            "weights": weights_hash(self.folder),
            "tokenizer": tokenizer_hash(self.folder),
            "seq_len": self.seq_len,
        }

    def read(self, examples: Sequence[Any]) -> list[FloatArray]:
        """Its logits of each example."""
        session = self._open()
        return self._task.teach(session, self.tokenizer, examples, seq_len=self.seq_len)

    def _open(self) -> Session:
        if self._session is None:
            if self._device == "cpu":
                threads = self._threads or None
                self._session = OnnxSession(self._file, threads=threads, outputs=LOGITS)
            else:
                read_weights(self.folder, self.config, head=self._task.head)  # it must have one
                model, _ = self._task.model_class.from_folder(self.folder, self.config)
                self._session = TorchSession(model.to(self._device), outputs=LOGITS)
        return self._session


class LogitCache(ShardCache[Any, FloatArray]):
    """The logits of one teacher by example; those of an example are an array of any shape."""

    shard_len = 1024

    def __init__(
        self,
        root: Path,
        facts: Mapping[str, Any],
        texts: Callable[[Any], tuple[str, ...]],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """As `ShardCache`, where ``texts`` gives all that a teacher reads of an example."""
        self._texts_of = texts
        self._said: dict[bytes, FloatArray] = {}
        super().__init__(root, facts, note)

    @property
    def _known(self) -> Collection[bytes]:
        return self._said

    def _texts(self, example: Any) -> tuple[str, ...]:
        return self._texts_of(example)

    def __getitem__(self, example: Any) -> FloatArray:
        """The logits of an example, float32.

        Raises:
            KeyError: they are not in the cache.
        """
        return self._said[self.key_of(example)].astype(np.float32)

    def _columns(self, said: Sequence[FloatArray]) -> Columns:
        return {
            "bounds": np.cumsum([0, *(one.size for one in said)], dtype=np.int64),
            "width": np.array([one.shape[-1] for one in said], np.int32),
            "dims": np.array([one.ndim for one in said], np.int32),
            "logits": np.concatenate([one.reshape(-1) for one in said]).astype(np.float16),
        }

    def _take(self, columns: Columns) -> None:
        bounds: list[int] = columns["bounds"].tolist()
        for row, key in enumerate(columns["keys"]):
            own = columns["logits"][bounds[row] : bounds[row + 1]]
            if columns["dims"][row] > 1:
                own = own.reshape(-1, int(columns["width"][row]))
            self._said[key.tobytes()] = own
