"""Where passages are kept and searched: tantivy, on disk or in memory (docs/decisions/0021).

One store of three kinds of records, so that one commit changes all of them or none: of a passage
its words and its number; of a chunk the text, packed; of a file what is known of it.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from potstill.documents import formats
from potstill.errors import IndexDataError, OutputError
from potstill.retrieval.packing import LEVEL, Packing, unpacked_text
from potstill.retrieval.passages import Chunk
from potstill.retrieval.ranking import HEADS, idf
from potstill.retrieval.words import ALIKE, NAME, analyzer, asked_words, words
from potstill.retrieval.writing import BITS, StoredFile, StoreState, StoreWriter, head_of
from potstill.text.slips import MOST, is_slip
from potstill.text.surrogates import without_surrogates

_HEAP = 96_000_000
"""Bytes that a writer collects before it writes a segment."""
_SLIPS = 32
"""Passages that are looked through for what a mistyped word was to be."""
_CHUNKS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that has words of a question."""

    name: str
    """Of its document."""
    title: str
    chunk: Chunk
    number: int
    """Among the chunk's passages."""
    score: float
    """BM25 of which words it has, however often."""
    rank: float = 0.0
    """How likely it answers the question (`retrieval.ranking.rank`)."""

    @property
    def span(self) -> tuple[int, int]:
        """Where it stands in the chunk."""
        return self.chunk.passages[self.number]

    @property
    def text(self) -> str:
        """Its words."""
        start, end = self.span
        return self.chunk.text[start:end]

    @property
    def head(self) -> str:
        """What stands above it: title and name of the file, headings."""
        return head_of(self.title, self.name, self.chunk.heading(self.span[0]))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, with offsets into the document."""
        start, end = self.span
        at = self.chunk.start
        return {
            "text": self.text,
            "start": at + start,
            "end": at + end,
            "source": self.name,
            **self.chunk.place(start).to_dict(),
        }


def _schema() -> Any:
    from tantivy import SchemaBuilder

    builder = SchemaBuilder()
    # Of a passage; `path` is there to take it out again, as it is of a chunk.
    builder.add_text_field("path", tokenizer_name="raw", index_option="basic")
    # How often a passage has a word is counted in those that are found: kept here it would be a
    # third of the postings.
    builder.add_text_field("body", tokenizer_name=NAME, index_option="basic")
    builder.add_text_field("head", tokenizer_name=NAME, index_option="basic")
    builder.add_unsigned_field("passage", stored=True)
    # Of a chunk.
    builder.add_unsigned_field("chunk", indexed=True)
    builder.add_bytes_field("packed", stored=True)
    # Of a file, and of the store itself; `kind` is "passage", "file" or "store".
    builder.add_text_field("kind", tokenizer_name="raw", index_option="basic")
    builder.add_text_field("file", tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field("about", stored=True)
    return builder.build()


class Store:
    """Reads, and with `writing` changes, a store. Any number of threads may search."""

    def __init__(self, folder: Path | None) -> None:
        """Opens the store in ``folder``, or makes one; without a folder it is in memory.

        Raises:
            IndexDataError: there is a store, but a damaged one or of another version.
            OutputError: none can be made there.
        """
        from tantivy import Index

        self.folder = folder
        self._schema = _schema()
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            self._index = Index(self._schema, path=None if folder is None else str(folder))
        except ValueError as error:
            raise IndexDataError(
                f"the index in {folder} is damaged or of another version ({_first(error)}): delete "
                "the folder and run `potstill index` again"
            ) from None
        except OSError as error:
            raise OutputError(f"there can be no index in {folder} ({error.strerror})") from None
        self._index.register_tokenizer(NAME, analyzer())
        self._index.reload()
        self._packing = Packing(b"", LEVEL if folder else 1)
        self._unpacked = lru_cache(_CHUNKS_KEPT)(lambda packed: self._packing.chunk(packed))
        self._take_common()

    def refresh(self) -> None:
        """Goes on with what was written since."""
        self._index.reload()
        self._take_common()

    def _take_common(self) -> None:
        """Takes what the chunks are packed against; once written it never changes."""
        if self.folder is not None and not self._packing.common:
            for _, record in self._of_kind("common"):
                self._packing = Packing(unpacked_text(record["packed"][0]), LEVEL)

    @property
    def n_passages(self) -> int:
        """Passages that can be found."""
        from tantivy import Query

        query = Query.term_query(self._schema, "kind", "passage")
        found: Any = self._index.searcher().search(query, 1, count=True)
        return found.count

    def weights(self, question: str) -> dict[str, float]:
        """The words of a question, without endings, with the weight of each.

        A word that no passage has is taken for the commonest that it is a slip of.
        """
        searcher = self._index.searcher()

        def n_having(word: str) -> int:
            return sum(searcher.doc_freq("body", one) for one in _alike(word))

        found = asked_words(without_surrogates(question))
        asked = dict.fromkeys(ALIKE.get(word, word) for word in found)
        strange = [word for word in asked if not n_having(word)]
        meant = {word: self._meant(searcher, word) for word in strange[:MOST]}
        return {
            word: idf(searcher.num_docs, n_having(word))
            for word in dict.fromkeys(meant.get(word, word) for word in asked)
        }

    def _meant(self, searcher: Any, word: str) -> str:
        from tantivy import Query

        query = Query.fuzzy_term_query(self._schema, "body", word)
        found = {
            other
            for score, address in searcher.search(query, _SLIPS, count=False).hits
            for other in words(self._hit(searcher, score, address).text)
            if is_slip(word, other)
        }
        return max(found, key=lambda other: (searcher.doc_freq("body", other), other), default=word)

    def search(self, terms: Sequence[str], n: int) -> list[Hit]:
        """The passages that have the words which weigh most, best first.

        Args:
            terms: words without endings.
            n: most passages.
        """
        from tantivy import Occur, Query

        searcher = self._index.searcher()
        parts = [(Occur.Should, self._query("body", term)) for term in terms]
        heads = [self._query("head", term) for term in terms]
        parts += [(Occur.Should, Query.boost_query(head, HEADS)) for head in heads]
        if not parts:
            return []
        hits = searcher.search(Query.boolean_query(parts), n, count=False).hits
        return [self._hit(searcher, score, address) for score, address in hits]

    def _query(self, field: str, term: str) -> Any:
        from tantivy import Query

        queries = [Query.term_query(self._schema, field, one, "basic") for one in _alike(term)]
        return queries[0] if len(queries) == 1 else Query.disjunction_max_query(queries)

    def _hit(self, searcher: Any, score: float, address: Any) -> Hit:
        from tantivy import Query

        reference = searcher.doc(address)["passage"][0]
        query = Query.term_query(self._schema, "chunk", reference >> BITS)
        packed = searcher.doc(searcher.search(query, 1, count=False).hits[0][1])["packed"][0]
        number = reference & ((1 << BITS) - 1)
        return Hit(*self._unpacked(packed), number, float(score))

    @property
    def state(self) -> StoreState:
        """What it knows of itself; of an empty one that nothing in it is old."""
        records = self._about("store")
        return StoreState(**records[0]) if records else StoreState(reading=formats.READING)

    def files(self) -> dict[str, StoredFile]:
        """What is known of each file, by its name."""
        records = [StoredFile(**about) for about in self._about("file")]
        return {record.name: record for record in sorted(records, key=lambda one: one.name)}

    def _about(self, kind: str) -> list[dict[str, Any]]:
        return [json.loads(record["about"][0]) for _, record in self._of_kind(kind)]

    def _of_kind(self, kind: str) -> list[tuple[float, Any]]:
        from tantivy import Query

        searcher = self._index.searcher()
        if not searcher.num_docs:
            return []
        query = Query.term_query(self._schema, "kind", kind)
        hits = searcher.search(query, searcher.num_docs, count=False).hits
        return [(score, searcher.doc(address)) for score, address in hits]

    @contextmanager
    def writing(self) -> Generator[StoreWriter, None, None]:
        """What changes the store; there is one at a time.

        What was not committed when it ends is left out, as after a crash.

        Raises:
            IndexDataError: another process is changing it.
            OutputError: it cannot be written to.
        """
        try:
            writer = self._index.writer(_HEAP, 1)
        except ValueError as error:
            if "LockBusy" in str(error):
                raise IndexDataError(
                    "the index is being changed by another process: wait until that has ended"
                ) from None
            raise OutputError(f"the index cannot be written to ({_first(error)})") from None
        try:
            self._sweep(writer)
            # What is in the store already settles how it is packed.
            settled = self.folder is None or self._index.searcher().num_docs > 0
            yield StoreWriter(writer, self.state, self._packing, settled=settled)
        except (ValueError, OSError) as error:
            if isinstance(error, OutputError) or not _is_tantivys(error):
                raise
            raise OutputError(
                f"the index could not be written ({_first(error)}): what it held before is still "
                "there; is there space left?"
            ) from None
        finally:
            del writer
        self.refresh()

    def _sweep(self, writer: Any) -> None:
        """Removes what a writer that was killed has left: nobody else writes now."""
        writer.garbage_collect_files()
        if self.folder is not None:
            for file in self.folder.glob(".tmp*"):  # of tantivy's own lists, before their rename
                file.unlink(missing_ok=True)


def _alike(word: str) -> list[str]:
    """A word, and those that are looked for as if they were it."""
    return [word, *(other for other, meant in ALIKE.items() if meant == word)]


def _first(error: Exception) -> str:
    """The first words of what tantivy says."""
    return " ".join(str(error).split())[:120]


def _is_tantivys(error: Exception) -> bool:
    """Whether an error is tantivy's own, which are plain ``ValueError`` and ``OSError``."""
    return type(error) in (ValueError, OSError)
