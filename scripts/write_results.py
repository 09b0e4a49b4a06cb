"""Writes docs/results.md and its plots from the run records in docs/results.

    python scripts/write_results.py [--docs DIR] [--check]

``docs/results/page.md`` is the page's hand-written part. A line of it that is one of these marks
is replaced by what the records say:

    <!-- table: NAME [KEY…] -->   one row for each model and file of the table NAME; the KEYs are
                                  further scores to show (HasAns_f1 and others)
    <!-- plot: NAME -->           F1 against milliseconds a question
    <!-- curve: NAME KEY -->      KEY of metrics.jsonl over the steps
    <!-- runs: NAME… -->          what made each run of these tables: commit, cost, seeds, commands
    <!-- tasks: all -->           the table of docs/results/tasks, which benchmarks/tasks.py made
    <!-- task-runs: all -->       what made its runs

A section that stands between these two lines is left out as long as the table has no records:

    <!-- with: NAME -->
    <!-- end: NAME -->

Rows follow the file names of the records. Records of one name are one row: they may differ in
their seed only, and the row holds mean ± sample standard deviation.

``--check`` compares the page's text and what the plots show, not how they are drawn, and needs no
matplotlib.
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import task_table
from page import MARK, SECTION, UNKNOWN, command, row
from run_record import Group, RunRecord, group, read_records

from potstill.errors import DataError
from potstill.reports import plot

DOCS = Path(__file__).parent.parent / "docs"
HEAD = (
    "<!-- Written by `python scripts/write_results.py` from docs/results/: edit page.md and the "
    "records there, not this file. -->\n\n"
)
_SHARES = ("ece", "aurc")
"""Beginnings of the keys of scores that lie in [0, 1], not in percent."""

File = str | plot.Scatter | plot.Curves


def render(
    records: Sequence[RunRecord], page: str, tasks: Sequence[task_table.TaskRecord] = ()
) -> dict[str, File]:
    """The page and its plots.

    Args:
        records: in the order of their rows.
        page: the hand-written part, with marks.
        tasks: what `task_table.read` found.

    Returns:
        Path below ``docs`` → text of ``results.md`` and picture of each ``results/NAME.svg``.

    Raises:
        DataError: a mark is unknown or names a table without records, a record stands in a
            table that the page lacks, or records that share a row or a table do not belong
            together.
    """
    files: dict[str, File] = {}
    shown: set[str] = set()
    groups = group(records)
    known = {table for record in records for table in record.tables}
    known |= {"tasks"} if tasks else set()

    def replace(mark: re.Match[str]) -> str:
        kind, words = mark.group(1), mark.group(2).split()
        if kind in task_table.KINDS and tasks:
            return task_table.KINDS[kind](tasks)
        if kind in ("with", "end"):
            raise DataError(f"page.md: {mark.group()} lacks its other half")
        if kind not in _KINDS:
            raise DataError(f"page.md: {mark.group()} is none of {', '.join(_KINDS)}, with, end")
        tables = words if kind == "runs" else words[:1]
        rows = [g for g in groups.values() if not set(tables).isdisjoint(g.first.tables)]
        if not rows:
            raise DataError(f"page.md: {mark.group()} names a table that no record stands in")
        if kind != "runs":
            shown.update(tables)
        text, pictures = _KINDS[kind](rows, words, groups)
        files.update(pictures)
        return text

    sections = SECTION.sub(lambda found: found[2] if found[1] in known else "", page)
    body = MARK.sub(replace, sections)
    for record in records:
        if lacking := set(record.tables) - shown:
            missing = ", ".join(sorted(lacking))
            raise DataError(f"{record.name} stands in {missing}, which page.md does not show")
    return {"results.md": HEAD + body, **files}


def _table(
    rows: list[Group], words: list[str], groups: dict[str, Group]
) -> tuple[str, dict[str, File]]:
    _check_same_questions(rows, words[0])
    extra = words[1:]
    heads = ["model", "seeds", "parameters (without embeddings)", "file", "MB", "EM", "F1"]
    heads += [*extra, "ms a question", "of the teacher's F1", "times as fast", "training"]
    lines = [row(heads), row("---" for _ in heads)]
    for one in rows:
        for number, precision in enumerate(one.precisions or [""]):
            lines.append(row(_cells(one, precision, extra, groups, first=not number)))
    return "\n".join(lines), {}


def _cells(
    one: Group, precision: str, extra: list[str], groups: dict[str, Group], *, first: bool
) -> list[str]:
    run = one.first
    name = f"{run.name} ({run.note})" if run.note else run.name
    scores = [
        _mean(one.scores(precision, key), 3 if key.startswith(_SHARES) else 2)
        for key in ("exact", "f1", *extra)
    ]
    size = [run.bytes[precision] / 1e6] if precision in run.bytes else []
    return [
        name if first else "the same",
        str(len(one.runs)) if first else "",
        _parameters(run) if first else "",
        precision or UNKNOWN,
        _mean(size, 1),
        *scores,
        _milliseconds(one, precision),
        _kept(one, precision, groups),
        _mean(one.ratios(precision)),
        _cost(one) if first else "",
    ]


def _parameters(run: RunRecord) -> str:
    if not run.model:
        return UNKNOWN
    every, own = run.model["parameters"], run.model["parameters_without_embeddings"]
    return f"{every / 1e6:.1f}M ({own / 1e6:.1f}M)"


def _milliseconds(one: Group, precision: str) -> str:
    found = one.speeds(precision, "median")
    if not found:
        return UNKNOWN
    low, high = (statistics.fmean(one.speeds(precision, key)) for key in ("q1", "q3"))
    return f"{statistics.fmean(found):.1f} ({low:.1f} to {high:.1f})"


def _kept(one: Group, precision: str, groups: dict[str, Group]) -> str:
    """Share of the teacher's F1, from its file of the same precision or else its first."""
    name = one.first.teacher
    if not name:
        return UNKNOWN
    if name not in groups:
        raise DataError(f"{one.first.name}: its teacher {name!r} has no record")
    teacher = groups[name]
    precisions = [p for p in (precision, *teacher.precisions) if teacher.scores(p, "f1")]
    own = one.scores(precision, "f1")
    if not precisions or not own:
        return UNKNOWN
    return f"{statistics.fmean(own) / statistics.fmean(teacher.scores(precisions[0], 'f1')):.1%}"


