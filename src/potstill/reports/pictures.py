"""Runs → the pictures of a report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from potstill.evaluation.kept import Kept
from potstill.reports.plot import Curves, Line, Point, Scatter, pareto_front
from potstill.reports.runs import RunFolder, Series, curve, data_name

TITLES = {
    "f1": "F1",
    "exact": "exact match",
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "spearman": "Spearman",
    "mlm_loss": "masked-LM loss",
}
"""Name of a score → how it is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One precision of the runs of a series, on one data set."""

    series: Series
    precision: str
    evaluations: Sequence[Kept]

    @property
    def label(self) -> str:
        return f"{self.series.name}, {self.precision}"

    def scores(self, key: str) -> list[float]:
        """One score of every run that has it."""
        found = (kept.scores.get(key) for kept in self.evaluations)
        return [
            float(value)
            for value in found
            if isinstance(value, (int, float)) and math.isfinite(value)
        ]

    def milliseconds(self, key: str) -> list[float]:
        """``median``, ``q1``, ``q3`` or ``p99`` of every run that was timed."""
        return [kept.milliseconds[key] for kept in self.evaluations if key in kept.milliseconds]

    @property
    def megabytes(self) -> float | None:
        """Of the first run's file."""
        sizes = [run.sizes[self.precision] for run in self.series.runs
                 if self.precision in run.sizes]  # fmt: skip
        return sizes[0] / 1e6 if sizes else None


def rows_of(series: Sequence[Series]) -> dict[tuple[str, str], list[ReportRow]]:
    """(Task, data set) → a row for each series and precision that was scored on it."""
    found: dict[tuple[str, str], list[ReportRow]] = {}
    for one in series:
        kinds = dict.fromkeys(
            (data_name(kept), kept.precision) for run in one.runs for kept in run.evaluations
        )
        for data, precision in kinds:
            row = ReportRow(
                series=one, precision=precision, evaluations=one.evaluations(data, precision)
            )
            found.setdefault((one.first.task, data), []).append(row)
    return found


def points(
    rows: Sequence[ReportRow],
    metric: str,
    teachers: Iterable[str],
    across: Callable[[ReportRow], tuple[float, tuple[float, float] | None] | None],
) -> list[Point]:
    """A point for each row that has both the metric and what ``across`` gives (x, its spread)."""
    found: list[Point] = []
    for row in rows:
        at, values = across(row), row.scores(metric)
        if at is None or not values:
            continue
        found.append(
            Point(
                label=row.label,
                series=row.series.name,
                x=at[0],
                y=statistics.fmean(values),
                x_spread=at[1],
                y_spread=(min(values), max(values)) if len(values) > 1 else None,
                teacher=row.series.name in teachers,
            )
        )
    return found


def by_time(row: ReportRow) -> tuple[float, tuple[float, float] | None] | None:
    """Median milliseconds of one example, and the quartiles."""
    medians = row.milliseconds("median")
    if not medians:
        return None
    low, high = (statistics.fmean(row.milliseconds(key)) for key in ("q1", "q3"))
    return statistics.fmean(medians), (low, high)


def by_size(row: ReportRow) -> tuple[float, tuple[float, float] | None] | None:
    """Megabytes of the file."""
    return None if row.megabytes is None else (row.megabytes, None)


def trade_off(found: Sequence[Point], metric: str, across: str, seeds: str) -> Scatter:
    """Quality against a cost, with the front."""
    spread = any(point.y_spread for point in found)
    title = TITLES.get(metric, metric)
    return Scatter(
        title=f"{title} against {across.partition(',')[0]}",
        x=across,
        y=f"{title} (bars: {seeds})" if spread else title,
        points=found,
        front=True,
    )


def best(found: Sequence[Point]) -> list[str]:
    """Names of the points that no other beats."""
    return [point.label for point in pareto_front(found)]


def training_curve(series: Sequence[Series], key: str) -> Curves | None:
    """A key of ``metrics.jsonl`` over the steps of every run that has it at two steps or more."""
    lines: list[Line] = []
    for one in series:
        for run in one.runs:
            if not any(key in line for line in run.lines):
                continue
            values = [
                (step, value) for step, value in curve(run.lines, key) if math.isfinite(value)
            ]
            if len(values) > 1:
                lines.append(Line(label=_of_seed(one, run), series=one.name, points=values))
    title = TITLES.get(key, key)
    if not lines:
        return None
    return Curves(title=f"{title} over the steps", x="step", y=title, lines=lines)


def reliability(rows: Sequence[ReportRow]) -> Curves | None:
    """How often answers are right, over how sure the model says it is; of each row's first run."""
    lines = [
        Line(
            label=row.label,
            series=row.label,
            points=[(one["confidence"], one["accuracy"]) for one in kept.curve["reliability"]],
        )
        for row in rows
        for kept in [one for one in row.evaluations if one.curve][:1]
    ]
    if not lines:
        return None
    return Curves(
        title="Calibration", x="confidence", y="share that is right", lines=lines,
        diagonal=True, marks=True,
    )  # fmt: skip


def risk_coverage(rows: Sequence[ReportRow]) -> Curves | None:
    """What is lost where only the surest answers are given; of each row's first run."""
    lines: list[Line] = []
    for row in rows:
        for kept in [one for one in row.evaluations if one.curve][:1]:
            columns = kept.curve["risk_coverage"]
            values = list(zip(columns["coverage"], columns["risk"], strict=True))
            lines.append(Line(label=row.label, series=row.label, points=values))
    if not lines:
        return None
    return Curves(
        title="Risk against coverage", x="share of questions answered, the surest first",
        y="risk: 1 - F1 of those", lines=lines,
    )  # fmt: skip


def null_threshold(rows: Sequence[ReportRow]) -> Curves | None:
    """F1 over the threshold above which "no answer" wins; of each row's first run."""
    lines = _no_answer(rows, "threshold", "f1")
    if not lines:
        return None
    return Curves(title="F1 by null threshold", x="null threshold", y="F1", lines=lines)


def answered_or_not(rows: Sequence[ReportRow]) -> Curves | None:
    """What questions with an answer lose where those without gain, over all thresholds."""
    lines = _no_answer(rows, "NoAns_f1", "HasAns_f1")
    if not lines:
        return None
    return Curves(
        title="With an answer against without", x="F1 of questions without an answer",
        y="F1 of those with one", lines=lines,
    )  # fmt: skip


def _no_answer(rows: Sequence[ReportRow], across: str, up: str) -> list[Line]:
    lines: list[Line] = []
    for row in rows:
        found = [one.curve["no_answer"] for one in row.evaluations if one.curve.get("no_answer")]
        for columns in found[:1]:
            values = list(zip(columns[across], columns[up], strict=True))
            lines.append(Line(label=row.label, series=row.label, points=values))
    return lines


def counts(rows: Sequence[ReportRow]) -> list[int]:
    """On how many examples the rows were scored: more than one number do not compare."""
    return sorted({int(value) for row in rows for value in row.scores("total")})


def _of_seed(series: Series, run: RunFolder) -> str:
    return f"{series.name}, seed {run.seed}" if len(series.runs) > 1 else series.name
