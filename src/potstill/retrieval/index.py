"""`Index`: documents, kept so that questions of them are answered at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from potstill.documents import formats
from potstill.documents.document import Document, Skipped
from potstill.documents.files import FoundFile, Read, find, read_files
from potstill.errors import EmptyInputError, IndexDataError, InputError
from potstill.retrieval.asking import WINDOWS, Citation, Found, read_passages
from potstill.retrieval.ranking import rank
from potstill.retrieval.store import Hit, Store
from potstill.retrieval.writing import StoredFile, StoreWriter
from potstill.runtime.qa import QAClient
from potstill.text.tokenizer import Encoded

FOLDER = ".potstill"
"""Where the index of a folder lies in it."""
CANDIDATES = 200
"""Passages with the words that weigh most, of which those that are read are chosen."""
_CAN_CHANGE = "pip install"
"""What stands in a reason that is none any more where a library has been installed."""
_FAR = 0.8
"""A passage is not read whose rank is so much less than the best one's: what it holds would not be
the answer (docs/log.md)."""
_LEAST = 6
"""Passages that are read at least: a rare word alone must not decide."""
_COMMIT = 64_000_000
"""Code points of text after which what was done is made safe."""


@dataclass(slots=True)
class Changes:
    """What an update did."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    reread: int = 0
    """Files that are as they were, and were read again because an older version had read them."""
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    """Files that are not read, those of earlier updates too."""
    notes: list[Skipped] = field(default_factory=list[Skipped])
    """Files that were read, and what could not be read of them."""


