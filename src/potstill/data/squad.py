"""SQuAD v1.1 and v2.0 JSON → examples, with offsets as the file claims them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from potstill.data.answers import read_gold
from potstill.data.files import kind_name, take
from potstill.errors import DataError
from potstill.records import QAExample


def read_squad(
    values: Any, name: str, *, labelled: bool = True, contradicted: list[str] | None = None
) -> Iterator[QAExample]:
    """Walks articles, paragraphs and questions in order.

    By v2.0's rules, which hold where the file's version says so or a question is said to be
    impossible, an empty list of answers says that there is none.

    Args:
        values: the parsed file: an object with ``data``, a list of articles, or one article.
        name: what to call the file in errors.
        labelled: whether every question must have a list of answers, be it an empty one.
        contradicted: takes the ids of the questions that have answers and are said to have none.

    Raises:
        DataError: a key is missing or holds the wrong kind of value; the message names its path.
    """
    if isinstance(values, dict) and "data" not in values and "paragraphs" in values:
        values = [values]
    if not isinstance(values, (dict, list)):
        raise DataError(f"{name} holds {kind_name(values)}, not a SQuAD object with 'data'")
    articles = take(values, "data", list, name) if isinstance(values, dict) else values
    version = str(values.get("version")) if isinstance(values, dict) else ""
    none_is_said = is_v2(version) or _names_impossible(articles)
    number = 0
    for a, article in enumerate(articles):
        paragraphs = take(article, "paragraphs", list, f"{name}: data[{a}]")
        title = as_title(article.get("title"))
        for p, paragraph in enumerate(paragraphs):
            where = f"{name}: data[{a}].paragraphs[{p}]"
            context = take(paragraph, "context", str, where)
            for q, question in enumerate(take(paragraph, "qas", list, where)):
                number += 1
                here = f"{where}.qas[{q}]"
                take(question, "question", str, here)
                if labelled and not isinstance(question.get("answers"), dict):
                    take(question, "answers", list, here)
                row = {**question, "context": context, "title": title}
                yield row_example(
                    row,
                    number,
                    here,
                    labelled=labelled,
                    none=none_is_said,
                    contradicted=contradicted,
                )


def row_example(
    row: Any,
    number: int,
    where: str,
    *,
    labelled: bool = True,
    none: bool = True,
    contradicted: list[str] | None = None,
) -> QAExample:
    """The question of one row.

    Args:
        row: its columns or keys.
        number: its id where it has none.
        where: what to call it in errors.
        labelled: see `read_gold`.
        none: whether an empty list of answers says that there is none.
        contradicted: takes its id where it has answers and is said to have none.

    Raises:
        DataError: a key is missing or holds the wrong kind of value.
    """
    question = take(row, "question", str, where)
    context = take(row, "context", str, where)
    gold = read_gold(row, where, context=context, labelled=labelled)
    name = str(number) if row.get("id") is None else as_id(row["id"])
    if gold.contradicted and contradicted is not None:
        contradicted.append(name)
    impossible = bool(gold.impossible) or (gold.said and not gold.texts and none)
    return QAExample(
        id=name,
        question=question,
        context=context,
        answers=() if impossible else gold.texts,
        starts=() if impossible else gold.starts,
        is_impossible=impossible,
        title=as_title(row.get("title")),
    )


def _names_impossible(articles: list[Any]) -> bool:
    """Whether any question is flagged; what is misshapen is left for the walk to name."""

    def within(values: list[Any], key: str) -> list[Any]:
        lists = [value.get(key) for value in values if isinstance(value, dict)]
        return [one for found in lists if isinstance(found, list) for one in found]

    questions = within(within(articles, "paragraphs"), "qas")
    return any(isinstance(q, dict) and q.get("is_impossible") is True for q in questions)


def is_v2(version: str | None) -> bool:
    """Whether a file's version says that the rules of SQuAD v2.0 apply."""
    return (version or "").lower().removeprefix("v").startswith("2")


def as_id(value: Any) -> str:
    """An id of any JSON type as text: the spelling it gets as a key of a JSON object."""
    return value if isinstance(value, str) else json.dumps(value)


def as_title(value: Any) -> str:
    """The title of an article; empty where it has none that is text."""
    return value if isinstance(value, str) else ""
