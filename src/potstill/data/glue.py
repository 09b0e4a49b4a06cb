"""Published sets by name: the nine tasks of GLUE in their original files, and a few others.

GLUE (Wang et al. 2018, https://arxiv.org/abs/1804.07461): tab-separated, quotation marks are
letters. Names of the labels as on the Hugging Face hub.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from potstill.data.classification import TextLayout
from potstill.errors import DataError

_ENTAILED = {"entailment": "entailment", "not_entailment": "not_entailment"}
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
    "QQP": _pair(
        "question1",
        "question2",
        _numbered("not_duplicate", "duplicate"),
        label="is_duplicate",
    ),
    "MNLI": _pair(
        "sentence1",
        "sentence2",
        {name: name for name in ("entailment", "neutral", "contradiction")},
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
    "jigsaw": TextLayout(text="comment_text", label=_TOXIC, problem="multi-label"),
    # Maas et al. 2011, "Learning Word Vectors for Sentiment Analysis"; JSONL, a review a line.
    "imdb": TextLayout(names=_numbered("neg", "pos"), problem="single-label"),
}
"""Name of a set → how its files are laid out."""


def layout_of(
    format: str,
    *,
    text: str = "text",
    pair: str = "",
    label: str | Sequence[str] = "label",
    separator: str = "",
) -> TextLayout:
    """The layout that a recipe or the command line names.

    Args:
        format: a set of `FORMATS`, in any case, or ``table`` for the columns that follow.
        text: column of the text.
        pair: column of the second text of a pair, where there is one.
        label: column of the label, or several.
        separator: between the labels of a text in one column.

    Raises:
        DataError: there is no such format.
    """
    if format == "table":
        columns = label if isinstance(label, str) else tuple(label)
        return TextLayout(text=text, pair=pair, label=columns, separator=separator)
    for name, layout in FORMATS.items():
        if name.lower() == format.lower():
            return layout
    raise DataError(f"there is no format {format!r}: give table, {', '.join(FORMATS)}")