class Index:
    """Passages of documents, to be searched and asked. Safe to share between threads.

    Examples:
        >>> index = Index.open("reports")  # doctest: +SKIP
        >>> index.update(["reports"])  # doctest: +SKIP
        >>> index.ask("What was the revenue?", reader).citations[0].place  # doctest: +SKIP
    """

    def __init__(self, store: Store, root: Path | None = None) -> None:
        """Puts an index together; most callers want `open` or `of`."""
        self._store = store
        self._root = root

    @classmethod
    def of(cls, documents: Iterable[Document]) -> Index:
        """An index in memory."""
        index = cls(Store(None))
        with index._store.writing() as writer:
            for document in documents:
                writer.add(document, StoredFile(name=document.name))
            writer.commit()
        return index

    @classmethod
    def open(cls, folder: str | Path, *, create: bool = False) -> Index:
        """The index of a folder, or in a folder.

        Args:
            folder: one with an index in it (``folder/.potstill``), or an index itself.
            create: make an empty one in ``folder/.potstill`` where there is none.

        Raises:
            IndexDataError: there is none, or it is damaged or of another version.
            OutputError: it cannot be made.
        """
        folder = Path(folder)
        inside = folder.name == FOLDER or (folder / "meta.json").is_file()
        own = folder if inside else folder / FOLDER
        if not create and not (own / "meta.json").is_file():
            raise IndexDataError(f"there is no index in {folder}: run `potstill index {folder}`")
        return cls(Store(own), own.parent if own.name == FOLDER else None)

    @property
    def n_passages(self) -> int:
        """Passages that can be found."""
        return self._store.n_passages

    @property
    def is_outdated(self) -> bool:
        """Whether it holds files as an older version has read them: `update` reads them again."""
        return self._store.state.reading != formats.READING

    def files(self) -> list[StoredFile]:
        """What is known of each file."""
        return list(self._store.files().values())

    def refresh(self) -> None:
        """Goes on with what was written since."""
        self._store.refresh()

    def update(
        self,
        paths: str | Path | Sequence[str | Path] | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Changes:
        """Brings the index up to date with files and folders; others are taken out.

        A file is read again where its size or time has changed and its bytes have, too, and where
        an older version of Potstill has read it. What was done is made safe now and then: an
        interrupted update leaves whole files, old or new.

        Args:
            paths: files and folders; by default the folder that the index lies in.
            progress: called with the bytes that are done, and with those of all files.

        Raises:
            IndexDataError: another process is changing the index.
            OutputError: it cannot be written.
        """
        if paths is None:
            if self._root is None:
                raise InputError("this index lies in no folder of documents: give paths")
            paths = self._root
        several = [paths] if isinstance(paths, (str, Path)) else list(paths)
        with self._store.writing() as writer:
            return _Update(self, self._store.files(), writer, progress).run(list(find(several)))

    def name_of(self, path: str) -> str:
        """How the index names a file: below its folder, so that the folder may move."""
        if self._root is None:
            return os.path.abspath(path)
        try:
            return Path(os.path.relpath(path, self._root)).as_posix()
        except ValueError:  # on another drive of Windows
            return os.path.abspath(path)

    def path_of(self, name: str) -> str:
        """Where the file of a name is."""
        return name if self._root is None else os.path.normpath(self._root / name)

    def search(
        self,
        question: str,
        n: int = WINDOWS,
        *,
        reader: QAClient | None = None,
        known: dict[str, Encoded] | None = None,
    ) -> list[Hit]:
        """The passages that are likely to answer a question, best first.

        Args:
            question: or words.
            n: most passages.
            reader: whose word pieces count, too.
            known: tokens of passages by their text, which grows from question to question: what
                is in it is not tokenized again.
        """
        terms = self._store.weights(question)
        hits = self._store.search(list(terms), max(n, CANDIDATES))
        hits = self._ranked(question, terms, hits, reader, known)[0]
        if self._root is None:
            return hits[:n]
        return [replace(hit, name=self.path_of(hit.name)) for hit in hits[:n]]

    def ask(
        self,
        question: str,
        reader: QAClient,
        *,
        top_k: int = 1,
        windows: int = WINDOWS,
        **options: Any,
    ) -> Found:
        """Answers a question from the documents.

        Args:
            question: to answer.
            reader: that reads the passages.
            top_k: most answers.
            windows: most passages that are read; fewer where the others lie far behind the first.
            **options: any other of `potstill.runtime.reading.ReadOptions`.

        Raises:
            EmptyInputError: the question holds no text.
            QuestionTooLongError: it leaves no room for a passage.
        """
        hits, pieces = self.likely(question, reader, windows)
        if not hits:
            return Found((), 0, self.n_passages)
        citations = read_passages(reader, question, hits, pieces=pieces, top_k=top_k, **options)
        if self._root is not None:
            citations = [_moved(one, self.path_of(one.source)) for one in citations]
        return Found(citations, len(hits), self.n_passages)

    def likely(
        self, question: str, reader: QAClient, windows: int = WINDOWS
    ) -> tuple[list[Hit], list[Encoded]]:
        """The passages that `ask` reads for a question, best first, and the tokens of each.

        Raises:
            EmptyInputError: the question holds no text.
        """
        if not question.strip():
            raise EmptyInputError("the question is empty; give some text")
        terms = self._store.weights(question)
        hits = self._store.search(list(terms), max(windows, CANDIDATES))
        if not hits:
            return [], []
        hits, pieces = self._ranked(question, terms, hits, reader)
        near = sum(hit.rank >= hits[0].rank - _FAR for hit in hits)
        n = min(windows, max(near, _LEAST), len(hits))
        return hits[:n], pieces[:n]

    def _ranked(
        self,
        question: str,
        terms: dict[str, float],
        hits: list[Hit],
        reader: QAClient | None,
        known: dict[str, Encoded] | None = None,
    ) -> tuple[list[Hit], list[Encoded]]:
        """The hits with their ranks, best first, and the tokens of each where there is a reader."""
        texts = [hit.text for hit in hits]
        asked, pieces = None, list[Encoded]()
        if reader is not None:
            known = {} if known is None else known
            new = [text for text in dict.fromkeys(texts) if text not in known]
            asked, *encoded = reader.tokenizer.encode_batch([question, *new])
            known.update(zip(new, encoded, strict=True))
            pieces = [known[text] for text in texts]
        ranks = rank(terms, texts, [hit.head for hit in hits], asked, pieces).tolist()
        order = sorted(range(len(hits)), key=lambda i: (-ranks[i], i))
        sorted_pieces = [pieces[i] for i in order] if pieces else []
        return [replace(hits[i], rank=ranks[i]) for i in order], sorted_pieces


class _Update:
    """One update of an index."""

    def __init__(
        self,
        index: Index,
        known: Mapping[str, StoredFile],
        writer: StoreWriter,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._index, self._writer = index, writer
        self._progress = progress or (lambda done, of: None)
        self._known = known
        self._changes = Changes()

    def run(self, files: Sequence[FoundFile | Skipped]) -> Changes:
        changes = self._changes
        changes.skipped += [file for file in files if isinstance(file, Skipped)]
        found = {
            self._index.name_of(file.name): file for file in files if isinstance(file, FoundFile)
        }
        for name in self._known.keys() - found.keys():
            self._writer.remove(name)
            changes.removed += not self._known[name].reason
        stale = {
            file.name: name for name, file in found.items() if not self._is_as_before(file, name)
        }
        shas = {
            path: self._known[name].sha256
            for path, name in stale.items()
            if name in self._known and self._known[name].reading == formats.READING
        }
        total = sum(file.size for file in found.values() if file.name in stale)
        done = uncommitted = 0
        for read in read_files((f for f in found.values() if f.name in stale), shas):
            assert isinstance(read, Read)
            uncommitted += self._take(read, stale[read.file.name])
            done += read.file.size
            self._progress(done, total)
            if uncommitted > _COMMIT:
                self._writer.commit()
                uncommitted = 0
        if stale or self._known.keys() - found.keys() or self._index.is_outdated:
            self._writer.finish()
        return changes

    def _is_as_before(self, file: FoundFile, name: str) -> bool:
        """Whether a file need not even be opened; counts it then."""
        known = self._known.get(name)
        if known is None or (known.size, known.changed) != (file.size, file.changed):
            return False
        if _CAN_CHANGE in known.reason or known.reading != formats.READING:
            return False
        if known.reason:
            self._changes.skipped.append(Skipped(file.name, known.reason))
        else:
            self._changes.unchanged += 1
            if known.note:
                self._changes.notes.append(Skipped(file.name, known.note))
        return True

    def _take(self, read: Read, name: str) -> int:
        """Writes what was read of a file; gives the code points of its text."""
        known = self._known.get(name)
        file, result, changes = read.file, read.result, self._changes
        record = StoredFile(
            name=name,
            size=file.size,
            changed=file.changed,
            sha256=read.sha256,
            reading=formats.READING,
        )
        if result is None:
            assert known is not None
            self._writer.touch(replace(known, size=file.size, changed=file.changed))
            changes.unchanged += not known.reason
        elif isinstance(result, Skipped):
            self._writer.skip(replace(record, reason=result.reason))
            changes.skipped.append(result)
        else:
            self._writer.add(replace(result, name=name), replace(record, note=result.note))
            if known is None or known.reason:
                changes.added += 1
            elif known.sha256 == read.sha256:
                changes.reread += 1
            else:
                changes.changed += 1
            if result.note:
                changes.notes.append(Skipped(file.name, result.note))
            return len(result.text)
        return 0


def _moved(citation: Citation, path: str) -> Citation:
    return replace(citation, source=path)
