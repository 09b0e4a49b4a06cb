"""A text corpus, tokenized and packed into rows once, on disk, and read back memory-mapped.

The rows lie in the cache under a hash of everything they follow from. What is found there is
checked before it is used; what is damaged is made again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from potstill.bundle.atomic import replacing_folder, write_json
from potstill.bundle.cache import cache_folder
from potstill.bundle.manifest import sha256_of
from potstill.data.text import Article, corpus_files, documents
from potstill.errors import DataError, OutputError
from potstill.text.tokenizer import Tokenizer
from potstill.training.run.sampling import is_held_out

LAYOUT_VERSION = 1
"""Raised when the same text would be packed into other rows than before."""
_INDEX = "index.json"
_PARTS = ("train", "held_out")
_CHUNK = 500_000
"""Code points tokenized at once."""
_SPECIAL = 2
"""``[CLS]`` and the last ``[SEP]`` of a row."""


@dataclass(frozen=True, slots=True, eq=False)
class CorpusRows:
    """Rows of token ids, all of one length but the last."""

    table: npt.NDArray[Any]
    """Padded ids ``[n_rows, seq_len]``, uint16 or int32; a part of the file, not of memory."""
    lengths: npt.NDArray[np.int64]
    """Tokens of each row."""

    def __len__(self) -> int:
        return len(self.table)

    def batch(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Some rows as tensors: ``input_ids`` and, where one is padded, ``attention_mask``."""
        lengths = self.lengths[list(rows)]
        width = int(lengths.max(initial=1))
        ids = torch.from_numpy(self.table[list(rows), :width].astype(np.int64))
        if bool((lengths == width).all()):
            return {"input_ids": ids}
        mask = torch.arange(width)[None] < torch.from_numpy(lengths)[:, None]
        return {"input_ids": ids, "attention_mask": mask.long()}


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """A corpus as a model is trained on it."""

    train: CorpusRows
    held_out: CorpusRows
    fingerprint: str
    """Hash of text, tokenizer and packing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusPacking:
    """How a corpus is cut."""

    seq_len: int = 128
    """Tokens of a row, special ones included."""
    holdout: float = 0.01
    """Share of the documents kept out of training."""
    max_rows: int = 0
    """Stop after so many training rows, 0 for the whole corpus."""


def open_corpus(
    corpus: str | Path | Sequence[str | Path],
    tokenizer: Tokenizer,
    packing: CorpusPacking,
    *,
    cache: str | Path | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> Corpus:
    """Reads the packed rows of a corpus, making them first where the cache has none.

    Rows are ``[CLS] … [SEP]``, text behind text with a ``[SEP]`` between documents, so that
    nothing is padded (Liu et al. 2019, §4.2, FULL-SENTENCES, https://arxiv.org/abs/1907.11692).
    Which documents are held out depends on their text alone. Titles are not part of the text.

    Args:
        corpus: a file, folder, pattern or a list of them, as `data.text.documents` reads them.
        tokenizer: of the model to train.
        packing: how to cut.
        cache: folder for the rows; by default the user's cache.
        note: told, in a line, what takes long or was found wrong.

    Raises:
        DataError: the corpus is missing, empty, damaged or not UTF-8, or nothing of it is left to
            train on.
        OutputError: the cache could not be written.
    """
    facts = {
        "version": LAYOUT_VERSION,
        "files": [sha256_of(file) for file in corpus_files(corpus)],
        "tokenizer": tokenizer.fingerprint(),
        "seq_len": packing.seq_len,
        "holdout": packing.holdout,
        "max_rows": packing.max_rows,
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    folder = (Path(cache).expanduser() if cache else cache_folder() / "corpus") / key[:32]
    wrong = _fault(folder, facts)
    if wrong:
        if folder.exists():
            note(f"the packed corpus in {folder} is made again: {wrong}")
        _build(folder, corpus, tokenizer, packing, facts, note)
    index = _read_index(folder)
    train, held_out = (_map(folder / f"{part}.bin", index[part], index) for part in _PARTS)
    if not len(train):
        raise DataError(
            f"{corpus} has no document left to train on: all of them are held out; "
            "give more text, or holdout=0"
        )
    return Corpus(train, held_out, key)


def _read_index(folder: Path) -> dict[str, Any]:
    return json.loads((folder / _INDEX).read_text(encoding="utf-8"))


def _fault(folder: Path, facts: dict[str, Any]) -> str:
    """Why the rows in ``folder`` cannot be used, empty where they can."""
    try:
        index = _read_index(folder)
        if index["facts"] != facts:
            return f"{_INDEX} describes other rows"
        for part in _PARTS:
            file = folder / f"{part}.bin"
            size = index[part]["n_rows"] * facts["seq_len"] * np.dtype(index["dtype"]).itemsize
            if file.stat().st_size != size:
                return f"{file.name} has {file.stat().st_size:,} bytes instead of {size:,}"
            if sha256_of(file) != index[part]["sha256"]:
                return f"{file.name} is not what was written"
    except FileNotFoundError as error:
        return f"{Path(error.filename).name} is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{_INDEX} cannot be read ({error})"
    return ""


def _map(file: Path, part: dict[str, Any], index: dict[str, Any]) -> CorpusRows:
    shape = (part["n_rows"], index["facts"]["seq_len"])
    dtype = np.dtype(index["dtype"])
    # An empty file cannot be mapped.
    table = np.memmap(file, dtype, "r", shape=shape) if shape[0] else np.empty(shape, dtype)
    lengths = np.full(shape[0], shape[1], np.int64)
    lengths[-1:] = part["last_len"]
    return CorpusRows(table, lengths)


def _build(
    folder: Path,
    corpus: str | Path | Sequence[str | Path],
    tokenizer: Tokenizer,
    packing: CorpusPacking,
    facts: dict[str, Any],
    note: Callable[[str], None],
) -> None:
    note(f"tokenizing {corpus} …")
    dtype = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.int32
    try:
        with replacing_folder(folder) as temporary:
            files = [temporary / f"{part}.bin" for part in _PARTS]
            with files[0].open("wb") as train, files[1].open("wb") as held:
                packers = [_Packer(file, tokenizer, packing, dtype) for file in (train, held)]
                _pack(corpus, tokenizer, packing, packers)
            index: dict[str, Any] = {"facts": facts, "dtype": np.dtype(dtype).name}
            for part, file, packer in zip(_PARTS, files, packers, strict=True):
                index[part] = {
                    "n_rows": packer.n_rows,
                    "last_len": packer.last_len,
                    "documents": packer.n_documents,
                    "sha256": sha256_of(file),
                }
            write_json(temporary / _INDEX, index)
    except OutputError as error:
        raise OutputError(f"{error}; set cache=FOLDER to one with room") from error
    train, held = packers
    note(
        f"{train.n_documents:,} documents in {train.n_rows:,} rows, "
        f"{held.n_documents:,} documents in {held.n_rows:,} rows held out"
    )


def _pack(
    corpus: str | Path | Sequence[str | Path],
    tokenizer: Tokenizer,
    packing: CorpusPacking,
    packers: list[_Packer],
) -> None:
    for chunk in _chunks(documents(corpus)):
        ids = iter(tokenizer.ids_batch([p for document in chunk for p in document.paragraphs]))
        for document in chunk:
            # Title and first words tell documents apart, and a very long one that was cut stays
            # nearly always on one side.
            name = document.title or document.paragraphs[0]
            packer = packers[is_held_out(name, packing.holdout)]
            packer.add([next(ids) for _ in document.paragraphs])
            if packers[0].full:
                break
        if packers[0].full:
            break
    for packer in packers:
        packer.finish()


def _chunks(found: Iterable[Article]) -> Iterator[list[Article]]:
    chunk: list[Article] = []
    size = 0
    for document in found:
        chunk.append(document)
        size += sum(len(paragraph) for paragraph in document.paragraphs)
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class _Packer:
    """Writes documents behind one another as rows of one length."""

    def __init__(
        self,
        file: IO[bytes],
        tokenizer: Tokenizer,
        packing: CorpusPacking,
        dtype: type[np.integer[Any]],
    ) -> None:
        self._file, self._tokenizer, self._dtype = file, tokenizer, dtype
        self._seq_len, self._most = packing.seq_len, packing.max_rows
        self._rest = np.empty(0, np.int32)
        self.n_rows = self.n_documents = 0
        self.last_len = packing.seq_len

    @property
    def full(self) -> bool:
        """Whether there are as many rows as were asked for."""
        return bool(self._most) and self.n_rows >= self._most

    def add(self, paragraphs: list[npt.NDArray[np.int32]]) -> None:
        """Takes the token ids of a document's paragraphs."""
        between = [np.array([self._tokenizer.sep_id], np.int32)] if len(self._rest) else []
        stream = np.concatenate([self._rest, *between, *paragraphs])
        body = self._seq_len - _SPECIAL
        n_rows = len(stream) // body
        if self._most:
            n_rows = min(n_rows, self._most - self.n_rows)
        self._write(stream[: n_rows * body].reshape(n_rows, body))
        self._rest = stream[n_rows * body :]
        self.n_documents += 1

    def finish(self) -> None:
        """Writes what is left as a shorter row."""
        if len(self._rest) and not self.full:
            self.last_len = len(self._rest) + _SPECIAL
            self._write(self._rest[None])

    def _write(self, bodies: npt.NDArray[np.int32]) -> None:
        n_rows, length = bodies.shape
        rows = np.full((n_rows, self._seq_len), self._tokenizer.pad_id, self._dtype)
        rows[:, 0] = self._tokenizer.cls_id
        rows[:, 1 : length + 1] = bodies
        rows[:, length + 1] = self._tokenizer.sep_id
        self._file.write(rows.tobytes())
        self.n_rows += n_rows
