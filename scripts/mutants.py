"""Changes one thing in the code at a time and runs the tests of its room: which changes pass?

    python scripts/mutants.py [ROOM …] --sample 40 --seed 1 --seconds 3600

The code is changed in a copy, never here. Without ROOM all of `ROOMS` are tried. What is printed is
the share of changes that a test noticed, and every change that none did.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "text": ("src/potstill/text", "tests/text"),
    "losses": ("src/potstill/losses", "tests/losses"),
    "loop": ("src/potstill/training/run/loop.py", "tests/training/test_loop_limits.py"),
    "checkpoint": (
        "src/potstill/training/run/checkpoint.py",
        "tests/training/test_checkpoint_limits.py",
    ),
    "metrics": ("src/potstill/evaluation/metrics.py", "tests/evaluation/test_metrics.py"),
    "weights": ("src/potstill/bundle/weights.py", "tests/bundle/test_weights.py"),
    "names": ("src/potstill/bundle/names.py", "tests/bundle/test_config_and_names.py"),
    "int8": ("src/potstill/export/int8.py", "tests/export/test_int8.py"),
    "batcher": ("src/potstill/serving/batcher.py", "tests/serving/test_batcher.py"),
    "policy": ("src/potstill/serving/policy.py", "tests/serving/test_policy.py"),
    "parts": ("src/potstill/scale/parts.py", "tests/scale/test_parts.py tests/scale/test_job.py"),
}
"""Room → its code, and the tests that have to notice."""
_LEFT_OUT = "core/ReplaceBinaryOperator_BitOr"
"""Operators that begin so: ``|`` stands in annotations, which nothing runs."""
_COPIED = ("src", "tests", "benchmarks", "scripts", "docs", "examples", "clients", "pyproject.toml")


def main() -> int:
    """Tries the rooms that were asked for; 1 where a mutant survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=", ".join(ROOMS))
    parser.add_argument("--sample", type=int, default=40, help="mutants of a room")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600, help="for all rooms")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutants")
    given = parser.parse_args()
    until = time.monotonic() + given.seconds
    killed = tried = 0
    for room in given.rooms or ROOMS:
        caught, survivors, n = tried_room(room, given, until)
        tried += caught + len(survivors)
        killed += caught
        print(f"{room}: {caught} of {caught + len(survivors)} noticed, of {n} possible", flush=True)
        for one in survivors:
            print(one, flush=True)
    share = f"{killed / tried:.0%}" if tried else "nothing tried"
    print(f"noticed: {killed} of {tried} ({share}), seed {given.seed}")
    return int(killed < tried)


def tried_room(room: str, given: argparse.Namespace, until: float) -> tuple[int, list[str], int]:
    """Mutants that were noticed, those that were not as patches, and how many there could be."""
    code, tests = ROOMS[room]
    copy = given.folder / room
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            skipped = shutil.ignore_patterns("node_modules", "__pycache__", "fixtures")
            shutil.copytree(source, copy / name, ignore=skipped if name == "clients" else None)
        else:
            shutil.copy(source, copy / name)
    test = f"{sys.executable} -m pytest {tests} -x -q -p no:cacheprovider -p no:randomly"
    config = copy / "mutants.toml"
    config.write_text(
        f'[cosmic-ray]\nmodule-path = "{code}"\ntimeout = {_seconds(test, copy) * 4 + 20:.0f}\n'
        f'excluded-modules = []\ntest-command = "{test}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n'
    )
    session = copy / "session.sqlite"
    _run("init", "mutants.toml", session, copy=copy)
    n = _sample(session, given.sample, given.seed)
    left = until - time.monotonic()
    if left > 0:
        _run("exec", "mutants.toml", session, copy=copy, seconds=left)
    return (*_results(session), n)


def _environment(copy: Path) -> dict[str, str]:
    inherited = os.environ.get("PYTHONPATH")
    paths = [str(copy / "src"), *([inherited] if inherited else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}


def _seconds(test: str, copy: Path) -> float:
    """How long the tests take where nothing was changed; they have to pass."""
    began = time.monotonic()
    done = subprocess.run(
        test.split(), cwd=copy, env=_environment(copy), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the tests fail before anything was changed:\n{done.stdout[-2000:]}")
    return time.monotonic() - began


def _run(verb: str, *args: object, copy: Path, seconds: float | None = None) -> None:
    command = [sys.executable, "-m", "cosmic_ray.cli", verb, *map(str, args)]
    try:
        subprocess.run(command, cwd=copy, env=_environment(copy), check=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        print("the time is up: what was not tried is not counted", flush=True)


def _sample(session: Path, most: int, seed: int) -> int:
    """Leaves so many mutants in a session, drawn by ``seed``; how many there were."""
    from cosmic_ray.work_db import use_db

    with use_db(session) as database:
        items = [
            item
            for item in database.work_items
            if not any(one.operator_name.startswith(_LEFT_OUT) for one in item.mutations)
        ]
        items.sort(key=lambda item: str(item.mutations))
        kept = random.Random(seed).sample(items, min(most, len(items)))
        database.clear()
        database.add_work_items(kept)
    return len(items)


def _results(session: Path) -> tuple[int, list[str]]:
    from cosmic_ray.work_db import use_db
    from cosmic_ray.work_item import TestOutcome

    caught, survivors = 0, []
    with use_db(session) as database:
        for _, result in database.results:
            if result.test_outcome == TestOutcome.SURVIVED:
                survivors.append(result.diff or "")
            elif result.test_outcome in (TestOutcome.KILLED, TestOutcome.INCOMPETENT):
                caught += 1
    return caught, survivors


if __name__ == "__main__":
    sys.exit(main())
