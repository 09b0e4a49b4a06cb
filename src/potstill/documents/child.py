"""Reads files in a process of its own, one after another, as `documents.workers` asks.

A file may be made so that reading it takes for ever, or all memory there is. Both are bounded here
and by the parent, and whatever else is wrong with a file ends this process and no other.

Standard input: a line of JSON (``name``, ``size``) and as many bytes, again and again. Standard
output: a line of JSON for each (a document, or ``reason``).
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

from potstill.documents.document import Document
from potstill.documents.formats import read_bytes
from potstill.errors import PotstillError


def bound(megabytes: int) -> None:
    """Gives this process so much memory, on Linux.

    Where the machine's memory runs out all the same, this process is ended before any other.
    """
    if sys.platform != "linux":  # elsewhere only the parent's clock remains
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    with contextlib.suppress(OSError):  # /proc may be closed to it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def answer(data: bytes, name: str) -> dict[str, Any]:
    """What is said of a file, as JSON has it."""
    try:
        document = read_bytes(data, name)
    except PotstillError as error:
        return {"reason": str(error)}
    except MemoryError:
        return {"reason": "it takes too much memory to read"}
    except Exception as error:
        # Whatever a library says of a damaged file: the file is at fault, or the library is; in
        # both cases the others must be read.
        return {"reason": f"it is damaged ({type(error).__name__}: {str(error):.100})"}
    return to_dict(document)


def to_dict(document: Document) -> dict[str, Any]:
    """A document as JSON has it."""
    return {
        "text": document.text,
        "title": document.title,
        "marks": [[at, place.to_dict()] for at, place in document.marks],
        "lines": document.lines,
        "note": document.note,
    }


def main() -> None:
    """Answers until standard input ends."""
    bound(int(sys.argv[1]))
    warnings.simplefilter("ignore")
    replies, sys.stdout = sys.stdout, sys.stderr
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        data = sys.stdin.buffer.read(asked["size"])
        replies.write(json.dumps(answer(data, asked["name"])) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
