"""A system in a process of its own, so that two can be asked in turns and share nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

_PAUSE = 0.06
"""Seconds before a call of another system: idle threads spin for a while, onnxruntime's for 45 ms
unless told otherwise, and would slow the next one."""


class Worker:
    """A program asked over its pipes in lines of JSON; it prints ``ready`` before the first."""

    def __init__(
        self,
        program: str,
        code: str,
        *arguments: str,
        flag: str | None = "-c",
        environment: dict[str, str] | None = None,
    ) -> None:
        """Starts ``program`` on ``code``, a file where there is no ``flag`` to stand before it.

        Args:
            program: Python or Node.
            code: what it runs.
            arguments: of the code.
            flag: what stands before the code.
            environment: variables beside this process's own.
        """
        self.process = subprocess.Popen(
            [program, *([] if flag is None else [flag]), code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", **(environment or {})},
        )
        assert self.process.stdin
        assert self.process.stdout
        self.into, self.out = self.process.stdin, self.process.stdout
        while self._line() != "ready":
            pass

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, item: dict[str, Any], *, at_once: bool = False) -> dict[str, Any]:
        """Sends one line and waits for the one that comes back.

        Args:
            item: what to ask.
            at_once: without the pause, where this very system was the last to be asked.
        """
        if not at_once:
            time.sleep(_PAUSE)
        self.into.write(json.dumps(item) + "\n")
        self.into.flush()
        return json.loads(self._line())

    def close(self) -> None:
        """Ends the program by ending its input."""
        self.into.close()
        self.process.wait(timeout=60)
        self.out.close()

    def _line(self) -> str:
        line = self.out.readline()
        if not line:
            self.close()
            sys.exit(f"{self.process.args[0]} stopped with status {self.process.returncode}")  # type: ignore[index]
        return line.strip()
