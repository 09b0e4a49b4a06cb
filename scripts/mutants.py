"""Changes one thing in the code at a time and runs the tests of its room: which changes pass?

    python scripts/mutants.py [ROOM …] --sample 40 --seed 1 --seconds 3600

The code is changed in a copy, never here. Without ROOM all of `ROOMS` are tried. What is printed is
the share of changes that a test noticed, and every change that none did.

The changes are cosmic-ray's; who runs the tests is `scripts/mutant_tests.py`. Of a room's tests
those are run that run the changed line, the quickest first, and all of them where none does (a
constant of a module, a line that a process of its own runs).
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "text": (
        "src/potstill/text",
        "tests/text tests/parity/test_tokenizers_hf.py tests/parity/test_windows_hf.py "
        "tests/parity/test_tokenizers_strangers_hf.py tests/parity/test_unigram_hf.py",
    ),
    "losses": ("src/potstill/losses", "tests/losses"),
    "loop": (
        "src/potstill/training/run/loop.py",
        "tests/training/test_loop_limits.py tests/training/test_loop_steps.py",
    ),
    "checkpoint": (
        "src/potstill/training/run/checkpoint.py",
        "tests/training/test_checkpoint_files.py tests/training/test_checkpoint_limits.py",
    ),
    "metrics": ("src/potstill/evaluation/metrics.py", "tests/evaluation/test_metrics.py"),
    "weights": (
        "src/potstill/bundle/weights.py",
        "tests/bundle/test_weights.py tests/bundle/test_rotary.py "
        "tests/bundle/test_disentangled.py",
    ),
    "names": ("src/potstill/bundle/names.py", "tests/bundle/test_config_and_names.py"),
    "int8": (
        "src/potstill/export/int8.py",
        "tests/export/test_int8.py tests/export/test_heads.py",
    ),
    "batcher": ("src/potstill/serving/batcher.py", "tests/serving/test_batcher.py"),
    "policy": ("src/potstill/serving/policy.py", "tests/serving/test_policy.py"),
    "parts": ("src/potstill/scale/parts.py", "tests/scale/test_parts.py tests/scale/test_job.py"),
}
"""Room → its code, and the tests that have to notice."""
_LEFT_OUT = "core/ReplaceBinaryOperator_BitOr"
"""Operators that begin so: ``|`` stands in annotations, which nothing runs."""
_OPTIONS = ("core/ReplaceTrueWithFalse", "core/ReplaceFalseWithTrue")
"""What is left alone where a dataclass begins: without ``slots`` and ``frozen`` it does no less."""
_COPIED = ("src", "tests", "benchmarks", "scripts", "docs", "examples", "clients", "pyproject.toml")
_QUIET = {
    "CI": "1",  # the same examples each time
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "POTSTILL_RUNTIME": "onnxruntime",
}


def main() -> int:
    """Tries the rooms that were asked for; 1 where a mutant survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("--sample", type=int, default=40, help="mutants of a room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600, help="for all rooms")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutants")
    parser.add_argument("--again", action="store_true", help="only those that survived last time")
    given = parser.parse_args()
    until = time.monotonic() + given.seconds
    copy = _copied(given.folder)
    killed = tried = 0
    for room in given.rooms or ROOMS:
        began = time.monotonic()
        caught, late, survivors, n = tried_room(room, copy, given, until)
        tried += caught + len(survivors)
        killed += caught
        print(
            f"{room}: {caught} of {caught + len(survivors)} noticed ({late} of them by the clock), "
            f"of {n} possible; {time.monotonic() - began:.0f} s",
            flush=True,
        )
        for one in survivors:
            print(one, flush=True)
    share = f"{killed / tried:.0%}" if tried else "nothing tried"
    print(f"noticed: {killed} of {tried} ({share}), seed {given.seed}")
    return int(killed < tried)


