"""Kept answers and the data they are of → a browser of mistakes, gold and given spans marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from potstill.evaluation.kept import KeptQuestion
from potstill.records import QAExample
from potstill.reports.html import Html, join, tag

KINDS = {
    "wrong": "wrong: no word in common with the gold answers",
    "partly": "partly right: some words in common",
    "missed": "missed: there is an answer, and none was given",
    "invented": "invented: there is none, and one was given",
}
"""Kind of mistake → what it means."""

_AROUND = 140
"""Code points of context shown on either side of a marked span."""
_LONGEST = 600
"""Most code points shown of a question or an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A mistake of any task, as the browser shows it."""

    id: str
    kind: str
    title: str
    """What is seen of it before it is opened."""
    note: str
    body: Html
    """The text, with what is marked in it."""
    gold: str
    given: str
    weight: float
    """How far up it stands: how sure the model was, or how far off."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A question that was not answered as the data have it."""

    asked: KeptQuestion
    example: QAExample
    kind: str


def kind_of(asked: KeptQuestion, example: QAExample) -> str | None:
    """What kind of mistake an answer is; ``None`` where it is none."""
    if asked.exact >= 1:
        return None
    if not example.answers:
        return "invented"
    if not asked.text:
        return "missed"
    return "partly" if asked.f1 > 0 else "wrong"


def mistakes(questions: Sequence[KeptQuestion], examples: Mapping[str, QAExample]) -> list[Mistake]:
    """The mistakes among kept answers, those the model was surest of first.

    Args:
        questions: the answers; those that ``examples`` do not hold are left out.
        examples: of the data file, by id.
    """
    found = [
        Mistake(one, examples[one.id], kind)
        for one in questions
        if one.id in examples and (kind := kind_of(one, examples[one.id])) is not None
    ]
    return sorted(found, key=lambda mistake: -mistake.asked.confidence)


def shown(found: Sequence[Mistake], most: int) -> list[Shown]:
    """The first so many mistakes of questions, ready to be shown."""
    return [
        Shown(
            id=mistake.asked.id,
            kind=mistake.kind,
            title=mistake.example.question,
            note=f"{mistake.kind}, F1 {100 * mistake.asked.f1:.0f}, "
            f"confidence {mistake.asked.confidence:.2f}",
            body=tag("p", marked(mistake.example, mistake.asked), class_="context"),
            gold=" · ".join(dict.fromkeys(mistake.example.answers)) or "no answer",
            given=mistake.asked.text or "no answer",
            weight=mistake.asked.confidence,
        )
        for mistake in found[:most]
    ]


@dataclass(frozen=True, slots=True)
class Mistakes:
    """The mistakes of one row of the table."""

    shown: Sequence[Shown]
    """The first of them."""
    counts: Mapping[str, int]
    """Kind → how many there are in all."""


def browser(
    found: Mapping[str, Mistakes], kinds: Mapping[str, str], order: str = "it was surest of"
) -> Html:
    """The browser of one data set.

    Args:
        found: name of a row of the table → its mistakes.
        kinds: kind of mistake → what it means.
        order: by what the first ones were chosen.
    """
    items = [_item(name, one) for name, own in found.items() for one in own.shown]
    told = [tag("li", tag("b", name), f": {_told(own, order)}") for name, own in found.items()]
    options = [tag("option", name, value=name) for name in found]
    choices = [tag("option", title, value=kind) for kind, title in kinds.items()]
    form = tag(
        "form",
        tag("label", "run ", tag("select", tag("option", "all", value=""), *options, name="run")),
        tag("label", "kind ", tag("select", tag("option", "all", value=""), *choices, name="kind")),
        tag("label", "with the words ", tag("input", type="search", name="words")),
        tag("output", f"{len(items):,} shown"),
        class_="filter",
    )
    legend = tag(
        "p", "Marked: ", tag("mark", "gold", class_="gold"), ", ",
        tag("mark", "given", class_="given"), ", ", tag("mark", "both", class_="gold given"), ".",
        class_="hint",
    )  # fmt: skip
    listed = tag("div", *items, class_="list", tabindex=0)
    marks = legend if any("<mark" in item for item in items) else None
    return tag("div", tag("ul", *told), form, marks, listed, class_="browser")


def counted(kinds: Iterable[str]) -> dict[str, int]:
    """Kind → how many, the commonest first."""
    return dict(Counter(kinds).most_common())


def _told(own: Mistakes, order: str) -> str:
    n = sum(own.counts.values())
    if not n:
        return "no mistakes"
    less = f"the {len(own.shown):,} {order} are shown" if n > len(own.shown) else "all are shown"
    by_kind = ", ".join(f"{number:,} {kind}" for kind, number in own.counts.items())
    return f"{n:,} mistakes, {less}; {by_kind}"


def _item(name: str, one: Shown) -> Html:
    return tag(
        "details",
        tag("summary", tag("span", cut(one.title), class_="q"), " ", tag("small", one.note)),
        one.body,
        tag(
            "dl",
            tag("dt", "gold"), tag("dd", cut(one.gold)),
            tag("dt", "given"), tag("dd", cut(one.given)),
            tag("dt", "run"), tag("dd", name),
            tag("dt", "id"), tag("dd", cut(one.id)),
        ),
        class_="mistake", data_run=name, data_kind=one.kind,
    )  # fmt: skip


def marked(example: QAExample, asked: KeptQuestion) -> Html:
    """The parts of a context around its gold and given spans, with both marked."""
    context = example.context
    gold = [
        (start, start + len(answer))
        for answer, start in zip(example.answers, example.starts, strict=False)
        if start is not None and context[start : start + len(answer)] == answer
    ]
    end = asked.start + len(asked.text)
    is_there = asked.start >= 0 and context[asked.start : end] == asked.text != ""
    given = [(asked.start, end)] if is_there else []
    parts: list[Html | str] = []
    last = 0
    for low, high in _shown_parts([*gold, *given], len(context)):
        parts.append(" … " if low > last else "")
        parts += pieces(context, low, high, gold, given)
        last = high
    return join(*parts, " …" if last < len(context) else "")


def _shown_parts(spans: Sequence[tuple[int, int]], n: int) -> list[tuple[int, int]]:
    """What is shown of a context of ``n`` code points: around each span, or its beginning."""
    around = sorted((max(0, a - _AROUND), min(n, b + _AROUND)) for a, b in spans)
    found: list[tuple[int, int]] = []
    for low, high in around or [(0, min(n, 2 * _AROUND))]:
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def pieces(
    context: str,
    low: int,
    high: int,
    gold: Sequence[tuple[int, int]],
    given: Sequence[tuple[int, int]],
) -> Iterator[Html | str]:
    """A slice of a context, with what lies in its gold and given spans marked."""
    ends = {low, high, *(at for span in (*gold, *given) for at in span if low < at < high)}
    order = sorted(ends)
    for start, stop in zip(order, order[1:], strict=False):
        names = [
            name
            for name, spans in (("gold", gold), ("given", given))
            if any(a <= start and stop <= b for a, b in spans)
        ]
        piece = context[start:stop]
        yield tag("mark", piece, class_=" ".join(names)) if names else piece


def cut(text: str) -> str:
    """A text, or the beginning of a long one."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
