"""What teachers said, on disk: computed once, read by every student.

A cache is a folder that belongs to one teacher with one way of reading; inside it every example has
a key of its own, so that any part of any data set can share it. It grows by shards, each written in
one step, so that an interruption loses one at most.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from lightning_fabric import Fabric

from potstill.bundle import layout
from potstill.bundle.atomic import write_json
from potstill.bundle.manifest import sha256_of
from potstill.errors import OutputError
from potstill.training.kept.columns import Columns, UnusableFileError, read_columns, write_columns

_SUFFIX = ".safetensors"
_FACTS = "teacher.json"
_KEY_BYTES = 16
_WEIGHTS = (layout.WEIGHTS, layout.TORCH_WEIGHTS, *layout.ONNX_FILES.values())

Example = TypeVar("Example")
Said = TypeVar("Said")
_Asked = TypeVar("_Asked", contravariant=True)
_Told = TypeVar("_Told", covariant=True)


class ShardCache(ABC, Generic[Example, Said]):
    """What one teacher said of examples."""

    shard_len: ClassVar[int]
    """Examples of a shard: what an interruption loses at most."""

    def __init__(
        self, root: Path, facts: Mapping[str, Any], note: Callable[[str], None] = lambda _: None
    ) -> None:
        """Opens a cache, or starts an empty one.

        Shards that are damaged, or were written by something else, are removed with a note that
        says why; what they held is computed again.

        Args:
            root: folder of all caches.
            facts: all that is said depends on, beside the example: hashes of the teacher's weights
                and tokenizer, and how it reads.
            note: told, in a line, about every shard that cannot be used.

        Raises:
            OutputError: the folder cannot be made.
        """
        self.facts = dict(facts)
        text = json.dumps(self.facts, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:32]
        self.folder = root / self.key
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

    @property
    @abstractmethod
    def _known(self) -> Collection[bytes]:
        """Keys of the examples that are there."""

    @abstractmethod
    def _texts(self, example: Example) -> tuple[str, ...]:
        """All that a teacher reads of an example."""

    @abstractmethod
    def _columns(self, said: Sequence[Said]) -> Columns:
        """What was said of some examples, as flat arrays."""

    @abstractmethod
    def _take(self, columns: Columns) -> None:
        """Takes in a shard: its ``keys``, and the columns of `_columns`."""

    @abstractmethod
    def __getitem__(self, example: Example) -> Said:
        """What was said of an example.

        Raises:
            KeyError: it is not in the cache.
        """

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

    def __contains__(self, example: Example) -> bool:
        return self.key_of(example) in self._known

    def __len__(self) -> int:
        """Examples that are there."""
        return len(self._known)

    def missing(self, examples: Iterable[Example]) -> list[Example]:
        """Those that are not there, in their order, equal ones once."""
        wanted: dict[bytes, Example] = {}
        for example in examples:
            key = self.key_of(example)
            if key not in self._known:
                wanted.setdefault(key, example)
        return list(wanted.values())

    def add(self, examples: Sequence[Example], said: Sequence[Said]) -> None:
        """Writes a shard of examples and what was said of each, in one step.

        Raises:
            OutputError: it could not be written; the cache is as it was.
        """
        keys = b"".join(self.key_of(example) for example in examples)
        columns = self._columns(said)
        columns["keys"] = np.frombuffer(keys, np.uint8).reshape(-1, _KEY_BYTES)
        file = self.folder / (hashlib.sha256(keys).hexdigest()[:24] + _SUFFIX)
        try:
            write_columns(file, columns, self.key)
        except OutputError as error:
            raise OutputError(f"{error}; make room or name another cache=FOLDER") from error
        self._files.add(file.name)
        self._take(read_columns(file, self.key))

    def key_of(self, example: Example) -> bytes:
        """Identifies what a teacher reads of an example."""
        digest = hashlib.blake2b(digest_size=_KEY_BYTES)
        for text in self._texts(example):
            data = text.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
        return digest.digest()


class Labeller(Protocol[_Asked, _Told]):
    """Whoever labels examples."""

    def read(self, examples: Sequence[_Asked]) -> Sequence[_Told]:
        """What it says of each."""
        ...


def fill(
    cache: ShardCache[Example, Said],
    teacher: Labeller[Example, Said],
    examples: Sequence[Example],
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
        RecipeError: the teacher cannot read an example.
    """
    if fabric is not None:
        examples = examples[fabric.global_rank :: fabric.world_size]
    missing = cache.missing(examples)
    done = len(examples) - len(missing)
    progress(done, len(examples))
    for at in range(0, len(missing), cache.shard_len):
        chunk = missing[at : at + cache.shard_len]
        cache.add(chunk, teacher.read(chunk))
        done += len(chunk)
        progress(done, len(examples))
    if fabric is not None and fabric.world_size > 1:
        fabric.barrier()
        cache.refresh()


def weights_hash(folder: Path) -> str:
    """A hash of the files that decide what a model says of tokens."""
    return _hash_of(folder, (layout.CONFIG, *_WEIGHTS), "*.safetensors", "pytorch_model-*.bin")


def tokenizer_hash(folder: Path) -> str:
    """A hash of the files that decide how a model cuts text into tokens."""
    # The vocabulary alone says less than tokenizer.json, and is only read where that is missing.
    if (folder / layout.TOKENIZER).is_file():
        return _hash_of(folder, (layout.TOKENIZER,))
    pieces = layout.VOCAB, layout.VOCAB_JSON, layout.MERGES, *layout.SENTENCEPIECE
    return _hash_of(folder, (*pieces, layout.TOKENIZER_CONFIG))


def _hash_of(folder: Path, names: Sequence[str], *patterns: str) -> str:
    files = {folder / name for name in names if (folder / name).is_file()}
    for pattern in patterns:
        files.update(folder.glob(pattern))
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.relative_to(folder).as_posix()}:{sha256_of(file)}\n".encode())
    return digest.hexdigest()
