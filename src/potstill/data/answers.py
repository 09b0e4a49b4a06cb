"""What a question's row or entry says of its answers: the one reader of them, whatever the layout.

===========================================  =======================================================
``answers: [{"text", "answer_start"}, …]``   SQuAD's own
``answers: {"text": […], "answer_start"}``   ``datasets``, and what its ``to_csv`` prints
``answers: ["text", …]``, ``answer: "text"``  one's own rows; ``answer_start`` may stand beside
``answers.text``, ``answers.answer_start``   ``Dataset.flatten``
===========================================  =======================================================

Names of columns are read without regard to case and punctuation. One that looks as if it held
answers and is none of these is refused: passed over, its questions would become unanswerable ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from potstill.data.files import kind_name, take
from potstill.data.literal import parse_literal
from potstill.errors import DataError

_TEXTS = frozenset(
    "answer answers answer_text answers_text answer_texts gold_answer gold_answers".split()
)
_STARTS = frozenset(
    "answer_start answer_starts answers_start answers_answer_start answer_answer_start".split()
)
_IMPOSSIBLE = frozenset("is_impossible impossible unanswerable is_unanswerable no_answer".split())
_POSSIBLE = frozenset("answerable is_answerable has_answer has_answers".split())
_BESIDE = re.compile(r"(answers?_)+(end|ends|id|ids|type|types|category|length|count)|plausible_.*")
"""Names of what may stand beside answers and is not needed."""
_LOOKS_LIKE = frozenset(
    "gold golds gold_text ground_truth ground_truths target targets label labels span spans "
    "response output solution".split()
)
_FLAGS: Mapping[str, bool] = {"true": True, "1": True, "yes": True, "false": False, "0": False}
_OPENS = re.compile(r"\s*(?:[\[{(]|array\(|np\.)")


@dataclass(frozen=True, slots=True)
class Gold:
    """What is said of a question's answers."""

    said: bool
    """Whether anything is: an empty list is, a missing column or ``null`` is not."""
    texts: tuple[str, ...] = ()
    starts: tuple[int | None, ...] = ()
    impossible: bool | None = None
    """What the flag says of it, where there is one."""

    @property
    def contradicted(self) -> bool:
        """Whether there are answers to what is said to have none: the flag is believed."""
        return bool(self.impossible and any(text.strip() for text in self.texts))


def read_gold(
    row: Mapping[str, Any], where: str, *, context: str = "", labelled: bool = True
) -> Gold:
    """Reads the answers of a question.

    Args:
        row: its columns or keys.
        where: what to call it in errors.
        context: of the question: what stands in it is text, not a printed list.
        labelled: whether columns that only look like answers are refused.

    Returns:
        The texts with their starts as claimed. Where some answers have text and others are empty,
        the empty ones are left out, as SQuAD v2.0's script does; so is one that annotation tools
        write where a question is said to be impossible.

    Raises:
        DataError: what is there cannot be read, or is said in two columns and differs.
    """
    texts: dict[str, Any] = {}
    starts: dict[str, Any] = {}
    strange: list[str] = []
    impossible: bool | None = None
    for key, value in row.items():
        name = "_".join(re.findall(r"[^\W_]+", key.lower()))
        if name in _TEXTS:
            texts[key] = _printed(value, context, f"{where}: {key!r}")
        elif name in _STARTS:
            starts[key] = _printed(value, "", f"{where}: {key!r}")
        elif name in _IMPOSSIBLE or name in _POSSIBLE:
            flag = _flag(value, f"{where}: {key!r}")
            said = None if flag is None else flag == (name in _IMPOSSIBLE)
            if None not in (said, impossible) and said != impossible:
                raise DataError(f"{where} says both that it has an answer and that it has none")
            impossible = impossible if said is None else said
        elif name in _LOOKS_LIKE or ("answer" in name and not _BESIDE.fullmatch(name)):
            strange.append(key)
    if labelled and not texts and (strange or starts) and not impossible:
        name = (strange or list(starts))[0]
        raise DataError(
            f"{where}: {name!r:.60} looks like answers and is not read: call the text 'answer' "
            "(and its place 'answer_start'), or drop the column"
        )
    claimed = _only(starts, where)
    found = {key: _pairs(value, claimed, f"{where}.{key}") for key, value in texts.items()}
    pairs = _only({key: value for key, value in found.items() if value is not None}, where)
    if pairs is None:  # an answer that is null is none; a list that is null has not been written
        return Gold(any("answers" not in key.lower() for key in found), impossible=impossible)
    said = [pair for pair in pairs if pair[0].strip()]
    if pairs and not said and not impossible:
        raise DataError(
            f"{where}: its answer is an empty text: say is_impossible: true where the context "
            "holds none, else write it"
        )
    pairs = said
    return Gold(True, tuple(text for text, _ in pairs), tuple(at for _, at in pairs), impossible)


def _only(found: Mapping[str, Any], where: str) -> Any:
    """The one value of several columns; those that say nothing do not count."""
    said = {key: value for key, value in found.items() if value is not None}
    if not said:
        return None
    (first, value), *others = said.items()
    for key, other in others:
        if other != value:
            raise DataError(f"{where}: {first!r} and {key!r} say different things: drop one")
    return value


def _printed(value: Any, context: str, where: str) -> Any:
    """A cell as the list or object that was printed into it, where one was."""
    if not isinstance(value, str) or not _OPENS.match(value) or value in context:
        return value
    try:
        return parse_literal(value)
    except ValueError as error:
        raise DataError(
            f"{where} holds {value!r:.40}, neither text of the context nor a whole list "
            f"({error}): write it as JSON"
        ) from None


def _pairs(value: Any, starts: Any, where: str) -> list[tuple[str, int | None]] | None:
    """Texts with their starts; ``None`` where nothing is said."""
    if value is None or _is_nan(value):
        return None
    if isinstance(value, dict):
        if "text" not in value:
            raise DataError(f"{where} has no 'text': add it")
        inner = value.get("answer_start", value.get("start"))
        value, starts = value["text"], starts if inner is None else inner
        if value is None:
            return []
    if isinstance(value, str):
        if not value.strip():
            return []
        value = [value]
    if not isinstance(value, list):
        raise DataError(f"{where} is {kind_name(value)}, not a string or a list: put it in quotes")
    if not all(isinstance(item, str) for item in value):
        return [_object(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if not isinstance(starts, list):
        starts = [starts] * len(value) if starts is None else [starts]
    if len(starts) != len(value):
        raise DataError(f"{where} has {len(value)} answers and {len(starts)} answer_start")
    return [(text, check_start(at, where)) for text, at in zip(value, starts, strict=True)]


def _object(item: Any, where: str) -> tuple[str, int | None]:
    text = take(item, "text", str, where)
    return text, check_start(item.get("answer_start", item.get("start")), where)


def check_start(value: Any, where: str) -> int | None:
    """An ``answer_start`` as an integer, or ``None`` where the file says nothing.

    Raises:
        DataError: the value is not a whole number.
    """
    if value is None or _is_nan(value) or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():  # pandas, where other rows have none
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,18}(?:\.0+)?\s*", value):
        return int(value.strip().partition(".")[0])
    raise DataError(f"{where}: 'answer_start' is {value!r:.60}, not a whole number")


def _flag(value: Any, where: str) -> bool | None:
    if value is None or _is_nan(value) or value == "":
        return None
    said = _FLAGS.get(str(value).strip().lower().removesuffix(".0"))
    if said is None and str(value).strip().lower() != "no":
        raise DataError(f"{where} is {value!r:.60}, not true or false")
    return bool(said)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)
