"""Chunks of documents as they lie in an index: a line of JSON and the text, packed by zstd.

What the line says of passages and places is how each differs from the one before it, which packs to
a fifth of what they are in full.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from potstill.documents.document import Document, Place
from potstill.retrieval.passages import Chunk

LEVEL = 6
"""How hard zstd tries, for what is kept on disk."""
FIRST_LEVEL = 11
"""The same where a store is filled for the first time: a fiftieth of the text less, for three times
as long (docs/log.md)."""
_PLACES = [field.name for field in fields(Place)]
_MAGIC = b"\x28\xb5\x2f\xfd"


def packed_text(text: bytes) -> bytes:
    """A text that is kept by itself."""
    import zstandard

    return zstandard.ZstdCompressor(level=FIRST_LEVEL).compress(text)


def unpacked_text(packed: bytes) -> bytes:
    """The text that `packed_text` took, or one that was kept as it is."""
    import zstandard

    if not packed.startswith(_MAGIC):
        return packed
    return zstandard.ZstdDecompressor().decompress(packed)


class Packing:
    """How chunks are packed: against what many texts have in common."""

    def __init__(self, common: bytes, level: int) -> None:
        """Prepares a packer.

        Args:
            common: text that is treated as if it stood before each chunk; may be empty.
            level: how hard zstd tries, 1 to 22.
        """
        import zstandard

        self.common = common
        kind = zstandard.DICT_TYPE_RAWCONTENT
        shared = zstandard.ZstdCompressionDict(common, dict_type=kind) if common else None
        if shared is not None:
            shared.precompute_compress(level=level)
        self._packer = zstandard.ZstdCompressor(level=level, dict_data=shared)
        self._shared = shared

    def packed(self, document: Document, chunk: Chunk) -> bytes:
        """A chunk with what is to be known of its document."""
        values = [
            document.name,
            document.title,
            chunk.start,
            chunk.lines,
            _differences(chunk.passages),
            list(_changes(chunk.marks)),
        ]
        line = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        return self._packer.compress(f"{line}\n{chunk.text}".encode("utf-8", "surrogatepass"))

    def chunk(self, packed: bytes) -> tuple[str, str, Chunk]:
        """Name and title of a document, and the chunk, out of what `packed` gave.

        Safe to call from several threads: each has an unpacker of its own.
        """
        import zstandard

        unpacker = zstandard.ZstdDecompressor(dict_data=self._shared)
        line, _, text = unpacker.decompress(packed).decode("utf-8", "surrogatepass").partition("\n")
        name, title, start, lines, differences, changes = json.loads(line)
        passages = list(_passages(differences))
        return name, title, Chunk(start, text, list(_marks(changes)), passages, lines)


def _differences(passages: Sequence[tuple[int, int]]) -> list[int]:
    """How far each passage begins behind the end of the one before, and how long it is."""
    ends = [0, *(end for _, end in passages)]
    return [n for before, (a, b) in zip(ends, passages, strict=False) for n in (a - before, b - a)]


def _passages(differences: Sequence[int]) -> Iterator[tuple[int, int]]:
    at = 0
    for gap, length in zip(differences[::2], differences[1::2], strict=True):
        yield at + gap, at + gap + length
        at += gap + length


def _changes(marks: Sequence[tuple[int, Place]]) -> Iterator[list[Any]]:
    """How far each mark is from the one before, and what of the place is new."""
    at, place = 0, Place()
    for here, new in marks:
        values = {
            one: getattr(new, one) for one in _PLACES if getattr(new, one) != getattr(place, one)
        }
        yield [here - at, values]
        at, place = here, new


def _marks(changes: Sequence[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, Place]]:
    at, place = 0, Place()
    for gap, values in changes:
        at, place = at + gap, replace(place, **values)
        yield at, place
