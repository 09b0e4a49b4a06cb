"""Writes docs/performance.md and its plots from the records in docs/performance.

    python scripts/write_performance.py [--docs DIR] [--check]

The benchmarks write the records (``--record docs/performance/NAME.json``);
``docs/performance/page.md`` is the page's hand-written part. A line of it that is one of these
marks is replaced by what the record NAME says:

    <!-- speed: NAME -->        every row of benchmarks/speed.py, with ratios and their quartiles
    <!-- plot: NAME -->         F1 against milliseconds, a mark's area as the size of the weights
    <!-- cold_start: NAME -->   from shell to answer
    <!-- memory: NAME -->       resident memory
    <!-- peak: NAME -->         what the machine reaches, and the share that whole models reach
    <!-- train_speed: NAME -->  windows a second of training, beside transformers
    <!-- machine: NAME -->      processor, versions and date of any of them

A section between ``<!-- with: NAME -->`` and ``<!-- end: NAME -->`` is left out as long as there
is no such record. ``--check`` compares text and what the plots show, and needs no matplotlib.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from page import MARK, SECTION, UNKNOWN, command, table

from potstill.errors import DataError
from potstill.reports import plot

DOCS = Path(__file__).parent.parent / "docs"
HEAD = (
    "<!-- Written by `python scripts/write_performance.py` from docs/performance/: edit page.md "
    "and the records there, not this file. -->\n\n"
)
Record = Mapping[str, Any]
File = str | plot.Scatter


def render(records: Mapping[str, Record], page: str) -> dict[str, File]:
    """The page and its plots.

    Args:
        records: name → what a benchmark wrote.
        page: the hand-written part, with marks.

    Returns:
        Path below ``docs`` → text of ``performance.md`` and picture of each SVG.

    Raises:
        DataError: a mark is unknown, or names no record or one of another benchmark; or a record is
            shown nowhere.
    """
    files: dict[str, File] = {}
    shown: set[str] = set()

    def replace(mark: re.Match[str]) -> str:
        kind, name = mark.groups()
        if kind not in _KINDS:
            raise DataError(f"page.md: {mark.group()} is none of {', '.join(_KINDS)}, with, end")
        if name not in records:
            raise DataError(f"page.md: {mark.group()} names no record: there is no {name}.json")
        of, make = _KINDS[kind]
        record = records[name]
        if of and record.get("kind") != of:
            raise DataError(f"page.md: {mark.group()} names a record of {record.get('kind')}")
        if kind != "machine":
            shown.add(name)
        try:
            text, pictures = make(name, record)
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{name}.json is no record of {of}: {error!r}") from None
        files.update(pictures)
        return text

    sections = SECTION.sub(lambda found: found[2] if found[1] in records else "", page)
    body = MARK.sub(replace, sections)
    if hidden := sorted(set(records) - shown):
        raise DataError(f"page.md shows nothing of {', '.join(hidden)}")
    return {"performance.md": HEAD + body, **files}


def _speed(name: str, record: Record) -> tuple[str, dict[str, File]]:
    heads = ["row", "contender", "MB", "ms", "times as fast", "answers a second"]
    heads += ["times the throughput", "F1", "same answers"]
    lines: list[list[str]] = []
    for row in record["rows"]:
        note = "" if row["trained"] else ", made weights"
        for number, (contender, one) in enumerate(row["contenders"].items()):
            lines.append(
                [
                    "" if number else f"{row['name']} ({row['precision']}{note})",
                    contender,
                    _number(one["mb"], ".1f"),
                    _number(one["ms"], ".1f"),
                    _ratio(one.get("ratio_one")),
                    _number(one["per_second"], ".1f"),
                    _ratio(one.get("ratio_many")),
                    _number(one.get("f1"), ".2f"),
                    _number(one.get("same"), ".1%"),
                ]
            )
    text = table(heads, lines)
    missed = [
        f"{row['name']}: {what}"
        for row in record["rows"]
        for what, passed in row["checks"].items()
        if passed is False
    ]
    old = record.get("old_way")
    if old:
        missed += [f"the 2020 way: {what}" for what, passed in old["checks"].items() if not passed]
        text += (
            f"\n\nThe embedded reader against DistilBERT's shape in transformers: {old['one']:.1f} "
            f"times as fast one at a time, {old['many']:.1f} times the throughput; its F1 on these "
            f"questions is {_number(old['f1'], '.2f')} (published of DistilBERT: 86.9)."
        )
    reached = f"Not reached: {'; '.join(missed)}." if missed else "Every bound was reached."
    return f"{text}\n\n{record['questions']} questions, {record['threads']} threads. {reached}", {}


def _plot(name: str, record: Record) -> tuple[str, dict[str, File]]:
    points = [
        plot.Point(
            label=f"{contender}, {row['name']}",
            series=contender,
            x=one["ms"],
            y=one["f1"],
            area=one["mb"],
        )
        for row in record["rows"]
        for contender, one in row["contenders"].items()
        if one.get("f1") is not None
    ]
    if not points:
        raise DataError(f"{name}.json has no F1 to plot: no row of it has trained weights")
    picture = plot.Scatter(
        title="F1 against time",
        x="milliseconds a question, log scale (area: size of the weights)",
        y="F1 on the questions asked",
        points=points,
    )
    file = f"performance/{name}.svg"
    return f"![F1 against milliseconds a question]({file})", {file: picture}


def _cold_start(name: str, record: Record) -> tuple[str, dict[str, File]]:
    found = record["seconds"]
    lines = [
        [system, f"{one['median']:.2f} s", f"{one['q1']:.2f} to {one['q3']:.2f}", str(one["n"])]
        for system, one in found.items()
        if system != "ratio" and isinstance(one, dict) and "n" in one
    ]
    text = table(["from shell to answer", "median", "quartiles", "runs"], lines)
    if "ratio" in found:
        text += f"\n\n{_ratio(found['ratio'])} times faster; the bound is {record['least']:g}."
    return text, {}


def _memory(name: str, record: Record) -> tuple[str, dict[str, File]]:
    lines = [[system, f"{one['mb']:.0f} MB"] for system, one in record["resident"].items()]
    text = table(["after ten questions", "resident"], lines)
    return f"{text}\n\nThe bound is {record['limit_mb']:.0f} MB.", {}


def _peak(name: str, record: Record) -> tuple[str, dict[str, File]]:
    products = ", ".join(f"{kind} {value:,.0f} GFLOP/s" for kind, value in record["gflops"].items())
    heads = ["model", "runtime", "tokens", "ms", "floor, ms", "share of the floor"]
    lines = [
        [
            f"{one['model']} ({one['precision']})",
            one["runtime"],
            str(one["tokens"]),
            f"{one['ms']:.2f}",
            f"{one['floor_ms']:.2f}",
            f"{one['share']:.0%}",
        ]
        for one in record["models"]
    ]
    return (
        f"One matrix product alone, {record['threads']} threads: {products}.\n\n"
        f"{table(heads, lines)}",
        {},
    )


def _train_speed(name: str, record: Record) -> tuple[str, dict[str, File]]:
    heads = ["training", "transformers", "potstill", "times as fast", "asked"]
    verbs = [verb for verb in ("finetune", "distil") if verb in record]
    lines: list[list[str]] = []
    for verb in verbs:
        one = record[verb]
        rates, ratio = one["windows_per_second"], one["ratio"]
        quartiles = f"{ratio['q1']:.2f} to {ratio['q3']:.2f}"
        lines.append(
            [
                verb,
                f"{rates['transformers']:.2f} windows/s",
                f"{rates['potstill']:.2f} windows/s",
                f"{ratio['of_sums']:.2f} (of pairs of steps {quartiles})",
                f"{one['asked']:g}",
            ]
        )
    return f"{table(heads, lines)}\n\n{record['steps']} steps, {record['threads']} threads.", {}


def _machine(name: str, record: Record) -> tuple[str, dict[str, File]]:
    versions = ", ".join(f"{library} {value}" for library, value in record["versions"].items())
    able = ", ".join(record["abilities"]) or "not told"
    note = f" {record['note']}." if record["note"] else ""
    return (
        f"Measured {record['measured']} on {record['cores']} cores of {record['processor']} "
        f"({able}); Python {record['python']}, {versions}.{note}",
        {},
    )


def _number(value: float | None, form: str) -> str:
    return UNKNOWN if value is None else f"{value:{form}}"


def _ratio(ratio: Mapping[str, float] | None) -> str:
    if ratio is None:
        return UNKNOWN
    return f"{ratio['of_medians']:.2f} ({ratio['q1']:.2f} to {ratio['q3']:.2f})"


_Make = Callable[[str, Record], tuple[str, dict[str, File]]]
_KINDS: Mapping[str, tuple[str, _Make]] = {
    "speed": ("speed", _speed),
    "plot": ("speed", _plot),
    "cold_start": ("cold_start", _cold_start),
    "memory": ("memory", _memory),
    "peak": ("peak", _peak),
    "train_speed": ("train_speed", _train_speed),
    "machine": ("", _machine),
}
"""Mark → the benchmark whose record it shows (any, where none is named), and what makes it."""


def rendered(docs: Path) -> dict[str, File]:
    """What `render` makes of the records and the page in ``docs/performance``.

    Raises:
        DataError: as `render`; or there is no page, or a record is no JSON object.
    """
    folder = docs / "performance"
    records: dict[str, Record] = {}
    try:
        page = (folder / "page.md").read_text(encoding="utf-8")
        for file in sorted(folder.glob("*.json")):
            records[file.stem] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} cannot be read: {error}") from None
    for name, record in records.items():
        if not isinstance(record, dict):
            raise DataError(f"{name}.json holds a {type(record).__name__}, not a JSON object")
    return render(records, page)


def stale(docs: Path) -> list[str]:
    """Files below ``docs`` that are not what the records say.

    Raises:
        DataError: as `rendered`.
    """
    found: list[str] = []
    for name, wanted in rendered(docs).items():
        path = docs / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        same = text == wanted if isinstance(wanted, str) else plot.shown(text) == plot.facts(wanted)
        if not same:
            found.append(name)
    return found


def main() -> int:
    """Writes, or checks."""
    return command("write_performance", __doc__ or "", DOCS, rendered, stale)


if __name__ == "__main__":
    sys.exit(main())
