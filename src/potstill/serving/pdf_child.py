"""A PDF on standard input → one line of JSON on standard output; run by `serving.pdf`.

A process of its own: a file may be made so that reading it takes for ever, or all memory there is.
Both are bounded here, and whatever else is wrong with a file ends this process and no other.

    python -m potstill.serving.pdf_child MOST_CHARACTERS SECONDS MEGABYTES < FILE
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import unicodedata
from pathlib import Path
from typing import Any


def bound(seconds: int, megabytes: int) -> None:
    """Gives this process so much processor time and, on Linux, so much memory.

    Where the machine's memory runs out all the same, this process is ended before any other.
    """
    try:
        import resource
    except ModuleNotFoundError:  # Windows: only the parent's clock remains
        return
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
        with contextlib.suppress(OSError):  # /proc may be closed to it
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def read(data: bytes, most: int) -> dict[str, Any]:
    """What a PDF says.

    Args:
        data: the file.
        most: code points of text to take.

    Returns:
        ``text``, pages parted by an empty line, and ``pages``; or ``status`` and ``message`` where
        the file is refused.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

    # What it says of slight faults is of no use to whoever sent the file.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    pages: list[str] = []
    size = 0
    try:
        for page in PdfReader(io.BytesIO(data)).pages:
            pages.append(_tidy(page.extract_text()))
            size += len(pages[-1])
            if size > most:
                return _refused(413, f"the PDF has more than {most} characters of text")
    except (FileNotDecryptedError, DependencyError):
        return _refused(422, "the PDF is encrypted: save it without a password")
    except PyPdfError as error:
        reason = " ".join(str(error).split())[:200]
        return _refused(422, f"the PDF is damaged: {reason}")
    text = "\n\n".join(filter(None, pages))
    if not text:
        return _refused(422, "the PDF holds no text: pictures of pages are not read")
    return {"text": text, "pages": len(pages)}


def _tidy(text: str) -> str:
    """Without what cannot be sent on or seen: lone surrogates, controls, spaces at a line's end."""
    kept = (c for c in text if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "\n".join(line.rstrip() for line in "".join(kept).splitlines()).strip()


def _refused(status: int, message: str) -> dict[str, Any]:
    return {"status": status, "message": message}


def main() -> None:
    """Reads standard input and writes standard output."""
    most, seconds, megabytes = map(int, sys.argv[1:4])
    bound(seconds, megabytes)
    sys.stdout.write(json.dumps(read(sys.stdin.buffer.read(), most)) + "\n")


if __name__ == "__main__":
    main()
