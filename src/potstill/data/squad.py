"""SQuAD v1.1 and v2.0 JSON → examples, with offsets as the file claims them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from potstill.errors import DataError
from potstill.records import QAExample

_KINDS = {str: "a string", list: "a list", dict: "an object", bool: "true or false"}


def read_squad(values: Any, name: str, *, labelled: bool = True) -> Iterator[QAExample]:
    """Walks articles, paragraphs and questions in order.

    Args:
        values: the parsed file.
        name: what to call the file in errors.
        labelled: whether every question must have a list of answers, be it an empty one.

    Raises:
        DataError: a key is missing or holds the wrong kind of value; the message names its path.
    """
    if not isinstance(values, dict):
        raise DataError(f"{name} holds {_kind(values)}, not a SQuAD object with 'data'")
    for a, article in enumerate(take(values, "data", list, name)):
        paragraphs = take(article, "paragraphs", list, f"{name}: data[{a}]")
        title = as_title(article.get("title"))
        for p, paragraph in enumerate(paragraphs):
            where = f"{name}: data[{a}].paragraphs[{p}]"
            context = take(paragraph, "context", str, where)
            for q, question in enumerate(take(paragraph, "qas", list, where)):
                yield _example(question, context, title, f"{where}.qas[{q}]", labelled)


def _example(question: Any, context: str, title: str, where: str, labelled: bool) -> QAExample:
    text = take(question, "question", str, where)
    if "id" not in question:
        raise DataError(f"{where} has no 'id'")
    missing = not labelled and question.get("answers") is None
    answers = [] if missing else take(question, "answers", list, where)
    texts = tuple(take(x, "text", str, f"{where}.answers[{i}]") for i, x in enumerate(answers))
    starts = tuple(
        check_start(x.get("answer_start"), f"{where}.answers[{i}]") for i, x in enumerate(answers)
    )
    impossible = question.get("is_impossible")
    if impossible is not None and not isinstance(impossible, bool):
        raise DataError(f"{where}: 'is_impossible' is {_kind(impossible)}, not true or false")
    return QAExample(
        id=as_id(question["id"]),
        question=text,
        context=context,
        answers=texts,
        starts=starts,
        is_impossible=bool(impossible),
        title=title,
    )


def take(values: Any, key: str, kind: type, where: str) -> Any:
    """``values[key]``, checked to be of ``kind``.

    Raises:
        DataError: ``values`` is no object, or the key is missing or of another kind.
    """
    if not isinstance(values, dict):
        raise DataError(f"{where} is {_kind(values)}, not an object with {key!r}")
    try:
        value = values[key]
    except KeyError:
        raise DataError(f"{where} has no {key!r}") from None
    if not isinstance(value, kind):
        raise DataError(f"{where}: {key!r} is {_kind(value)}, not {_KINDS[kind]}")
    return value


def check_start(value: Any, where: str) -> int | None:
    """An ``answer_start`` as an integer, or ``None`` where the file says nothing.

    Raises:
        DataError: the value is not a whole number.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise DataError(f"{where}: 'answer_start' is {_kind(value)}, not a whole number")


def as_id(value: Any) -> str:
    """An id of any JSON type as text: the spelling it gets as a key of a JSON object."""
    return value if isinstance(value, str) else json.dumps(value)


def as_title(value: Any) -> str:
    """The title of an article; empty where it has none that is text."""
    return value if isinstance(value, str) else ""


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "a number"
    return _KINDS[type(value)]
