"""Resident memory of a process that has answered: potstill against transformers' pipeline.

    python benchmarks/memory.py [--json] [--record FILE]

Each program opens the embedded model (the peer as a Hugging Face folder), answers ten questions of
a text that takes several windows, and says how much of it lies in RAM. The exit status is 1 where
potstill needs more than `LIMIT_MB`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from compare import OURS, PEER
from made import exported
from peers import add_peer, peer_python
from records import add_options, finish, verdict

LIMIT_MB = 90.0
"""Most resident memory with the embedded model, MB (10⁶ bytes)."""
_ASK = """
import json, os, sys
text = "The Denver Broncos defeated the Carolina Panthers. " * 120
{opened}
for _ in range(10):
    assert answer(question="Who won?", context=text)["answer"]
pages = int(open("/proc/self/statm").read().split()[1])
print(pages * os.sysconf("SC_PAGE_SIZE"))
"""
CODE = {
    OURS: _ASK.format(
        opened="from potstill import pipeline\nanswer = pipeline(runtime=sys.argv[1])"
    ),
    PEER: _ASK.format(
        opened="import torch\nfrom transformers import pipeline\n"
        'answer = pipeline("question-answering", model=sys.argv[1], dtype=torch.float32)'
    ),
}


def resident_mb(python: str, code: str, argument: str) -> float:
    """What one program says."""
    done = subprocess.run([python, "-c", code, argument], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{python} failed: {done.stderr.strip()[-2000:]}")
    return int(done.stdout.split()[-1]) / 1e6


def main() -> int:
    """Measures, prints and records."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_peer(parser)
    parser.add_argument("--runtime", default="native")
    parser.add_argument("-n", type=int, default=3, help="processes")
    add_options(parser)
    arguments = parser.parse_args()
    if not Path("/proc/self/statm").exists():
        sys.exit("memory is read from /proc, which this system lacks")
    peer = peer_python(arguments.peer_python)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        racers = {OURS: (sys.executable, arguments.runtime)}
        if peer:
            racers[PEER] = (peer, str(exported("default", Path(folder) / "m")))
        for name, (python, argument) in racers.items():
            each = [resident_mb(python, CODE[name], argument) for _ in range(arguments.n)]
            found[name] = {"mb": statistics.median(each), "each": each}
    checks: dict[str, bool | None] = {f"≤ {LIMIT_MB:.0f} MB": found[OURS]["mb"] <= LIMIT_MB}
    if not arguments.json:
        for name, one in found.items():
            print(f"{name:14}{one['mb']:8.0f} MB")
    shown = {"runtime": arguments.runtime, "limit_mb": LIMIT_MB, "resident": found}
    finish("memory", {**shown, "checks": checks}, arguments)
    return verdict(checks)


if __name__ == "__main__":
    sys.exit(main())
