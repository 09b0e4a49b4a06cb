"""What `potstill eval --keep` leaves of a model, for `potstill report` to show."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle.atomic import write_text
from potstill.bundle.cache import cache_folder
from potstill.bundle.layout import CONFIG, EVALUATIONS, MANIFEST
from potstill.bundle.manifest import sha256_of
from potstill.data.files import read_json
from potstill.errors import DataError
from potstill.evaluation.confidence import Confidences
from potstill.evaluation.readings import Reading
from potstill.records import QAExample

_POINTS = 200
"""Most points of a kept risk-coverage curve: more would not be seen."""


@dataclass(frozen=True, slots=True)
class KeptQuestion:
    """One question as a model answered it; its texts stay in the data file."""

    id: str
    text: str
    """The answer given, ``""`` for none."""
    start: int
    """Of the answer in the context, in code points; -1 where there is none."""
    confidence: float
    exact: float
    """1 where it matches a gold answer exactly, else 0."""
    f1: float
    """In [0, 1]."""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a model said of a labelled text, of tagged words or of choices."""

    id: str
    given: tuple[str, ...]
    """Its labels; of a regression the number, of words a tag for each, of choices the number of
    the one that was made, from 0."""
    confidence: float | None = None
    """Probability that the model gives to its own answer, where it gives one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One evaluation: a file of a model, on a data set, on a machine."""

    task: str
    data: str
    """Name of the data file."""
    sha256: str = ""
    """Of the data file."""
    limit: int | None = None
    """How many of its examples were scored, where not all."""
    precision: str = "fp32"
    scores: Mapping[str, Any] = field(default_factory=dict)
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    """Of one example at a time: ``median``, ``q1``, ``q3``, ``p99``, ``n``, ``threads``."""
    curve: Mapping[str, Any] = field(default_factory=dict)
    """``risk_coverage`` (columns) and ``reliability`` (rows), as `Confidences.curve` gives them;
    ``no_answer`` (columns), as `no_answer_curve` does, where the model may say so."""
    questions: Sequence[KeptQuestion] = ()
    said: Sequence[KeptAnswer] = ()
    """Of the tasks that label texts, in place of ``questions``."""
    layout: Mapping[str, Any] = field(default_factory=dict)
    """How labelled texts lie in the data file, as `TextLayout` has it."""
    hardware: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    command: str = ""


def timing(seconds: Sequence[float], threads: int) -> dict[str, float]:
    """The figures of `Kept.milliseconds`."""
    times = 1000 * np.asarray(seconds, np.float64)
    names = {"median": 50, "q1": 25, "q3": 75, "p99": 99}
    found = {name: round(float(np.percentile(times, at)), 4) for name, at in names.items()}
    return {**found, "n": len(times), "threads": threads}


def thin_curve(curve: Mapping[str, Any]) -> dict[str, Any]:
    """What `Confidences.curve` gives, with at most 200 points of risk and coverage."""
    columns = curve["risk_coverage"]
    n = len(columns["coverage"])
    at = np.unique(np.linspace(0, n - 1, min(n, _POINTS)).round().astype(int))
    thinned = {name: [column[i] for i in at] for name, column in columns.items()}
    return {**curve, "risk_coverage": thinned}


def asked(
    examples: Sequence[QAExample], readings: Sequence[Reading], sure: Confidences
) -> list[KeptQuestion]:
    """Each question with its answer and what that was worth; all arguments in one order."""
    found: list[KeptQuestion] = []
    worth = zip(sure.confidence.tolist(), sure.exact.tolist(), sure.f1.tolist(), strict=True)
    for example, reading, (confidence, exact, f1) in zip(examples, readings, worth, strict=True):
        said = None if reading.is_null or not reading.spans else reading.spans[0]
        text, start = (said.text, said.start) if said else ("", -1)
        found.append(
            KeptQuestion(example.id, text, start, round(confidence, 5), exact, round(f1, 5))
        )
    return found


