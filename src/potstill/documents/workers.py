"""Processes that read the files which a process should not read itself; see `documents.child`."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from typing import Any

from potstill.documents.document import Document, Place
from potstill.errors import DataError

SECONDS = 60.0
"""Longest time that a file may take."""
MEGABYTES = 1536
"""Most address space of a process."""
COMMAND = ("-m", "potstill.documents.child")
"""What reads, behind the name of this Python."""


class Worker:
    """One process, started when it is first needed and again after it died. Of one thread."""

    def __init__(self, *, seconds: float = SECONDS, megabytes: int = MEGABYTES) -> None:
        self._seconds, self._megabytes = seconds, megabytes
        self._child: subprocess.Popen[bytes] | None = None

    def read(self, data: bytes, name: str) -> Document:
        """Reads a file.

        Raises:
            DataError: it cannot be read; the message gives the reason and not the name.
        """
        child = self._child = self._child or self._started()
        ended: list[str] = []

        def give_up() -> None:
            ended.append(f"it takes more than {self._seconds:g} s to read")
            child.kill()

        timer = threading.Timer(self._seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            said = self._asked(child, data, name)
        finally:
            timer.cancel()
        if said is None:
            self.close()
            raise DataError(ended[0] if ended else "it is damaged, or takes too much to read")
        if "reason" in said:
            raise DataError(said["reason"])
        return _document(said, name)

    def stop(self) -> None:
        """Has another thread's `read` end at once, as of a damaged file."""
        child = self._child
        if child is not None:
            child.kill()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *COMMAND, str(self._megabytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @staticmethod
    def _asked(child: subprocess.Popen[bytes], data: bytes, name: str) -> dict[str, Any] | None:
        """What the child says; ``None`` where it died."""
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps({"name": name, "size": len(data)}).encode() + b"\n")
            child.stdin.write(data)
            child.stdin.flush()
            line = child.stdout.readline()
        except OSError:  # it died while it was written to
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def close(self) -> None:
        """Ends the process."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            with contextlib.suppress(OSError):  # what was written and not read yet
                assert pipe is not None
                pipe.close()
        child.wait()


def _document(said: dict[str, Any], name: str) -> Document:
    marks = [(at, Place(**place)) for at, place in said.pop("marks")]
    return Document(name=name, marks=marks, **said)
