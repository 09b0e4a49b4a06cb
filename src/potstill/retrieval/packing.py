"""Chunks of documents as they lie in an index: JSON, packed by zstd."""

from __future__ import annotations

import json
from typing import Any

from potstill.documents.document import Document, Place
from potstill.retrieval.passages import Chunk

LEVEL = 6
"""How hard zstd tries, for what is kept on disk."""
FIRST_LEVEL = 11
"""The same where a store is filled for the first time: a fiftieth of the text less, for three times
as long (docs/log.md)."""
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
        values: dict[str, Any] = {
            "name": document.name,
            "title": document.title,
            "start": chunk.start,
            "text": chunk.text,
            "marks": [[at, place.to_dict()] for at, place in chunk.marks],
            "passages": chunk.passages,
            "lines": chunk.lines,
        }
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        return self._packer.compress(text.encode("utf-8", "surrogatepass"))

    def chunk(self, packed: bytes) -> tuple[str, str, Chunk]:
        """Name and title of a document, and the chunk, out of what `packed` gave.

        Safe to call from several threads: each has an unpacker of its own.
        """
        import zstandard

        unpacker = zstandard.ZstdDecompressor(dict_data=self._shared)
        values = json.loads(unpacker.decompress(packed).decode("utf-8", "surrogatepass"))
        chunk = Chunk(
            values["start"],
            values["text"],
            [(at, Place(**place)) for at, place in values["marks"]],
            [(start, end) for start, end in values["passages"]],
            values["lines"],
        )
        return values["name"], values["title"], chunk
