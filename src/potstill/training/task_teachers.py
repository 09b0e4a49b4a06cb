"""What teachers of a task said, on disk: logits of each example, computed once.

As `potstill.training.teacher_cache` does for windows of questions: a folder belongs to one
teacher with one tokenizer and one length of rows, every example has a key of its own, and it grows
by shards that are written in one step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lightning_fabric import Fabric

from potstill.bundle import layout
from potstill.bundle.atomic import write_json
from potstill.bundle.cache import ensure_onnx
from potstill.bundle.config import read_config
from potstill.bundle.layout import find_model
from potstill.bundle.manifest import head_of_folder
from potstill.bundle.weights import read_weights
from potstill.errors import ModelError, OutputError
from potstill.runtime.session import LOGITS, OnnxSession, Session
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer
from potstill.training.columns import UnusableFileError, read_columns, write_columns
from potstill.training.task import FloatArray, Task
from potstill.training.teachers import _WEIGHTS, _hash_of, tokenizer_hash

SHARD = 1024
"""Examples of a shard: what an interruption loses at most."""

_KEY_BYTES = 16
_SUFFIX = ".safetensors"


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
                f"teacher {name} is no model of {task.name}: fine-tune one first, or name another"
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
            "weights": _hash_of(self.folder, (layout.CONFIG, *_WEIGHTS), "*.safetensors"),
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


class LogitCache:
    """The logits of one teacher by example; those of an example are an array of any shape."""

    def __init__(
        self,
        root: Path,
        facts: Mapping[str, Any],
        texts: Callable[[Any], tuple[str, ...]],
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Opens a cache, or starts an empty one.

        Args:
            root: folder of all caches.
            facts: all that the logits depend on beside the example.
            texts: all that a teacher reads of an example.
            note: told, in a line, about every shard that is damaged; it is computed again.

        Raises:
            OutputError: the folder cannot be made.
        """
        self.facts, self._texts = dict(facts), texts
        text = json.dumps(self.facts, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:32]
        self.folder = root / self.key
        self._said: dict[bytes, FloatArray] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the teacher cache {self.folder} cannot be made: {error.strerror}; "
                "name another with cache=FOLDER"
            ) from error
        if not (self.folder / "teacher.json").exists():
            write_json(self.folder / "teacher.json", self.facts)
        self._note = note
        self._files: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Takes in the shards that others have written since."""
        for file in sorted(self.folder.glob(f"*{_SUFFIX}")):
            if file.name in self._files:
                continue
            try:
                self._take(read_columns(file, self.key))
                self._files.add(file.name)
            except UnusableFileError as error:
                self._note(
                    f"{file.name} of the teacher cache is left out: {error}; computing it again"
                )
                file.unlink(missing_ok=True)

    def __len__(self) -> int:
        """Examples whose logits are there."""
        return len(self._said)

    def __getitem__(self, example: Any) -> FloatArray:
        """The logits of an example.

        Raises:
            KeyError: they are not in the cache.
        """
        return self._said[self._key(example)].astype(np.float32)

    def missing(self, examples: Iterable[Any]) -> list[Any]:
        """Those that are not there, in their order, equal ones once."""
        wanted: dict[bytes, Any] = {}
        for example in examples:
            key = self._key(example)
            if key not in self._said:
                wanted.setdefault(key, example)
        return list(wanted.values())

    def add(self, examples: Sequence[Any], logits: Sequence[FloatArray]) -> None:
        """Writes a shard of examples and their logits, in one step.

        Raises:
            OutputError: it could not be written; the cache is as it was.
        """
        keys = b"".join(self._key(example) for example in examples)
        columns: dict[str, npt.NDArray[Any]] = {
            "keys": np.frombuffer(keys, np.uint8).reshape(-1, _KEY_BYTES),
            "bounds": np.cumsum([0, *(one.size for one in logits)], dtype=np.int64),
            "width": np.array([one.shape[-1] for one in logits], np.int32),
            "dims": np.array([one.ndim for one in logits], np.int32),
            "logits": np.concatenate([one.reshape(-1) for one in logits]).astype(np.float16),
        }
        name = hashlib.sha256(keys).hexdigest()[:24] + _SUFFIX
        try:
            write_columns(self.folder / name, columns, self.key)
        except OutputError as error:
            raise OutputError(f"{error}; make room or name another cache=FOLDER") from error
        self._files.add(name)
        self._take(columns)

    def _take(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        bounds: list[int] = columns["bounds"].tolist()
        for row, key in enumerate(columns["keys"]):
            own = columns["logits"][bounds[row] : bounds[row + 1]]
            if columns["dims"][row] > 1:
                own = own.reshape(-1, int(columns["width"][row]))
            self._said[key.tobytes()] = own

    def _key(self, example: Any) -> bytes:
        digest = hashlib.blake2b(digest_size=_KEY_BYTES)
        for text in self._texts(example):
            data = text.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        return digest.digest()


def fill(
    cache: LogitCache,
    teacher: TaskTeacher,
    examples: Sequence[Any],
    progress: Callable[[int, int], None],
    fabric: Fabric | None = None,
) -> None:
    """Has a teacher label what its cache lacks, a shard at a time.

    Of several processes each labels a part, and waits until all is there.

    Args:
        cache: of this teacher.
        teacher: asked only where something is missing.
        examples: what is needed; labelled in this order.
        progress: told how many of them are there, and how many there are: of this process's part.
        fabric: with the processes that share the work.

    Raises:
        OutputError: a shard could not be written.
    """
    if fabric is not None:
        examples = examples[fabric.global_rank :: fabric.world_size]
    missing = cache.missing(examples)
    done = len(examples) - len(missing)
    progress(done, len(examples))
    for at in range(0, len(missing), SHARD):
        chunk = missing[at : at + SHARD]
        cache.add(chunk, teacher.read(chunk))
        done += len(chunk)
        progress(done, len(examples))
    if fabric is not None and fabric.world_size > 1:
        fabric.barrier()
        cache.refresh()
