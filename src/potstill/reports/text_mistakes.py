"""Labelled texts, tagged words and choices as a model answered them → its mistakes, shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from potstill.errors import DataError, InputError
from potstill.evaluation.kept import KeptAnswer
from potstill.evaluation.tagging import spans
from potstill.records import ChoiceExample, TagExample, TextExample
from potstill.reports.html import Html, join, tag
from potstill.reports.mistakes import Shown, cut, pieces
from potstill.tasks.table import named

TextLike: TypeAlias = "TextExample | TagExample | ChoiceExample"

_MISSED = "missed: something of the gold was not found"
_INVENTED = "invented: something was found that is not in the gold"
_BOTH = "wrong: both of these"


def load_texts_of(task: str, path: str | Path, layout: Mapping[str, Any]) -> dict[str, Any]:
    """The examples that an evaluation is of, by id.

    Args:
        task: of the model, as manifests call it.
        path: of the data.
        layout: how they lie there, as the evaluation kept it.

    Raises:
        DataError: the file cannot be read that way.
    """
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in layout.items()}
    try:
        found = named(task).said_of(path, values)
    except (TypeError, InputError) as error:
        raise DataError(f"an evaluation of {path} is damaged ({error}): keep it again") from None
    return {one.id: one for one in found}


def mistakes_of(
    said: Sequence[KeptAnswer], examples: Mapping[str, TextLike]
) -> tuple[list[Shown], dict[str, str]]:
    """The mistakes among answers, the surest first; of numbers and words, the worst first.

    Args:
        said: the answers; those that ``examples`` do not hold are left out.
        examples: of the data file, by id.

    Returns:
        What is to be shown, and kind → what it means, of the kinds that occur, the commonest first.
    """
    pairs = [(one, examples[one.id]) for one in said if one.id in examples]
    numbers = [p for p in pairs if isinstance(p[1], TextExample) and _is_number(p[1].label)]
    found = _far_off(numbers) if numbers else [s for one, e in pairs if (s := _shown(one, e))]
    counts = Counter(one.kind for one in found)
    meant = {"missed": _MISSED, "invented": _INVENTED, "wrong": _BOTH}
    kinds = {kind: meant.get(kind, kind) for kind, _ in counts.most_common()}
    return sorted(found, key=lambda one: -one.weight), kinds


def _is_number(label: Any) -> bool:
    return isinstance(label, (int, float))


def _shown(said: KeptAnswer, example: TextLike) -> Shown | None:
    if isinstance(example, TagExample):
        return _tagged(said, example)
    if isinstance(example, ChoiceExample):
        return _chosen(said, example)
    return _labelled(said, example) if isinstance(example, TextExample) else None


def _note(kind: str, said: KeptAnswer) -> str:
    return kind if said.confidence is None else f"{kind}, confidence {said.confidence:.2f}"


def _labelled(said: KeptAnswer, example: TextExample) -> Shown | None:
    label = example.label
    gold = (str(label),) if not isinstance(label, tuple) else label
    if set(gold) == set(said.given):
        return None
    if isinstance(label, tuple):
        kind = _kind(set(gold), set(said.given))
    else:
        kind = f"{gold[0]}, taken for {' '.join(said.given)}"
    return Shown(
        id=example.id,
        kind=kind,
        title=example.text,
        note=_note(kind, said),
        body=_body(example),
        gold=", ".join(gold) or "no label",
        given=", ".join(said.given) or "no label",
        weight=said.confidence or 0.0,
    )


def _kind(gold: set[Any], given: set[Any]) -> str:
    if gold - given:
        return "wrong" if given - gold else "missed"
    return "invented"


def _body(example: TextExample) -> Html:
    parts = (example.text, example.pair)
    return join(*(tag("p", cut(part), class_="context") for part in parts if part is not None))


def _far_off(pairs: Sequence[tuple[KeptAnswer, TextLike]]) -> list[Shown]:
    """Numbers that are off by more than the root of the mean squared error."""
    told: list[tuple[TextExample, float, float]] = []
    for said, example in pairs:
        assert isinstance(example, TextExample) and isinstance(example.label, (int, float))
        told.append((example, float(example.label), float(said.given[0])))
    rmse = (sum((given - gold) ** 2 for _, gold, given in told) / len(told)) ** 0.5
    return [
        Shown(
            id=example.id,
            kind=(kind := "too high" if given > gold else "too low"),
            title=example.text,
            note=f"{kind} by {abs(given - gold):.2f}; more than the {rmse:.2f} of the RMSE",
            body=_body(example),
            gold=f"{gold:g}",
            given=f"{given:.3g}",
            weight=abs(given - gold),
        )
        for example, gold, given in told
        if abs(given - gold) > rmse
    ]


def _tagged(said: KeptAnswer, example: TagExample) -> Shown | None:
    words = example.words
    if example.tags == said.given or len(words) != len(said.given):
        return None
    gold, given = set(spans(example.tags)), set(spans(said.given))
    if not gold | given:  # tags that stand for themselves: each wrong word is a span
        both = zip(example.tags, said.given, strict=True)
        wrong = [i for i, (own, told) in enumerate(both) if own != told]
        gold = {(example.tags[i], i, i + 1) for i in wrong}
        given = {(said.given[i], i, i + 1) for i in wrong}
    if gold == given:
        return None
    kind = _kind(gold, given)
    text = " ".join(words)
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    places = [[(starts[a], starts[b] - 1) for _, a, b in sorted(own)] for own in (gold, given)]
    named = [
        ", ".join(f"{name}: {' '.join(words[a:b])}" for name, a, b in sorted(own, key=_where))
        for own in (gold, given)
    ]
    return Shown(
        id=example.id,
        kind=kind,
        title=text,
        note=_note(kind, said),
        body=tag("p", *pieces(text, 0, len(text), *places), class_="context"),
        gold=named[0] or "none",
        given=named[1] or "none",
        weight=float(len(gold ^ given)),
    )


def _where(span: tuple[str, int, int]) -> tuple[int, int]:
    return span[1], span[2]


def _chosen(said: KeptAnswer, example: ChoiceExample) -> Shown | None:
    made, choices = int(said.given[0]), example.choices
    if made == example.label or example.label is None or not 0 <= made < len(choices):
        return None
    marks = {example.label: "gold", made: "given"}
    lines = [
        tag("li", tag("mark", cut(text), class_=marks[i]) if i in marks else cut(text))
        for i, text in enumerate(choices)
    ]
    kind = "another choice"
    return Shown(
        id=example.id,
        kind=kind,
        title=example.prompt,
        note=_note(kind, said),
        body=join(tag("p", cut(example.prompt), class_="context"), tag("ol", *lines)),
        gold=choices[example.label],
        given=choices[made],
        weight=said.confidence or 0.0,
    )
