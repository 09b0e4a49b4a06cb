"""What teachers said, on disk: computed once, read by every student.

A cache belongs to one teacher with one tokenizer and one way of cutting windows; inside it every
question and context has a key of its own, so that any part of any data set can share it. It grows
by shards: flat columns in one safetensors file, memory-mapped when read, written in one step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from potstill.bundle.atomic import write_json
from potstill.errors import OutputError
from potstill.records import QAExample
from potstill.training.columns import UnusableFileError, read_columns, write_columns

_SUFFIX = ".safetensors"
_FACTS = "teacher.json"
_KEY_BYTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class WindowOutput:
    """A teacher's logits for one window.

    Attributes:
        start: first token of the context slice.
        stop: one past its last token.
        context_at: position of the slice's first token in the row.
        start_logits: of every position of the row, float16 ``[row_len]``.
        end_logits: as ``start_logits``.
    """

    start: int
    stop: int
    context_at: int
    start_logits: npt.NDArray[np.float16]
    end_logits: npt.NDArray[np.float16]


Outputs = list[WindowOutput]
"""The windows of one question, in the order of its context."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shard:
    columns: Mapping[str, npt.NDArray[Any]]
    first_window: npt.NDArray[np.int64]


class TeacherCache:
    """The outputs of one teacher."""

    def __init__(
        self, root: Path, facts: Mapping[str, Any], note: Callable[[str], None] = lambda _: None
    ) -> None:
        """Opens a cache, or starts an empty one.

        Shards that are damaged, or were written by something else, are set aside with a note that
        says why; what they held is computed again.

        Args:
            root: folder of all caches.
            facts: all that the outputs depend on: hashes of the teacher's weights and tokenizer,
                and how windows are cut.
            note: told, in a line, about every shard that cannot be used.

        Raises:
            OutputError: the folder cannot be made.
        """
        self.facts = dict(facts)
        text = json.dumps(self.facts, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:32]
        self.folder = root / self.key
        self._shards: list[_Shard] = []
        self._places: dict[bytes, tuple[int, int]] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"the teacher cache {self.folder} cannot be made: {error.strerror}; "
                "name another with cache=FOLDER"
            ) from error
        if not (self.folder / _FACTS).exists():
            write_json(self.folder / _FACTS, self.facts)
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

    def __contains__(self, example: QAExample) -> bool:
        return key_of(example) in self._places

    def __len__(self) -> int:
        """Questions whose outputs are there."""
        return len(self._places)

    def __getitem__(self, example: QAExample) -> Outputs:
        """The windows of a question; they lie in the file, not in memory.

        Raises:
            KeyError: the question is not in the cache.
        """
        number, row = self._places[key_of(example)]
        shard = self._shards[number]
        columns, first = shard.columns, shard.first_window
        return [
            WindowOutput(
                int(columns["slices"][w, 0]),
                int(columns["slices"][w, 1]),
                int(columns["context_at"][w]),
                columns["start"][columns["bounds"][w] : columns["bounds"][w + 1]],
                columns["end"][columns["bounds"][w] : columns["bounds"][w + 1]],
            )
            for w in range(first[row], first[row + 1])
        ]

    def missing(self, examples: Iterable[QAExample]) -> list[QAExample]:
        """Those that are not there, in their order, equal questions once."""
        wanted: dict[bytes, QAExample] = {}
        for example in examples:
            key = key_of(example)
            if key not in self._places:
                wanted.setdefault(key, example)
        return list(wanted.values())

    def add(self, examples: Sequence[QAExample], outputs: Sequence[Outputs]) -> None:
        """Writes a shard of questions and their outputs, in one step.

        Raises:
            OutputError: it could not be written; the cache is as it was.
        """
        columns = _columns(examples, outputs)
        name = hashlib.sha256(columns["keys"].tobytes()).hexdigest()[:24] + _SUFFIX
        try:
            write_columns(self.folder / name, columns, self.key)
        except OutputError as error:
            raise OutputError(f"{error}; make room or name another cache=FOLDER") from error
        self._files.add(name)
        self._take(read_columns(self.folder / name, self.key))

    def _take(self, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        first = np.concatenate([[0], np.cumsum(columns["n_windows"], dtype=np.int64)])
        for row, key in enumerate(columns["keys"]):
            self._places[key.tobytes()] = len(self._shards), row
        self._shards.append(_Shard(columns, first))


def key_of(example: QAExample) -> bytes:
    """Identifies what a teacher reads of an example: its question and its context."""
    digest = hashlib.blake2b(digest_size=_KEY_BYTES)
    for text in (example.question, example.context):
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.digest()


def _columns(
    examples: Sequence[QAExample], outputs: Sequence[Outputs]
) -> dict[str, npt.NDArray[Any]]:
    windows = [window for own in outputs for window in own]
    keys = b"".join(key_of(example) for example in examples)
    return {
        "keys": np.frombuffer(keys, np.uint8).reshape(-1, _KEY_BYTES),
        "n_windows": np.array([len(own) for own in outputs], np.int32),
        "slices": np.array([(w.start, w.stop) for w in windows], np.int32).reshape(-1, 2),
        "context_at": np.array([w.context_at for w in windows], np.int32),
        "bounds": np.cumsum([0, *(len(w.start_logits) for w in windows)], dtype=np.int64),
        "start": np.concatenate([w.start_logits for w in windows]).astype(np.float16),
        "end": np.concatenate([w.end_logits for w in windows]).astype(np.float16),
    }