def _cost(one: Group) -> str:
    seconds = [run.training["seconds"] for run in one.runs if "seconds" in run.training]
    if not seconds:
        return UNKNOWN
    mean = statistics.fmean(seconds)
    return f"{mean / 3600:.1f} h" if mean >= 3600 else f"{mean / 60:.0f} min"


def _check_same_questions(rows: list[Group], table: str) -> None:
    asked = {
        (run.scored_on, scores.get("total"))
        for one in rows
        for run in one.runs
        for scores in run.scores.values()
    }
    if len(asked) > 1:
        every = ", ".join(f"{total} of {name}" for name, total in sorted(asked, key=str))
        raise DataError(f"table {table} compares scores on different questions: {every}")


def _plot(
    rows: list[Group], words: list[str], groups: dict[str, Group]
) -> tuple[str, dict[str, File]]:
    points: list[plot.Point] = []
    teachers = {one.first.teacher for one in rows}
    for one in rows:
        for precision in one.precisions:
            f1, ms = one.scores(precision, "f1"), one.speeds(precision, "median")
            if f1 and ms:
                points.append(
                    plot.Point(
                        label=f"{one.first.name}, {precision}",
                        series=one.first.name,
                        teacher=one.first.name in teachers,
                        x=statistics.fmean(ms),
                        y=statistics.fmean(f1),
                        x_spread=(
                            statistics.fmean(one.speeds(precision, "q1")),
                            statistics.fmean(one.speeds(precision, "q3")),
                        ),
                        y_spread=(min(f1), max(f1)) if len(f1) > 1 else None,
                    )
                )
    if not points:
        raise DataError(f"table {words[0]}: no record has both an F1 and a time to plot")
    several = any(point.y_spread for point in points)
    picture = plot.Scatter(
        title="F1 against time",
        x="milliseconds a question, log scale (bars: quartiles)",
        y="F1 (bars: range over seeds)" if several else "F1",
        points=points,
    )
    file = f"results/{words[0]}.svg"
    return f"![F1 against milliseconds a question]({file})", {file: picture}


