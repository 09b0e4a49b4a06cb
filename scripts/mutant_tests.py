"""Runs the tests of a room for `scripts/mutants.py`, each time in a child of one warm process.

Reads a request a line and writes an answer a line, both JSON; run where the copy of the code lies:

    {"files": [test files], "code": [files]}     → {"seconds": {test: s}, "lines": {line: [tests]}}
    {"tests": [in order], "seconds": limit}      → {"outcome": "passed" | "failed" | "late"}

The first runs everything, notes which line of the code (``file:number``) each test runs, and leaves
the libraries that it needed imported here, so that no child imports torch again. Code of the
project is imported in the children alone, for that is what changes.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import hypothesis
import pytest

_OPTIONS = ("-x", "-q", "--assert=plain", "-p", "no:cacheprovider")
_OURS = ("potstill", "tests", "conftest", "tiny", "benchmarks", "__main__", "_pytest", "pytest")


class Recorder:
    """Notes which lines of some files each test runs, and how long it takes."""

    def __init__(self, code: Sequence[str]) -> None:
        self.code = {str(Path(file).resolve()): file for file in code}
        self.seen: set[str] = set()
        self.seconds: dict[str, float] = {}
        self.lines: dict[str, set[str]] = {}
        self.by_file: dict[str, set[str]] = {}

    def _trace(self, frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        file = self.code.get(code.co_filename)
        # What is run by importing it is everyone's.
        if file is None or not code.co_flags & inspect.CO_OPTIMIZED:
            return None
        if event == "line":
            self.seen.add(f"{file}:{frame.f_lineno}")
        return self._trace

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        began = time.monotonic()
        sys.settrace(self._trace)
        threading.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            for line in self.seen:
                self.lines.setdefault(line, set()).add(item.nodeid)
            self.seen.clear()
            self.seconds[item.nodeid] = time.monotonic() - began

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        try:
            return (yield)
        finally:  # a fixture may be of the whole file
            shared = self.by_file.setdefault(item.nodeid.split("::")[0], set())
            shared |= self.seen

    def found(self) -> dict[str, Any]:
        for test in self.seconds:
            for line in self.by_file.get(test.split("::")[0], ()):
                self.lines.setdefault(line, set()).add(test)
        modules = [name for name in sys.modules if name.split(".")[0] not in _OURS]
        lines = {line: sorted(tests) for line, tests in self.lines.items()}
        return {"seconds": self.seconds, "lines": lines, "modules": modules}


class Chosen:
    """Leaves the tests that were asked for, in that order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.place = {name: i for i, name in enumerate(tests)}

    def pytest_sessionstart(self) -> None:
        # One example that fails is enough: none is made smaller.
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", database=None, phases=phases)
        hypothesis.settings.load_profile("mutants")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if item.nodeid in self.place]
        items[:] = sorted(kept, key=lambda item: self.place[item.nodeid])


def _in_a_child(run: Callable[[], int], log: Path, seconds: float | None) -> int | None:
    """What a child returns; ``None`` where it took too much of the processor, or ages."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        if seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 5, int(seconds) + 6))
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(out, number)
        code = 70
        try:
            code = int(run())
        finally:
            sys.stdout.flush()
            os._exit(code)
    # Where others share the processor, the clock goes on and the child does not.
    until = None if seconds is None else time.monotonic() + 3 * seconds + 60
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if until is not None and time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.01)
    try:
        os.killpg(child, signal.SIGKILL)  # what it may have started
    except ProcessLookupError:
        pass
    if os.WIFSIGNALED(done[1]) and os.WTERMSIG(done[1]) in (signal.SIGXCPU, signal.SIGKILL):
        return None
    return os.waitstatus_to_exitcode(done[1])


def _imported(modules: Sequence[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001, S112 - the tests will say what they lack
                continue


def answer(request: dict[str, Any], scratch: Path) -> dict[str, Any]:
    """Runs what a request asks for."""
    options = [*_OPTIONS, f"--basetemp={scratch / 'tmp'}"]
    log = scratch / "log"
    if "files" in request:
        kept = scratch / "lines.json"

        def all_of_them() -> int:
            recorder = Recorder(request["code"])
            code = pytest.main([*options, *request["files"]], plugins=[recorder])
            kept.write_text(json.dumps(recorder.found()), encoding="utf-8")
            return code

        if _in_a_child(all_of_them, log, None):
            return {"error": log.read_text(encoding="utf-8", errors="replace")[-3000:]}
        found = json.loads(kept.read_text(encoding="utf-8"))
        _imported(found.pop("modules"))
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        return found
    tests = request["tests"]
    files = list(dict.fromkeys(name.split("::")[0] for name in tests))
    code = _in_a_child(
        lambda: pytest.main([*options, *files], plugins=[Chosen(tests)]), log, request["seconds"]
    )
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        return {"error": f"none of {tests[:3]} was found"}
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
    return {"outcome": "late" if code is None else "failed" if code else "passed", "log": said}


def main() -> None:
    """Answers requests until there are no more."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        for line in sys.stdin:
            replies.write(json.dumps(answer(json.loads(line), Path(scratch))) + "\n")
            replies.flush()


if __name__ == "__main__":
    main()
