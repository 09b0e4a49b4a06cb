"""Rows of published multiple-choice sets with lists in them → a prompt, its choices, a label.

As the Hugging Face hub has them, in JSON, JSONL, Parquet or by ``hf:``; known by their columns:

==============================  ==================================================================
HellaSwag                       ``ctx_a, ctx_b, endings, label``: as SWAG, each choice is ``ctx_b``
                                and an ending; with ``ctx`` alone, that is the prompt
RACE                            ``article, question, options, answer``: each choice is the question
                                with an option behind it, or in its blank ``_``, as the scripts of
                                ALBERT and transformers have it
CommonsenseQA, ARC, QASC,       ``question`` or ``question_stem``, ``choices`` with their ``text``
OpenBookQA                      and ``label``, ``answerKey``; and as their authors publish them,
                                with ``stem`` and ``choices`` in ``question``
MMLU                            ``question, choices, answer``, the answer a letter
==============================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from potstill.data.files import kind_name, take
from potstill.errors import DataError

LISTS = frozenset(("endings", "options", "choices"))
"""Columns that hold the choices of a row as a list."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BESIDE = ("article", "context", "passage", "story")
"""Columns of a text that a question is about."""
_Read: TypeAlias = "tuple[str, list[str], Any]"
"""A prompt, its choices, and its label: a number as it stands there, or ``None`` for none."""


def published(values: dict[str, Any], where: str) -> _Read | None:
    """What a row of a published layout says; ``None`` for one of another.

    Raises:
        DataError: a value of the layout is missing, of another kind, or none of the choices.
    """
    if "endings" in values and ("ctx" in values or "ctx_a" in values):
        return _hellaswag(values, where)
    if {"article", "question", "options"} <= values.keys():
        return _race(values, where)
    question = values.get("question", values.get("question_stem"))
    if isinstance(question, dict) and "stem" in question:
        inner = cast("dict[str, Any]", question)
        return _keyed(take(inner, "stem", str, where), inner.get("choices"), values, where)
    if question is None or "choices" not in values or "prompt" in values:
        return None
    for name in _BESIDE:
        if values.get(name):
            raise DataError(
                f"{where} has a {name!r} beside its question: put both into 'prompt', and the "
                "number of the right choice, from 0, into 'label'"
            )
    name = "question" if "question" in values else "question_stem"
    prompt, choices = take(values, name, str, where), values["choices"]
    if "answerKey" in values or _is_named(choices):
        return _keyed(prompt, choices, values, where)
    if isinstance(choices, list) and "answer" in values and "label" not in values:
        texts = strings(cast("list[Any]", choices), where)
        return prompt, texts, _letter(values["answer"], len(texts), where)
    return None


def _hellaswag(values: dict[str, Any], where: str) -> _Read:
    endings = strings(take(values, "endings", list, where), where)
    if "ctx_a" not in values:
        return take(values, "ctx", str, where), endings, values.get("label")
    begun = take(values, "ctx_b", str, where)
    choices = [f"{begun} {ending}".strip() for ending in endings]
    return take(values, "ctx_a", str, where), choices, values.get("label")


def _race(values: dict[str, Any], where: str) -> _Read:
    question = take(values, "question", str, where)
    options = strings(take(values, "options", list, where), where)
    blank = "_" in question
    choices = [question.replace("_", o) if blank else f"{question} {o}" for o in options]
    label = _letter(values.get("answer"), len(options), where)
    return take(values, "article", str, where), choices, label


def _is_named(choices: Any) -> bool:
    """Whether choices have names of their own, column by column or one by one."""
    if isinstance(choices, list):
        return bool(choices) and all(isinstance(one, dict) for one in cast("list[Any]", choices))
    return isinstance(choices, dict)


def _keyed(prompt: str, choices: Any, values: dict[str, Any], where: str) -> _Read:
    if not _is_named(choices):
        raise DataError(
            f"{where}: 'choices' is {kind_name(choices)}, without the texts and labels that "
            "'answerKey' is one of: write {'text': […], 'label': […]}"
        )
    if isinstance(choices, dict):
        table = cast("dict[str, Any]", choices)
        texts, names = take(table, "text", list, where), take(table, "label", list, where)
    else:
        every = cast("list[dict[str, Any]]", choices)
        texts = [take(one, "text", str, where) for one in every]
        names = [take(one, "label", str, where) for one in every]
    texts = strings(texts, where)
    if len(names) != len(texts) or len(set(map(str, names))) != len(names):
        raise DataError(
            f"{where} has {len(texts)} choices with {len(set(map(str, names)))} labels: give each "
            "one of its own"
        )
    key = values.get("answerKey")
    if key is None or key == "":
        return prompt, texts, None
    if key not in names:
        shown = ", ".join(str(name)[:20] for name in names[:8])
        raise DataError(f"{where}: 'answerKey' is {key!r:.40}, none of the labels {shown}")
    return prompt, texts, names.index(key)


def _letter(answer: Any, n: int, where: str) -> int | None:
    if answer is None or answer == "":
        return None
    if not isinstance(answer, str) or len(answer) != 1 or answer not in _LETTERS[:n]:
        raise DataError(
            f"{where}: 'answer' is {answer!r:.40}, not a letter from A to {_LETTERS[n - 1 : n]}: "
            "write one, or the number of the right choice, from 0, as 'label'"
        )
    return _LETTERS.index(answer)


def strings(choices: Sequence[Any], where: str) -> list[str]:
    """The texts of choices.

    Raises:
        DataError: one is no string.
    """
    for choice in choices:
        if not isinstance(choice, str):
            raise DataError(f"{where}: the choice {choice!r:.60} is not a string: quote it")
    return list(choices)