def kept_folder(model: str | Path, folder: Path) -> Path:
    """Where a model's evaluations are kept.

    In a folder of the user's own; of a model by name (one that comes with the package, or a hub
    id) in the cache, under the hash of its manifest or config, so that another version of it has
    none.

    Args:
        model: as it was named.
        folder: where its files are.
    """
    if folder.resolve() == Path(model).expanduser().resolve():
        return folder / EVALUATIONS
    facts = folder / MANIFEST if (folder / MANIFEST).is_file() else folder / CONFIG
    name = re.sub(r"[^\w.-]+", "-", str(model))
    return cache_folder() / EVALUATIONS / f"{name}-{sha256_of(facts)[:12]}"


def write_kept(folder: Path, kept: Kept) -> Path:
    """Writes an evaluation into `kept_folder`, over an older one of the same data and file.

    Raises:
        OutputError: the file could not be written.
    """
    name = re.sub(r"[^\w.-]+", "-", kept.data) or "data"
    if kept.limit is not None:
        name += f"-{kept.limit}"
    path = folder / f"{name}-{kept.precision}.json"
    values = {**asdict(kept), "questions": [list(asdict(q).values()) for q in kept.questions]}
    values["said"] = [list(asdict(one).values()) for one in kept.said]
    values["scores"] = {name: _finite(value) for name, value in kept.scores.items()}
    write_text(path, json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def _finite(value: Any) -> Any:
    """A score as JSON can hold it: what is no number (a correlation of equal values) is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_kept(path: Path) -> Kept:
    """Reads an evaluation.

    Raises:
        DataError: the file holds something else.
    """
    values = read_json(path)
    if not isinstance(values, dict) or not {"task", "data", "scores"} <= values.keys():
        raise DataError(f"{path} is not an evaluation: make it again with `potstill eval --keep`")
    known = {f.name for f in fields(Kept)}
    values = {name: value for name, value in values.items() if name in known}
    try:
        questions = [KeptQuestion(*row) for row in values.pop("questions", ())]
        rows = values.pop("said", ())
        said = tuple(KeptAnswer(name, tuple(given), sure) for name, given, sure in rows)
        kept = Kept(**values, questions=questions, said=said)
        _check(kept)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is damaged ({error}): make it again with `potstill eval --keep`"
        ) from None
    return kept


def _check(kept: Kept) -> None:
    """Refuses what could not be drawn.

    Raises:
        ValueError: a value is not what it should be.
    """
    for name in ("scores", "milliseconds", "curve", "layout", "hardware", "tools"):
        if not isinstance(getattr(kept, name), Mapping):
            raise ValueError(f"{name} is not an object")
    for name, value in kept.milliseconds.items():
        if not isinstance(value, (int, float)) or value <= 0:
            raise ValueError(f"milliseconds of {name} are {value!r}")
    if kept.milliseconds and not {"median", "q1", "q3"} <= kept.milliseconds.keys():
        raise ValueError("milliseconds lack their median or quartiles")
    _check_answers(kept)
    if kept.curve:
        columns = kept.curve["risk_coverage"]
        points = zip(columns["coverage"], columns["risk"], strict=True)
        numbers = [v for point in points for v in point]
        numbers += [row[key] for row in kept.curve["reliability"]
                    for key in ("confidence", "accuracy")]  # fmt: skip
        numbers += [v for column in kept.curve.get("no_answer", {}).values() for v in column]
        if not all(isinstance(one, (int, float)) for one in numbers):
            raise ValueError("a curve holds something else than numbers")


def _check_answers(kept: Kept) -> None:
    for question in kept.questions:
        numbers = (question.start, question.confidence, question.exact, question.f1)
        if not isinstance(question.id, str) or not isinstance(question.text, str):
            raise ValueError(f"question {question.id!r} has no text")
        if not all(isinstance(one, (int, float)) for one in numbers):
            raise ValueError(f"question {question.id!r} has no figures")
    for one in kept.said:
        if not all(isinstance(text, str) for text in (one.id, *one.given)):
            raise ValueError(f"what was said of {one.id!r} is not text")
        if not isinstance(one.confidence, (int, float, type(None))):
            raise ValueError(f"confidence {one.confidence!r} of {one.id!r} is not a number")
