"""Makes a run record from a run's folder and from what was measured of it.

    python scripts/record_run.py RUN --name "3 layers, distilled" --table controlled \
        --data dev-v1.1.json --eval fp32=eval.json --speed thousand.json --out FILE

RUN is the folder a run wrote, or any model folder. ``eval.json`` is what
``potstill eval RUN DATA --precision fp32 --json`` printed, ``thousand.json`` the last line of
``benchmarks/thousand.py``. FILE goes to docs/results, where the files' names give the order of the
rows. Shape, parameters, recipe, seed, steps, cost and hardware are read from RUN.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from run_record import RunRecord, write_record

from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.layout import METRICS, ONNX_FILES
from potstill.bundle.manifest import Manifest, head_of_folder, read_manifest
from potstill.errors import DataError, PotstillError
from potstill.reports.runs import curve, json_lines, shape_of, sizes_of

ROOT = Path(__file__).parent.parent


def make_record(arguments: argparse.Namespace) -> RunRecord:
    """The record of one run.

    Raises:
        DataError: a measured file is not what it should be.
        ModelError: the folder is no model folder.
    """
    folder = find_model(arguments.run)
    manifest = read_manifest(folder) or Manifest()
    lines = json_lines(folder / METRICS)
    training = {"steps": max((line["step"] for line in lines), default=0)}
    if "training_seconds" in manifest.hardware and not arguments.paused:
        training["seconds"] = manifest.hardware["training_seconds"]
    seed = manifest.recipe.get("seed") if arguments.seed is None else arguments.seed
    speeds = [_speed(Path(file), arguments.speed_as) for file in arguments.speed]
    config = read_config(folder)
    return RunRecord(
        name=arguments.name,
        tables=tuple(arguments.table),
        note=arguments.note,
        seed=seed,
        commit=_commit() if arguments.commit is None else arguments.commit,
        teacher=arguments.teacher,
        model=shape_of(config, manifest.seq_len, head_of_folder(folder, config)),
        scored_on=arguments.data,
        scores=dict(_scores(given) for given in arguments.eval),
        bytes=sizes_of([folder, *(find_model(Path(bundle)) for bundle in arguments.bundle)]),
        speed=dict(speeds),
        training={name: value for name, value in training.items() if value},
        data=dict(manifest.data),
        recipe=dict(manifest.recipe),
        hardware={k: v for k, v in manifest.hardware.items() if k != "training_seconds"},
        curves={key: curve(lines, key) for key in arguments.curve},
        commands=tuple(arguments.command),
    )


def _scores(given: str) -> tuple[str, dict[str, float]]:
    precision, equals, file = given.partition("=")
    if not equals or precision not in ONNX_FILES:
        raise DataError(f"--eval {given!r}: write PRECISION=FILE, one of {', '.join(ONNX_FILES)}")
    values = _json_line(Path(file))
    missing = {"exact", "f1", "total"} - values.keys()
    if missing:
        raise DataError(f"{file} lacks {', '.join(sorted(missing))}: is it from potstill eval?")
    values.pop("seconds", None)  # of this machine on that day; speed is measured by itself
    return precision, values


def _speed(file: Path, who: str) -> tuple[str, dict[str, Any]]:
    values = _json_line(file)
    try:
        row = values[who]
        kept = {name: row[name] for name in ("median", "q1", "q3", "n")}
        kept["threads"] = values["threads"]
        if who == "student":
            kept["ratio"] = {name: values["ratio"][name] for name in ("of_medians", "q1", "q3")}
        return row["precision"], kept
    except (KeyError, TypeError) as error:
        raise DataError(f"{file} lacks {error}: is it from benchmarks/thousand.py?") from None


def _json_line(file: Path) -> dict[str, Any]:
    """The JSON object a file ends with: a benchmark prints its table above it."""
    try:
        *_, last = file.read_text(encoding="utf-8").strip().splitlines()
        values = json.loads(last)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} does not end with a line of JSON: {error}") from None
    if not isinstance(values, dict):
        raise DataError(f"{file} ends with a {type(values).__name__}, not a JSON object")
    return values


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def main() -> int:
    """Writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="folder of the run, or any model folder")
    parser.add_argument("--name", required=True, help="what the tables call it, without the seed")
    parser.add_argument("--table", action="append", required=True, help="table it stands in")
    parser.add_argument("--out", type=Path, required=True, help="record to write")
    parser.add_argument("--data", default="", help="what it was scored on, as the page names it")
    parser.add_argument("--eval", action="append", default=[], metavar="PRECISION=FILE")
    parser.add_argument("--speed", action="append", default=[], metavar="FILE")
    parser.add_argument("--speed-as", choices=["student", "teacher"], default="student")
    parser.add_argument("--bundle", action="append", default=[], help="exported folder, for sizes")
    parser.add_argument("--teacher", default="", help="name of the record to compare with")
    parser.add_argument("--note", default="", help="a few words more than the name")
    parser.add_argument("--curve", action="append", default=[], help="key of metrics.jsonl to keep")
    parser.add_argument("--command", action="append", default=[], help="a command line behind it")
    parser.add_argument("--seed", type=int, help="default: the recipe's")
    parser.add_argument("--commit", help="default: the one checked out")
    parser.add_argument(
        "--paused", action="store_true", help="the run stood still on the way: leave its time out"
    )
    arguments = parser.parse_args()
    try:
        write_record(arguments.out, make_record(arguments))
    except PotstillError as error:
        print(f"record_run: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
