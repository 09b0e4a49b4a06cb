"""Bulk jobs: rows a second by workers and engine, jobs that are killed, and memory by rows.

    python benchmarks/bulk.py DEV.json [--model default] [--rows 1536] [--rounds 3] [--ray]
    python benchmarks/bulk.py DEV.json --no-rates --kills 5 [--engine ray] [--model TINY]
    python benchmarks/bulk.py DEV.json --no-rates --tiny TINY --sizes 10000 1000000

Prints one JSON object. ``speedup`` is two workers against one, one thread each; ``ray_ratio`` is
Ray's rate against the local one, both without their start: in rounds, in turns, all with one
runtime. ``kills``: a job is killed at random moments (SIGKILL) and begun again each time; what is
told is how many finished parts were read again (the one under way is always lost), and whether the
output is, byte for byte, that of a job nobody killed. ``memory`` is the peak of the process that
leads a job of so many rows, with a tiny bundle and short rows.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from subprocess import DEVNULL
from typing import Any

from compare import spread_of

from potstill.data.qa import load_qa
from potstill.records import QAExample
from potstill.scale.job import JobListeners, JobOptions, run_job
from potstill.scale.predict import PredictOptions

PART_ROWS = 64
"""Of jobs that are killed."""
RATE_PART_ROWS = 512
"""Of jobs that are timed: at the end of a part a worker may wait for another's last batch."""
SHORT = [QAExample(id="0", question="Who won?", context="Denver won the game by the river.")]
_MEASURE = """
import resource, sys
from pathlib import Path
from potstill.scale.job import JobOptions, run_job
from potstill.scale.predict import PredictOptions
run_job(sys.argv[1], Path(sys.argv[2]), JobOptions(predict=PredictOptions(model=sys.argv[3])))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", help="a SQuAD file")
    parser.add_argument("--model", default="default")
    parser.add_argument("--rows", type=int, default=1536)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runtime", default="onnxruntime", help="one for all of them")
    parser.add_argument("--rates", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--ray", action="store_true", help="measure Ray's rate, too")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kill a job N times")
    parser.add_argument("--engine", default="local", help="of the job that is killed")
    parser.add_argument("--tiny", help="a tiny model folder: measure memory with it")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--quick", action="store_true", help="a few rows, to see that it runs")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(rate(json.loads(asked.one)))
        return 0
    if not asked.data:
        parser.error("name a SQuAD file")
    if asked.quick:
        asked.rows, asked.rounds, asked.sizes = 192, 1, [500, 1000]
    found: dict[str, Any] = {"rows": asked.rows}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        source = write_rows(root / "in.jsonl", load_qa(asked.data, offsets="fix").examples,
                            asked.rows)  # fmt: skip
        if asked.rates:
            found |= rates(source, asked)
        if asked.kills:
            found["kills"] = killed(source, asked.model, asked.kills, asked.engine, asked.runtime)
        if asked.tiny:
            found["memory"] = {
                size: peak(write_rows(root / f"{size}.jsonl", SHORT, size), asked.tiny)
                for size in asked.sizes
            }
    print(json.dumps(found, indent=2))
    return 0


def rates(source: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """Rows a second of each kind of job, in turns, and the ratios of each round."""
    kinds = {"one": (1, "local"), "two": (2, "local")} | ({"ray": (2, "ray")} if asked.ray else {})
    seen: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(asked.rounds):
        for name in kinds if number % 2 else reversed(kinds):
            workers, engine = kinds[name]
            values = {
                "source": str(source),
                "out": str(source.with_name(f"out-{name}-{number}.jsonl")),
                "model": asked.model,
                "runtime": asked.runtime,
                "workers": workers,
                "engine": engine,
                "part_rows": RATE_PART_ROWS if asked.rows > RATE_PART_ROWS else PART_ROWS,
            }
            # In a process of its own: Ray is not begun twice in one.
            command = [sys.executable, __file__, "--one", json.dumps(values)]
            told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            seen[name].append(float(told.stdout.splitlines()[-1]))
    found: dict[str, Any] = {name: spread_of(values) for name, values in seen.items()}
    for name, over, under in (("speedup", "two", "one"), ("ray_ratio", "ray", "two")):
        if over in seen:
            pairs = zip(seen[over], seen[under], strict=True)
            found[name] = spread_of([a / b for a, b in pairs])
    return found


def write_rows(path: Path, examples: Sequence[QAExample], n: int) -> Path:
    """``n`` questions as JSONL, those given over and over."""
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            example = examples[i % len(examples)]
            row = {"id": i, "question": example.question, "context": example.context}
            file.write(json.dumps(row) + "\n")
    return path


def rate(values: dict[str, Any]) -> float:
    """Rows a second from the first part that is done to the last, so without the start."""
    ends: list[tuple[float, int]] = []
    options = JobOptions(
        predict=PredictOptions(model=values["model"], runtime=values["runtime"]),
        workers=values["workers"],
        engine=values["engine"],
        part_rows=values["part_rows"],
    )
    listeners = JobListeners(done=lambda rows, _: ends.append((time.perf_counter(), rows)))
    run_job(values["source"], Path(values["out"]), options, listeners)
    return sum(rows for _, rows in ends[1:]) / (ends[-1][0] - ends[0][0])


def killed(source: Path, model: str, n: int, engine: str, runtime: str) -> dict[str, Any]:
    """What becomes of a job that is killed ``n`` times at random moments."""
    out, whole = source.with_name("killed.jsonl"), source.with_name("whole.jsonl")
    command = [sys.executable, "-m", "potstill", "bulk", "--model", model, "--runtime", runtime]
    command += ["--workers", "2", "--part-rows", str(PART_ROWS), "--json", str(source)]
    subprocess.run([*command, str(whole)], check=True, capture_output=True)
    command += [str(out), "--engine", engine]
    folder, random = out.with_name(out.name + ".job"), Random(0)
    written_again = 0
    for _ in range(n):
        before = parts_of(folder)
        with subprocess.Popen(command, stdout=DEVNULL, stderr=DEVNULL) as process:
            seen: list[float] = []  # when the first two parts of this life were there
            for n_parts in (len(before) + 1, len(before) + 2):
                while len(parts_of(folder)) < n_parts and process.poll() is None:
                    time.sleep(0.005)
                seen.append(time.perf_counter())
            time.sleep(random.uniform(0, seen[1] - seen[0]))  # into the part that follows
            if process.poll() is not None:
                sys.exit("bulk: error: the job ended before it was killed: give more --rows")
            os.kill(process.pid, signal.SIGKILL)
        after = parts_of(folder)
        written_again += sum(after.get(name) != stamp for name, stamp in before.items())
    kept = len(parts_of(folder))
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    ids = [json.loads(line)["id"] for line in out.read_text(encoding="utf-8").splitlines()]
    return {
        "engine": engine,
        "killed": n,
        "finished_parts_written_again": written_again,
        "finished_parts_read_again": kept - json.loads(ended.stdout)["resumed"] // PART_ROWS,
        "rows": len(ids),
        "doubled": len(ids) - len(set(ids)),
        "same_bytes_as_unkilled": out.read_bytes() == whole.read_bytes(),
    }


def parts_of(folder: Path) -> dict[str, int]:
    """A job's finished parts, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.jsonl")}


def peak(source: Path, model: str) -> int:
    """Most megabytes of a process that does a whole job."""
    words = [sys.executable, "-c", _MEASURE, str(source), str(source) + ".out.jsonl", model]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
