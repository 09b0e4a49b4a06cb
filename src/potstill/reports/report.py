"""Runs → one HTML page that shows which of them to ship, with everything it needs inside.

What a run does not say is said to be missing; nothing is filled in. See docs/report.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from potstill.bundle.machine import today
from potstill.errors import InputError
from potstill.evaluation.kept import Kept
from potstill.records import QAExample
from potstill.reports import pictures
from potstill.reports.html import Child, Html, grid, join, missing, tag
from potstill.reports.mistakes import KINDS, Mistakes, browser, counted, mistakes, shown
from potstill.reports.pictures import TITLES, ReportRow
from potstill.reports.plot import Curves, Scatter, draw, facts
from potstill.reports.runs import RunFolder, Series, in_series
from potstill.reports.text_mistakes import TextLike, mistakes_of
from potstill.tasks.table import named

MOST_BYTES = 5_000_000
"""Size above which fewer mistakes are shown."""
_STATIC = Path(__file__).parent / "static"
_SIZE = (620, 420)
"""Pixels of a plot; narrower than in docs, so that it can be read on a telephone."""
_UNKNOWN = "–"
_SCORES = ("exact", "HasAns_f1", "NoAns_f1", "ece", "aurc")
"""Scores that have a column where any run has them."""
_IN_ONE = ("ece", "aurc", "mlm_loss")
"""Scores that are no percentages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What a report shows beside the runs themselves."""

    title: str = "Runs"
    teacher: str = ""
    """Name of the run that the others are compared with; by default the one their recipes name."""
    examples: Mapping[str, QAExample] = field(default_factory=dict)
    """Questions of the data that the runs were evaluated on, by id."""
    data: str = ""
    """Names of the files of ``examples`` and ``texts``."""
    texts: Mapping[str, Mapping[str, TextLike]] = field(default_factory=dict)
    """Labelled texts, tagged words and choices: hash of the file → examples by id."""
    mistakes: int = 200
    """Most mistakes shown of each row."""
    version: str = ""
    """Of this package."""


def report(runs: Sequence[RunFolder], options: ReportOptions) -> str:
    """The page.

    Args:
        runs: at least one; those that differ in their seed only share a row.
        options: see there.

    Raises:
        InputError: there is no run, or none of the teacher's name.
        MissingExtraError: matplotlib is not installed.
    """
    if not runs:
        raise InputError("there is no run to report on: name a folder")
    series = in_series(runs)
    teacher = _teacher(series, options.teacher)
    most, plots = options.mistakes, _Plots()
    while True:
        page = _page(series, teacher, options, most, plots)
        if len(page.encode()) <= MOST_BYTES or not most:
            return page
        most //= 2


def _teacher(series: Sequence[Series], named: str) -> Series | None:
    """The teacher among the runs: the one named, else the one that recipes name."""
    wanted = [named] if named else [t for one in series for run in one.runs for t in run.teachers]
    for name in wanted:
        for one in series:
            if name in (one.name, *(run.name for run in one.runs)):
                return one
    if named:
        known = ", ".join(one.name for one in series)
        raise InputError(f"there is no run {named!r} to be the teacher: the runs are {known}")
    return None


def _page(
    series: Sequence[Series],
    teacher: Series | None,
    options: ReportOptions,
    most: int,
    plots: _Plots,
) -> str:
    style = (_STATIC / "report.css").read_text(encoding="utf-8")
    script = (_STATIC / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Should escaping ever fail, nothing but this very script may run, and nothing be fetched.
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    parts: list[Child] = [
        tag("h1", options.title),
        tag("p", f"Written by potstill {options.version} on {today()}.", class_="hint"),
    ]
    groups = pictures.rows_of(series)
    for (task, data), rows in groups.items():
        parts.append(_scored(task, data, rows, teacher, options, most, plots))
    unscored = [one.name for one in series if not any(run.evaluations for run in one.runs)]
    if unscored:
        parts += [tag("h2", "Not scored"), missing(
            f"how good {', '.join(unscored)} may be: `potstill eval RUN DATA --keep` finds out"
        )]  # fmt: skip
    parts += [_training(series, plots), _made(series)]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", options.title),
        tag("style", Html(style)),
    )
    body = tag("body", tag("main", *parts), tag("script", Html(script)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


class _Plots:
    """Draws pictures, each once, with names of its own: in one page they would otherwise meet."""

    def __init__(self) -> None:
        self._drawn: dict[str, Html] = {}

    def __call__(self, picture: Scatter | Curves | None, lacking: str) -> Html:
        if picture is None:
            return missing(lacking)
        shown = json.dumps(facts(picture))
        if shown not in self._drawn:
            self._drawn[shown] = self._figure(picture, len(self._drawn))
        return self._drawn[shown]

    @staticmethod
    def _figure(picture: Scatter | Curves, number: int) -> Html:
        svg = draw(picture, themed=True, size=_SIZE)
        svg = svg[svg.index("<svg") :]
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
        svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>p{number}-", svg)
        label = tag("svg", role="img", aria_label=picture.title)[4 : -len("></svg>")]
        return tag("figure", Html(svg.replace("<svg", f"<svg{label}", 1)), tabindex=0)


def _scored(
    task: str,
    data: str,
    rows: Sequence[ReportRow],
    teacher: Series | None,
    options: ReportOptions,
    most: int,
    plots: _Plots,
) -> Html:
    """All that is known of the runs on one data set."""
    metric = rows[0].series.first.metric
    parts: list[Child] = [tag("h2", f"{task} on {data}")]
    totals = pictures.counts(rows)
    if len(totals) > 1:
        told = ", ".join(f"{n:,}" for n in totals)
        parts.append(tag("p", f"Do not compare: these were scored on {told} examples."))
    parts += [_table(rows, metric, totals), *_trade_offs(rows, metric, teacher, plots)]
    if teacher is not None:
        parts += [tag("h3", "Teacher and students"), _gap(rows, metric, teacher)]
    known = named(task)
    if known.believable:
        parts += [
            tag("h3", "Can confidence be believed?"),
            tag(
                "div",
                plots(pictures.reliability(rows), "calibration; keep it by `potstill eval --keep`"),
                plots(
                    pictures.risk_coverage(rows),
                    "risk against coverage; keep it by `potstill eval --keep`",
                ),
                class_="plots",
            ),
        ]
        nulls = [pictures.null_threshold(rows), pictures.answered_or_not(rows)]
        drawn = [plots(picture, "") for picture in nulls if picture]
        if drawn:
            parts += [
                tag("h3", "When to say there is no answer"),
                tag("div", *drawn, class_="plots"),
            ]
    if known.shown:
        parts += [tag("h3", "Mistakes"), _mistakes(rows, options, most)]
    return tag("section", *parts)


def _table(rows: Sequence[ReportRow], metric: str, totals: Sequence[int]) -> Html:
    extra = [key for key in _SCORES if any(row.scores(key) for row in rows)]
    heads = ["run", "seeds", "file", "parameters", "MB", TITLES.get(metric, metric)]
    heads += [TITLES.get(key, key) for key in extra]
    heads += ["ms, median (quartiles)", "ms, 99%", "threads"]
    lines: list[list[Child]] = []
    for row in rows:
        medians = row.milliseconds("median")
        time = _UNKNOWN
        if medians:
            low, high = (statistics.fmean(row.milliseconds(key)) for key in ("q1", "q3"))
            time = f"{statistics.fmean(medians):.1f} ({low:.1f} to {high:.1f})"
        threads = sorted({int(n) for n in row.milliseconds("threads")})
        lines.append(
            [
                row.series.name,
                len(row.evaluations),
                row.precision,
                f"{row.series.first.shape['parameters'] / 1e6:.2f}M",
                _UNKNOWN if row.megabytes is None else f"{row.megabytes:.1f}",
                *(_mean(row.scores(key), 3 if key in _IN_ONE else 2) for key in (metric, *extra)),
                time,
                _mean(row.milliseconds("p99"), 1),
                ", ".join(map(str, threads)) or _UNKNOWN,
            ]
        )
    told = f"{totals[0]:,} examples. " if len(totals) == 1 else ""
    note = f"{told}Several seeds: mean ± sample standard deviation. One example at a time."
    return join(grid(heads, lines), tag("p", note, class_="hint"))


def _trade_offs(
    rows: Sequence[ReportRow], metric: str, teacher: Series | None, plots: _Plots
) -> list[Child]:
    if metric == "mlm_loss":
        return []
    names = [teacher.name] if teacher else []
    found: list[Child] = []
    fronts: list[Child] = []
    for across, title in (
        (pictures.by_time, "milliseconds an example, log scale (bars: quartiles)"),
        (pictures.by_size, "megabytes, log scale"),
    ):
        points = pictures.points(rows, metric, names, across)
        cost = title.partition(",")[0]
        picture = pictures.trade_off(points, metric, title, "range over seeds") if points else None
        lacking = f"{cost}: `potstill eval RUN DATA --keep` measures them"
        found.append(plots(picture, lacking))
        if len(points) > 1:
            best = ", ".join(pictures.best(points))
            fronts.append(tag("p", f"None is both better and cheaper by {cost} than: ",
                              tag("b", best), "."))  # fmt: skip
    return [tag("h3", "Which to ship"), tag("div", *found, class_="plots"), *fronts]


def _gap(rows: Sequence[ReportRow], metric: str, teacher: Series) -> Html:
    """What students lose against their teacher, and what they save."""
    theirs = [row for row in rows if row.series is teacher and row.scores(metric)]
    if not theirs:
        return missing(f"what the teacher {teacher.name} scores on these data")
    first = theirs[0]
    title = TITLES.get(metric, metric)
    heads = ["run", title, "lost", "of the teacher's", "times smaller", "times as fast"]
    lines: list[list[Child]] = []
    for row in rows:
        if not row.scores(metric):
            continue
        of = next((one for one in theirs if one.precision == row.precision), first)
        own, best = (statistics.fmean(one.scores(metric)) for one in (row, of))
        times = [one.milliseconds("median") for one in (of, row)]
        ratio = statistics.fmean(times[0]) / statistics.fmean(times[1]) if all(times) else None
        size = of.megabytes / row.megabytes if of.megabytes and row.megabytes else None
        is_teacher = row.series is teacher
        lines.append(
            [
                f"{row.label} (teacher)" if is_teacher else row.label,
                f"{own:.2f}",
                _UNKNOWN if is_teacher else f"{best - own:.2f}",
                f"{own / best:.1%}" if best else _UNKNOWN,
                _UNKNOWN if size is None else f"{size:.2f}",
                _UNKNOWN if ratio is None else f"{ratio:.2f}",
            ]
        )
    return grid(heads, lines)


def _mistakes(rows: Sequence[ReportRow], options: ReportOptions, most: int) -> Html:
    kept: dict[str, Kept] = {
        row.label: one for row in rows for one in row.evaluations[:1] if one.questions or one.said
    }
    if not kept:
        return missing("single answers; keep them by `potstill eval --keep`")
    if not options.examples and not options.texts:
        return missing("their texts: give the file they were asked from by --data")
    found: dict[str, Mistakes] = {}
    kinds: dict[str, str] = {}
    order = "it was surest of"
    for name, one in kept.items():
        texts = options.texts.get(one.sha256, {})
        if any(said.id in texts for said in one.said):
            of_texts, own = mistakes_of(one.said, texts)
            kinds |= own
            found[name] = Mistakes(of_texts[:most], counted(item.kind for item in of_texts))
            order = order if one.said[0].confidence is not None else "furthest off"
        elif any(question.id in options.examples for question in one.questions):
            of_questions = mistakes(one.questions, options.examples)
            kinds |= KINDS
            counts = counted(item.kind for item in of_questions)
            found[name] = Mistakes(shown(of_questions, most), counts)
    if not found:
        return missing(f"these texts: {options.data} holds none of them")
    return browser(found, kinds, order)


def _training(series: Sequence[Series], plots: _Plots) -> Html:
    keys = ["loss", *dict.fromkeys(one.first.metric for one in series)]
    found = [picture for key in keys if (picture := pictures.training_curve(series, key))]
    without = [one.name for one in series if not any(run.lines for run in one.runs)]
    parts: list[Child] = [tag("h2", "Training")]
    parts.append(tag("div", *(plots(picture, "") for picture in found), class_="plots"))
    if without:
        parts.append(missing(f"how {', '.join(without)} learned: there is no metrics.jsonl"))
    return tag("section", *parts)


def _made(series: Sequence[Series]) -> Html:
    """Data, hardware, sizes, recipes and commands of every run."""
    parts: list[Child] = [tag("h2", "How they were made")]
    for one in series:
        for run in one.runs:
            seed = "" if run.seed is None or len(one.runs) == 1 else f", seed {run.seed}"
            parts += [tag("h3", f"{one.name}{seed}"), *_facts(run)]
    return tag("section", *parts)


def _facts(run: RunFolder) -> list[Child]:
    manifest, shape = run.manifest, run.shape
    sizes = [f"{name} {size / 1e6:.1f} MB" for name, size in run.sizes.items()]
    told: list[tuple[str, str]] = [
        (
            "shape",
            f"{shape['n_layers']} layers of width {shape['hidden_width']}, "
            f"{shape['parameters'] / 1e6:.2f}M parameters "
            f"({shape['parameters_without_embeddings'] / 1e6:.2f}M without embeddings), "
            f"{shape['flops_per_token'] / 1e6:.1f} MFLOPs a token of {shape['seq_len']}",
        ),
        ("files", ", ".join(sizes) or "none of a known precision"),
    ]
    facts = (("data", manifest.data), ("trained on", manifest.hardware),
             ("calibration", manifest.calibration))  # fmt: skip
    told += [(name, _pairs(values)) for name, values in facts if values]
    measured = [one for one in run.evaluations if one.date]
    told += [
        (f"scored {one.date}", f"{one.data}, {one.precision}; {_pairs(one.hardware)}; "
                               f"{_pairs(one.tools)}")
        for one in measured
    ]  # fmt: skip
    lacking = [name for name, values in facts[:2] if not values]
    rows = [[name, tag("td", value, class_="words")] for name, value in told]
    table = tag("table", *(tag("tr", tag("td", name), cell) for name, cell in rows))
    parts: list[Child] = [tag("div", table, class_="scroll")]
    if lacking:
        parts.append(missing(f"{' and '.join(lacking)}: the folder's manifest has none"))
    if manifest.recipe:
        text = "\n".join(f"{key} = {value}" for key, value in manifest.recipe.items())
        parts.append(tag("details", tag("summary", "recipe"), tag("pre", text)))
    if run.commands:
        parts.append(tag("pre", "\n".join(run.commands)))
    else:
        parts.append(missing("the commands: this folder was not made by this command line"))
    return parts


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
        for name, value in values.items()
    )


def _mean(values: Sequence[float], digits: int = 2) -> str:
    if not values:
        return _UNKNOWN
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