def _curve(
    rows: list[Group], words: list[str], groups: dict[str, Group]
) -> tuple[str, dict[str, File]]:
    if len(words) != 2:
        raise DataError(f"page.md: a curve is written <!-- curve: {words[0]} KEY -->")
    table, key = words
    curves: list[plot.Line] = []
    lines = [row(["run", "steps", f"last {key}", "training"]), row(["---"] * 4)]
    for one in rows:
        for run in one.runs:
            if key not in run.curves:
                continue
            name = f"{run.name}, seed {run.seed}" if len(one.runs) > 1 else run.name
            points = [(step, value) for step, value in run.curves[key]]
            curves.append(plot.Line(label=name, series=run.name, points=points))
            cost = _cost(Group((run,)))
            lines.append(row([name, f"{points[-1][0]:,}", f"{points[-1][1]:.4f}", cost]))
    if not curves:
        raise DataError(f"table {table}: no record has a curve of {key}")
    file = f"results/{table}-{key}.svg"
    picture = plot.Curves(title=f"{key} over the steps", x="step", y=key, lines=curves)
    return f"![{key} over the steps]({file})\n\n" + "\n".join(lines), {file: picture}


def _runs(
    rows: list[Group], words: list[str], groups: dict[str, Group]
) -> tuple[str, dict[str, File]]:
    return "\n\n".join(_run_text(one) for one in rows), {}


def _run_text(one: Group) -> str:
    facts: list[str] = []
    for run in one.runs:
        parts = [] if run.seed is None else [f"seed {run.seed}"]
        for precision, scores in run.scores.items():
            parts.append(
                f"{precision} F1 {_mean([s for s in [scores.get('f1')] if s is not None])}"
            )
        if "steps" in run.training:
            parts.append(f"{run.training['steps']:,} steps")
        if "seconds" in run.training:
            parts.append(f"{run.training['seconds']:,.0f} s of training")
        parts += [f"{name} {value}" for name, value in run.hardware.items()]
        if run.commit:
            parts.append(f"recorded at {run.commit}")
        facts.append(f"- {'; '.join(parts)}")
    commands = list(dict.fromkeys(command for run in one.runs for command in run.commands))
    text = f"**{one.first.name}**\n\n" + "\n".join(facts)
    return text + (f"\n\n```bash\n{chr(10).join(commands)}\n```" if commands else "")


def _mean(values: Sequence[float], digits: int = 2) -> str:
    """Mean, and ± the sample standard deviation where there are several."""
    if not values:
        return UNKNOWN
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


_Part = Callable[[list[Group], list[str], dict[str, Group]], tuple[str, dict[str, File]]]
_KINDS: dict[str, _Part] = {"table": _table, "plot": _plot, "curve": _curve, "runs": _runs}


def stale(docs: Path) -> list[str]:
    """Files below ``docs`` that are not what the records say.

    Raises:
        DataError: as `render`.
    """
    found: list[str] = []
    for name, wanted in rendered(docs).items():
        path = docs / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        same = text == wanted if isinstance(wanted, str) else plot.shown(text) == plot.facts(wanted)
        if not same:
            found.append(name)
    return found


def rendered(docs: Path) -> dict[str, File]:
    """What `render` makes of the records and the page in ``docs/results``.

    Raises:
        DataError: as `render`, or there is no page.
    """
    folder = docs / "results"
    try:
        page = (folder / "page.md").read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder / 'page.md'} cannot be read: {error.strerror}") from None
    return render(read_records(folder), page, task_table.read(folder / "tasks"))


def main() -> int:
    """Writes, or checks."""
    return command("write_results", __doc__ or "", DOCS, rendered, stale)


if __name__ == "__main__":
    sys.exit(main())
