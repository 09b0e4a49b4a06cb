"""PDFs that are dropped on the page → their text; see `pdf_child` for who reads them."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from importlib.util import find_spec
from typing import Any

from potstill.serving.faults import Refusal

log = logging.getLogger("potstill.serving")

PDF = "application/pdf"
PATH = "/text"
SECONDS = 20
"""Longest time that a file may take to read."""
MEGABYTES = 384
"""Most address space of the process that reads it."""
AT_ONCE = 2
"""Files that are read at the same time; a further one is refused."""
COMMAND = ("-m", "potstill.serving.pdf_child")
"""What reads them, behind the name of this Python."""


class PdfReader:
    """Reads PDFs, each in a process of its own. Belongs to one event loop."""

    def __init__(self, most: int) -> None:
        """``most``: code points of a text."""
        self._most = most
        self._n = 0

    async def read(self, data: bytes) -> dict[str, Any]:
        """``text`` and ``pages`` of a PDF.

        Raises:
            Refusal: 404 without pypdf, 413 where the text is too long, 422 where there is none
                or the file cannot be read, 429 where others are being read.
        """
        if find_spec("pypdf") is None:
            raise Refusal(404, "reading PDFs needs pypdf: pip install 'potstill[serve]'")
        if not data.startswith(b"%PDF-"):
            raise Refusal(422, "the body is no PDF", field="body")
        if self._n >= AT_ONCE:
            raise Refusal(429, f"{self._n} PDFs are being read: try again later", retry_after_s=2)
        self._n += 1
        try:
            found = await self._run(data)
        finally:
            self._n -= 1
        if "status" in found:
            raise Refusal(found["status"], found["message"], field="body")
        return found

    async def _run(self, data: bytes) -> dict[str, Any]:
        bounds = map(str, (self._most, SECONDS, MEGABYTES))
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            *COMMAND,
            *bounds,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            said, _ = await asyncio.wait_for(child.communicate(data), SECONDS)
        except asyncio.TimeoutError:
            return {"status": 422, "message": f"the PDF could not be read in {SECONDS} s"}
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            log.warning("a PDF ended its reader with status %d", child.returncode)
            return {"status": 422, "message": "the PDF is damaged, or takes too much to read"}
        return json.loads(said)
