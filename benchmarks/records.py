"""What a benchmark measured, as JSON that docs/performance.md is made from."""

from __future__ import annotations

import json
import platform
from argparse import ArgumentParser
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import write_json
from potstill.runtime import machine
from potstill.runtime.runtimes import versions


def surroundings() -> dict[str, Any]:
    """When and where something was measured."""
    return {
        "measured": datetime.now(timezone.utc).date().isoformat(),
        "processor": machine.processor(),
        "abilities": list(machine.abilities()),
        "cores": machine.usable_cores(),
        "python": platform.python_version(),
        "versions": versions(),
    }


def add_options(parser: ArgumentParser) -> None:
    """``--json``, ``--record FILE`` and ``--note TEXT``, which every benchmark has."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, nothing else")
    parser.add_argument("--record", type=Path, metavar="FILE", help="docs/performance/NAME.json")
    parser.add_argument("--note", default="", help="what else is to be known of the machine")


def finish(kind: str, found: dict[str, Any], arguments: Any) -> dict[str, Any]:
    """Puts a record together, and prints and writes it as the options say.

    Args:
        kind: of the benchmark, by which the page finds it.
        found: what was measured.
        arguments: with the options of `add_options`.
    """
    record = {"kind": kind, **surroundings(), "note": arguments.note, **found}
    if arguments.json:
        print(json.dumps(record))
    if arguments.record:
        write_json(arguments.record, record)
    return record


def verdict(checks: dict[str, bool | None]) -> int:
    """The exit status: 1 where a check failed; one that could not be made is no failure."""
    return int(any(passed is False for passed in checks.values()))