def tried_room(
    room: str, copy: Path, given: argparse.Namespace, until: float
) -> tuple[int, int, list[str], int]:
    """Mutants that were noticed, by the clock alone, not at all (as patches), and possible."""
    code, tests = ROOMS[room]
    where = copy / code
    files = sorted(where.rglob("*.py")) if where.is_dir() else [where]
    every = _possible(files, copy / "session.sqlite")
    session = given.folder / f"{room}.json"
    if given.again:
        before = json.loads(session.read_text(encoding="utf-8"))
        chosen = [item for item in every if _name(item, copy) in before]
    else:
        chosen = random.Random(given.seed).sample(every, min(given.sample, len(every)))
    caught = late = 0
    survivors: list[str] = []
    names: list[str] = []
    with _Tests(tests.split(), [str(file.relative_to(copy)) for file in files], copy) as asked:
        for item in chosen:
            if time.monotonic() > until:
                print("the time is up: what was not tried is not counted", flush=True)
                break
            file, line = Path(item.module_path), item.start_pos[0]
            before, after = file.read_text(encoding="utf-8"), _changed(item)
            stamp = file.stat().st_mtime
            try:
                file.write_text(after, encoding="utf-8")
                os.utime(file, (stamp + 100, stamp + 100))  # no compiled file is of this second
                outcome = asked.outcome(f"{file.relative_to(copy)}:{line}")
            finally:
                file.write_text(before, encoding="utf-8")
                os.utime(file, (stamp, stamp))
            if outcome == "passed":
                survivors.append(_patch(before, after, file.relative_to(copy)))
                names.append(_name(item, copy))
            else:
                caught += 1
                late += outcome == "late"
    session.write_text(json.dumps(names, indent=1), encoding="utf-8")
    return caught, late, survivors, len(every)


class _Tests:
    """The tests of a room, in a warm process."""

    def __init__(self, files: list[str], code: list[str], copy: Path) -> None:
        inherited = os.environ.get("PYTHONPATH")
        paths = [str(copy / "src"), *([inherited] if inherited else [])]
        environment = {**os.environ, **_QUIET, "PYTHONPATH": os.pathsep.join(paths)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "mutant_tests.py")],
            cwd=copy,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        found = self._ask({"files": files, "code": code})
        self._seconds: dict[str, float] = found["seconds"]
        self._lines: dict[str, list[str]] = found["lines"]
        control = self._outcome(list(self._seconds))
        if control["outcome"] != "passed":
            raise SystemExit(f"in this order the tests fail by themselves:\n{control['log']}")

    def __enter__(self) -> _Tests:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()

    def outcome(self, line: str) -> str:
        """``passed``, ``failed`` or ``late``, of the tests that run a line (``file:number``)."""
        return self._outcome(self._lines.get(line, list(self._seconds)))["outcome"]

    def _outcome(self, tests: list[str]) -> dict[str, Any]:
        files: dict[str, float] = {}
        for test in tests:
            file = test.split("::")[0]
            files[file] = files.get(file, 0) + self._seconds[test]
        tests = sorted(tests, key=lambda t: (files[t.split("::")[0]], self._seconds[t]))
        limit = sum(self._seconds[test] for test in tests) * 2 + 3
        return self._ask({"tests": tests, "seconds": limit})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        if "error" in found:
            raise SystemExit(f"the tests fail before anything was changed:\n{found['error']}")
        return found


def _copied(folder: Path) -> Path:
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, copy / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__")
            )
        else:
            shutil.copy(source, copy / name)
    return copy


def _possible(files: list[Path], session: Path) -> list[Any]:
    """Every change of cosmic-ray's but for those that are left out, in a fixed order."""
    from cosmic_ray.commands import init
    from cosmic_ray.work_db import use_db

    with use_db(session) as database:
        init(files, database, {})
        every = [item.mutations[0] for item in database.work_items]
    session.unlink()
    lines = {file: file.read_text(encoding="utf-8").splitlines() for file in files}
    kept = [
        one
        for one in every
        if not one.operator_name.startswith(_LEFT_OUT)
        and not (
            one.operator_name in _OPTIONS
            and lines[one.module_path][one.start_pos[0] - 1].startswith("@dataclass(")
        )
    ]
    return sorted(kept, key=lambda one: (str(one.module_path), one.operator_name, one.occurrence))


def _changed(item: Any) -> str:
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    text = Path(item.module_path).read_text(encoding="utf-8")
    operator = get_operator(item.operator_name)(**item.operator_args)
    return mutate_code(text, operator, item.occurrence) or text


def _name(item: Any, copy: Path) -> str:
    file = Path(item.module_path).relative_to(copy)
    return f"{file} {item.operator_name} {item.occurrence}"


def _patch(before: str, after: str, file: Path) -> str:
    lines = before.splitlines(), after.splitlines()
    return "\n".join(difflib.unified_diff(*lines, str(file), str(file), lineterm="", n=1))


if __name__ == "__main__":
    sys.exit(main())
