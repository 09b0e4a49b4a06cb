"""The capacity plan's simulation beside the server it is of: p50 and p99 at three loads.

    python benchmarks/plan.py [--model default] [--context-tokens 160] [--seconds 20] [--slices 4]
    python benchmarks/plan.py --quick

One server is measured as ``potstill plan --measure`` does it, and asked at random moments by
`load_client.py`, a process of its own, at three shares of what the simulation says it can do. Both
are done in slices, in turns: a shared machine is a third slower for minutes at a time, and the
simulation is of the machine as it was meanwhile. It simulates slices as long as those that were
asked. Exits with 1 where a simulated p50 is off by more than 15%, or a p99 by more than 30%. The
load generator shares the machine: its processor time is in the table, and what it takes the server
lacks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from potstill import QAClient
from potstill.errors import PotstillError
from potstill.scale.measure import serving
from potstill.scale.plan import Load, windows_of
from potstill.scale.profile import Profile
from potstill.scale.queueing import WARM_UP, simulate
from potstill.scale.sampling import Sampling, Setup, Texts

HERE = Path(__file__).parent
SHARES = (0.25, 0.45, 0.65)
"""Of what one machine can do at most."""
P50_OFF, P99_OFF = 0.15, 0.30
QUESTION_TOKENS = 12


def most(profile: Profile, windows: list[int]) -> float:
    """Questions a second at which the workers, or the front, would have no rest."""
    rate = 0.01 / sum(profile.least(tokens) for tokens in windows)
    found = simulate(profile.simulated(), windows, rate=rate, n=5000)
    return min(rate / found.utilisation, 1 / profile.front(windows))


def asked(port: int, bodies: Path, rate: float, seconds: float) -> dict[str, Any]:
    """What the load generator reports, in a process of its own."""
    command = [sys.executable, str(HERE / "load_client.py"), f"http://127.0.0.1:{port}/"]
    command += [str(bodies), "--rate", str(rate), "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def simulated(profile: Profile, windows: list[int], rate: float, arguments: Any) -> list[float]:
    """Seconds of the questions of many slices."""
    n = max(10, round(rate * arguments.seconds))
    found: list[float] = []
    for seed in range(max(1, arguments.n // n)):
        found += simulate(
            profile.simulated(), windows, rate=rate, n=n, seed=seed
        ).latencies.tolist()
    return found


def load(
    sampling: Sampling, port: int, bodies: Path, rate: float, arguments: Any
) -> dict[str, Any]:
    """One load in slices: what the server took."""
    latencies: list[float] = []
    statuses: Counter[str] = Counter()
    cpu = seconds = 0.0
    for _ in range(arguments.slices):
        sampling.go(arguments.measure)
        found = asked(port, bodies, rate, arguments.seconds)
        own = found["latencies"]["200"]
        latencies += own[round(WARM_UP * len(own)) :]
        statuses.update(found["statuses"])
        cpu += found["cpu_seconds"]
        seconds += found["seconds"]
    sampling.go(arguments.measure)
    return {
        **{f"p{at}_ms": 1000 * float(np.percentile(latencies, at)) for at in (50, 99)},
        "questions": len(latencies),
        "statuses": dict(statuses),
        "client_cpu_share": cpu / seconds,
    }


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures, asks and simulates.

    Raises:
        PotstillError: the model cannot be served.
    """
    setup = Setup(model=arguments.model, workers=arguments.workers)
    reader = QAClient.from_options(setup.model, threads=setup.threads)
    texts = Texts(reader.tokenizer)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, serving(setup) as port, ExitStack() as stack:

        def sampling() -> Sampling:
            return stack.enter_context(closing(Sampling(port, reader, setup)))

        bodies = Path(folder) / "bodies.jsonl"
        items = [texts.asked(QUESTION_TOKENS, arguments.context_tokens) for _ in range(2000)]
        lines = [json.dumps({"inputs": item}) for item in items]
        bodies.write_text("\n".join(lines) + "\n", encoding="utf-8")
        first = sampling()
        first.go(2 * arguments.measure)
        profile = first.profile()
        wanted = Load(questions_per_day=1, context_tokens=arguments.context_tokens, p99_ms=1)
        windows = windows_of(profile, wanted)
        top = most(profile, windows)
        for share in SHARES:
            own, rate = sampling(), share * top
            row: dict[str, Any] = {"share": share, "rate": rate}
            row["measured"] = measured = load(own, port, bodies, rate, arguments)
            said = own.profile()
            times = simulated(said, windows, rate, arguments)
            row["utilisation"] = simulate(said.simulated(), windows, rate=rate, n=5000).utilisation
            for at in (50, 99):
                row[f"p{at}_simulated_ms"] = 1000 * float(np.percentile(times, at))
                row[f"p{at}_off"] = row[f"p{at}_simulated_ms"] / measured[f"p{at}_ms"] - 1
            rows.append(row)
    about = {"machine": profile.machine, "workers": profile.workers, "model": profile.model}
    return {**about, "windows": windows, "most": top, "loads": rows}


def show(result: dict[str, Any]) -> list[str]:
    """Prints a table for people; returns what is off by more than is allowed."""
    print(f"{'load':>6}{'rate':>9}{'p50 ms':>9}{'said':>9}{'off':>7}{'p99 ms':>9}{'said':>9}"
          f"{'off':>7}{'client':>8}")  # fmt: skip
    wrong: list[str] = []
    for row in result["loads"]:
        measured = row["measured"]
        print(
            f"{row['share']:>6.0%}{row['rate']:>9.1f}"
            f"{measured['p50_ms']:>9.1f}{row['p50_simulated_ms']:>9.1f}{row['p50_off']:>+7.0%}"
            f"{measured['p99_ms']:>9.1f}{row['p99_simulated_ms']:>9.1f}{row['p99_off']:>+7.0%}"
            f"{measured['client_cpu_share']:>8.2f}"
        )
        for name, allowed in (("p50", P50_OFF), ("p99", P99_OFF)):
            if abs(row[f"{name}_off"]) > allowed:
                wrong.append(f"{name} at {row['share']:.0%} is off by {row[f'{name}_off']:+.0%}")
    return wrong


def main() -> int:
    """Compares and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--context-tokens", type=int, default=160)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--seconds", type=float, default=20, help="of each slice of a load")
    parser.add_argument("--slices", type=int, default=4, help="of each load")
    parser.add_argument("--measure", type=float, default=5, help="seconds before each slice")
    parser.add_argument("-n", type=int, default=40_000, help="questions of each simulation")
    parser.add_argument("--quick", action="store_true", help="a few seconds of everything")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seconds, arguments.slices, arguments.measure, arguments.n = 2, 1, 1, 4000
    try:
        result = run(arguments)
    except PotstillError as error:
        print(f"plan: error: {error}", file=sys.stderr)
        return 1
    wrong = show(result)
    for line in wrong:
        print(line)
    print(json.dumps(result))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
