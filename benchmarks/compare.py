"""What the benchmarks share: medians with their spread, printed as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from typing import Any

PEER = "transformers"
OURS = "potstill"


def summary(times: dict[str, list[float]], *, slow: str = PEER, fast: str = OURS) -> dict[str, Any]:
    """Median, quartiles and number of each system's times, and how many times faster one is.

    The ratio is that of the medians; its quartiles are those of the ratios of pairs, measured one
    right after the other, so that what slows the machine slows both.

    Args:
        times: system → seconds of each run; equally many runs of each.
        slow: the system whose time is divided.
        fast: the system whose time it is divided by.
    """
    result: dict[str, Any] = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    for name, values in times.items():
        result[name] = spread_of(values)
    if slow in times and fast in times:
        pairs = [a / b for a, b in zip(times[slow], times[fast], strict=True)]
        ratio = result[slow]["median"] / result[fast]["median"]
        result["ratio"] = {"of_medians": ratio, **spread_of(pairs)}
    return result


def report(
    result: dict[str, Any],
    unit: str,
    scale: float,
    *,
    names: Sequence[str] = (PEER, OURS),
    ratio: str = "times faster",
) -> None:
    """Prints a table for people and one line of JSON.

    Args:
        result: what `summary` returned, with whatever was added to it.
        unit: of the times shown.
        scale: units in a second.
        names: the systems, in the order of the table.
        ratio: what the ratio is called.
    """
    print(f"{'':14}{'median':>10}{'quartiles':>20}{'n':>6}")
    for name in names:
        if name in result:
            row = result[name]
            spread = f"{row['q1'] * scale:.1f} to {row['q3'] * scale:.1f}"
            print(f"{name:14}{row['median'] * scale:>8.1f} {unit}{spread:>19}{row['n']:>6}")
    if "ratio" in result:
        row = result["ratio"]
        spread = f"{row['q1']:.2f} to {row['q3']:.2f}"
        print(f"{ratio:14}{row['of_medians']:>10.2f}{spread:>20}")
    print(json.dumps(result))


def spread_of(values: Sequence[float]) -> dict[str, float]:
    """Number, median and quartiles of what was measured."""
    found: dict[str, float] = {"n": len(values), "median": statistics.median(values)}
    if len(values) < 2:
        return {**found, "q1": values[0], "q3": values[0]}
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return {**found, "q1": quartiles[0], "q3": quartiles[2]}
