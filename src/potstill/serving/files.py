"""Files that are sent to the server → their text; see `documents.workers` for who reads them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from potstill.documents.workers import Worker
from potstill.errors import DataError
from potstill.serving.faults import Refusal
from potstill.serving.service import Disconnected

PATH = "/text"
PDF = "application/pdf"
KINDS = (PDF, "application/octet-stream")
"""Content types that a file comes as; any but a PDF with ``?name=``."""
SECONDS = 20.0
"""Longest time that a file may take to read."""
MEGABYTES = 768
"""Most address space of the process that reads it."""
AT_ONCE = 2
"""Files that are read at the same time; a further one is refused."""
_LONGEST = 300
"""Most code points of a name."""
_PARTS = re.compile(r"[/\\]")


class FileReader:
    """Reads files, each in one of a few processes. Belongs to one event loop."""

    def __init__(self, most: int) -> None:
        """``most``: code points of a text."""
        self._most = most
        self._n = 0
        self._idle: list[Worker] = []

    async def read(self, data: bytes, name: str, gone: Callable[[], Any]) -> dict[str, Any]:
        """The text of a file, and where in the file each part of it stands.

        Args:
            data: the file.
            name: its name, of which the end tells the format.
            gone: a coroutine function that returns when the client has hung up.

        Raises:
            Refusal: 413 where the text is too long, 422 where there is none or the file cannot
                be read, 429 where others are being read.
            Disconnected: there is nobody to answer any more; the file is read no further.
        """
        if self._n >= AT_ONCE:
            raise Refusal(429, f"{self._n} files are being read: try again later", retry_after_s=2)
        worker = self._idle.pop() if self._idle else Worker(seconds=SECONDS, megabytes=MEGABYTES)
        self._n += 1
        named = _PARTS.split(name)[-1][-_LONGEST:]
        reading = asyncio.ensure_future(asyncio.to_thread(worker.read, data, named))
        watch = asyncio.ensure_future(gone())
        try:
            await asyncio.wait((reading, watch), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                raise Disconnected("the client hung up")
            document = reading.result()
        except DataError as error:
            raise Refusal(422, f"the file cannot be read: {error}", field="body") from None
        finally:
            watch.cancel()
            while not reading.done():
                worker.stop()
                await asyncio.wait((reading,), timeout=0.1)
            self._n -= 1
            self._idle.append(worker)
        if len(document.text) > self._most:
            message = f"the file has more than {self._most} characters of text"
            raise Refusal(413, message, field="body")
        if not document.text.strip():
            raise Refusal(422, "the file holds no text", field="body")
        return {
            "text": document.text,
            "title": document.title,
            "pages": max((place.page or 0 for _, place in document.marks), default=0),
            "places": [{"start": at, **place.to_dict()} for at, place in document.marks],
        }

    def close(self) -> None:
        """Ends the processes."""
        while self._idle:
            self._idle.pop().close()
