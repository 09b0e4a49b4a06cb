"""Published sets by name: the nine tasks of GLUE in their original files, and a few others.

GLUE (Wang et al. 2018, https://arxiv.org/abs/1804.07461): tab-separated, quotation marks are
letters. Names of the labels as on the Hugging Face hub.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from potstill.data.cells import TextLayout
from potstill.errors import DataError

_ENTAILED = {"entailment": "entailment", "not_entailment": "not_entailment"}
_INFERRED = {name: name for name in ("entailment", "neutral", "contradiction")}
_EMOTIONS = (
    "admiration amusement anger annoyance approval caring confusion curiosity desire "
    "disappointment disapproval disgust embarrassment excitement fear gratitude grief joy love "
    "nervousness optimism pride realization relief remorse sadness surprise neutral"
).split()
_TOXIC = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")


def _numbered(*labels: str) -> dict[str, str]:
    return {str(i): label for i, label in enumerate(labels)}


def _pair(one: str, other: str, names: Mapping[str, str], label: str = "label") -> TextLayout:
    return TextLayout(
        text=one, pair=other, label=label, names=names, problem="single-label", quoted=False
    )


GLUE: Mapping[str, TextLayout] = {
    "CoLA": TextLayout(
        text="sentence",
        names=_numbered("unacceptable", "acceptable"),
        problem="single-label",
        columns=("source", "label", "mark", "sentence"),
        quoted=False,
    ),
    "SST-2": TextLayout(
        text="sentence",
        names=_numbered("negative", "positive"),
        problem="single-label",
        quoted=False,
    ),
    "MRPC": _pair(
        "#1 String", "#2 String", _numbered("not_equivalent", "equivalent"), label="Quality"
    ),
    "STS-B": TextLayout(
        text="sentence1", pair="sentence2", label="score", problem="regression", quoted=False
    ),
    # A few rows of the published files have lost their ids; GLUE's own reader leaves them out.
    "QQP": replace(
        _pair(
            "question1",
            "question2",
            _numbered("not_duplicate", "duplicate"),
            label="is_duplicate",
        ),
        ragged=True,
    ),
    "MNLI": _pair(
        "sentence1",
        "sentence2",
        _INFERRED,
        label="gold_label",
    ),
    "QNLI": _pair("question", "sentence", _ENTAILED),
    "RTE": _pair("sentence1", "sentence2", _ENTAILED),
    "WNLI": _pair("sentence1", "sentence2", _numbered("not_entailment", "entailment")),
}
"""Task of GLUE → how its files are laid out."""

FORMATS: Mapping[str, TextLayout] = {
    **GLUE,
    # Demszky et al. 2020, https://arxiv.org/abs/2005.00547; ids in the order of the set's own list.
    "goemotions": TextLayout(
        separator=",",
        names=_numbered(*_EMOTIONS),
        problem="multi-label",
        columns=("text", "label", "id"),
        quoted=False,
    ),
    # The Toxic Comment Classification Challenge's train.csv.
    # Of its test rows, those with -1 throughout were never scored.
    "jigsaw": TextLayout(text="comment_text", label=_TOXIC, problem="multi-label", unsure=("-1",)),
    # Bowman et al. 2015; "-" stands where the annotators did not agree.
    "SNLI": replace(_pair("sentence1", "sentence2", _INFERRED, label="gold_label"), unsure=("-",)),
    # Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis"; JSONL, a review a line.
    "imdb": TextLayout(names=_numbered("neg", "pos"), problem="single-label"),
}
"""Name of a set → how its files are laid out."""


def layout_for(recipe: Mapping[str, Any], given: Mapping[str, Any]) -> TextLayout:
    """The layout of files that a model is scored on: as in its recipe, but for what is given.

    Args:
        recipe: of the model; empty where nothing is known of it.
        given: any of `layout_of`'s arguments.

    Raises:
        DataError: there is no such format.
    """
    keys = ("format", "text", "pair", "label", "separator", "labels")
    known = {key: recipe[key] for key in keys if recipe.get(key)}
    return layout_of(**{"format": "table", **known, **given})


def layout_of(
    format: str,
    *,
    text: str = "text",
    pair: str = "",
    label: str | Sequence[str] = "label",
    separator: str = "",
    labels: Sequence[str] = (),
    problem: str = "",
) -> TextLayout:
    """The layout that a recipe or the command line names.

    Args:
        format: a set of `FORMATS`, in any case, or ``table`` for the columns that follow.
        text: column of the text.
        pair: column of the second text of a pair, where there is one.
        label: column of the label, or several.
        separator: between the labels of a text in one column.
        labels: the labels, in order, where somebody lists them.
        problem: where somebody says it.

    Raises:
        DataError: there is no such format.
    """
    if format == "table":
        columns = label if isinstance(label, str) else tuple(label)
        return TextLayout(
            text=text,
            pair=pair,
            label=columns,
            separator=separator,
            labels=tuple(labels),
            problem=problem,
        )
    for name, layout in FORMATS.items():
        if name.lower() == format.lower():
            return replace(layout, labels=tuple(labels), problem=problem or layout.problem)
    raise DataError(f"there is no format {format!r}: give table, {', '.join(FORMATS)}")
