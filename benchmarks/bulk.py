"""Bulk jobs: rows a second by workers and engine, and memory by rows.

    python benchmarks/bulk.py DEV.json [--model default] [--rows 4000] [--ray] [--quick]

Prints one JSON object. ``speedup`` is two workers against one, one thread each; ``ray_ratio`` is
Ray's rate against the local one, both without their start; ``memory`` is the peak of the process
that leads the job, with a tiny bundle.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from potstill.data.qa import load_qa
from potstill.scale.job import JobListeners, JobOptions, run_job
from potstill.scale.predict import PredictOptions

_MEASURE = """
import resource, sys
from pathlib import Path
from potstill.scale.job import JobOptions, run_job
from potstill.scale.predict import PredictOptions
run_job(sys.argv[1], Path(sys.argv[2]), JobOptions(predict=PredictOptions(model=sys.argv[3])))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="a SQuAD file")
    parser.add_argument("--model", default="default")
    parser.add_argument("--tiny", help="a tiny model folder: measure memory with it")
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a few rows, to see that it runs")
    asked = parser.parse_args()
    n = 128 if asked.quick else asked.rows
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        source = write_rows(root / "in.jsonl", asked.data, n)
        one, two = (rate(source, root / f"out-{w}.jsonl", asked.model, w) for w in (1, 2))
        found: dict[str, object] = {"rows": n, "one": one, "two": two, "speedup": two / one}
        if asked.ray:
            found["ray"] = rate(source, root / "out-ray.jsonl", asked.model, 2, engine="ray")
            found["ray_ratio"] = found["ray"] / two
        if asked.tiny:
            sizes = (500, 1000) if asked.quick else (10_000, 1_000_000)
            found["memory"] = {
                size: peak(write_rows(root / f"{size}.jsonl", asked.data, size), asked.tiny)
                for size in sizes
            }
    print(json.dumps(found, indent=2))


def write_rows(path: Path, data: str, n: int) -> Path:
    """``n`` questions as JSONL, those of the file over and over."""
    examples = load_qa(data, offsets="fix").examples
    with path.open("w", encoding="utf-8") as file:
        for i in range(n):
            example = examples[i % len(examples)]
            row = {"id": i, "question": example.question, "context": example.context}
            file.write(json.dumps(row) + "\n")
    return path


def rate(source: Path, out: Path, model: str, workers: int, engine: str = "local") -> float:
    """Rows a second from the first part that is done to the last, so without the start."""
    ends: list[tuple[float, int]] = []
    options = JobOptions(
        predict=PredictOptions(model=model), workers=workers, engine=engine, part_rows=64
    )
    listeners = JobListeners(done=lambda rows, _: ends.append((time.perf_counter(), rows)))
    run_job(str(source), out, options, listeners)
    return sum(rows for _, rows in ends[1:]) / (ends[-1][0] - ends[0][0])


def peak(source: Path, model: str) -> int:
    """Most megabytes of a process that does a whole job."""
    words = [sys.executable, "-c", _MEASURE, str(source), str(source) + ".out.jsonl", model]
    return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
