"""The call forms of transformers' question-answering pipeline, as questions and contexts."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from types import GeneratorType
from typing import Any, cast

from potstill.errors import EmptyInputError, InputError, MissingKeyError
from potstill.text.tokenizer import Tokenizer


def as_stream(inputs: Any) -> Iterator[Any] | None:
    """The items of a generator, or of a data set as torch and ``datasets`` have them; else none.

    transformers' pipelines answer these by an iterator. A table of pandas is none of them: to walk
    through it gives the names of its columns.
    """
    if isinstance(inputs, GeneratorType):
        return cast("Iterator[Any]", inputs)
    if isinstance(inputs, (str, bytes, Mapping, list, tuple)) or hasattr(inputs, "columns"):
        return None
    if not (hasattr(inputs, "__len__") and hasattr(inputs, "__getitem__")):
        return None
    if hasattr(inputs, "__iter__"):
        return iter(inputs)
    return (inputs[i] for i in range(len(inputs)))


def inputs_of(args: tuple[Any, ...], given: dict[str, Any]) -> Any:
    """Whatever was passed, as a list or a generator of items.

    Args:
        args: the positional arguments.
        given: ``question``, ``context``, ``data`` or ``X``, as far as they were named.

    Raises:
        InputError: the arguments are of no form that transformers takes.
    """
    if args:
        if len(args) == 2 and all(isinstance(arg, str) for arg in args):
            return [{"question": args[0], "context": args[1]}]
        return _items(args[0]) if len(args) == 1 else list(args)
    if "data" in given or "X" in given:
        return _items(given.get("data", given.get("X")))
    if not {"question", "context"} <= given.keys():
        raise InputError("pass question= and context=, or a dictionary with both")
    question, context = given["question"], given["context"]
    if isinstance(question, (list, tuple)):
        questions = cast("list[Any]", question)
        if isinstance(context, (list, tuple)):
            contexts = cast("list[Any]", context)
            if len(questions) != len(contexts):
                raise InputError(
                    f"{len(questions)} questions do not go with {len(contexts)} contexts"
                )
        else:
            contexts = [context] * len(questions)
        return [{"question": q, "context": c} for q, c in zip(questions, contexts, strict=True)]
    return [{"question": question, "context": context}]


def _items(value: Any) -> Any:
    stream = as_stream(value)
    if stream is not None:
        return (item for item in stream)
    if isinstance(value, Mapping):
        row = cast("Mapping[str, Any]", value)
        if isinstance(row.get("question"), (list, tuple)) and "context" in row:
            return inputs_of((), {name: row[name] for name in ("question", "context")})
    if isinstance(value, Mapping) or hasattr(value, "question_text"):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, str):
        return list(cast("Iterable[Any]", value))
    raise InputError(f"{value!r:.60} is not an input; pass a dictionary with question and context")


def pair_of(item: Any) -> tuple[str, str]:
    """The question and the context of one item.

    Raises:
        InputError: the item is of no form that has both.
        MissingKeyError: it has no ``question`` or no ``context``.
        EmptyInputError: either is empty.
    """
    if isinstance(item, Mapping):
        values = cast("Mapping[str, Any]", item)
        for name in ("question", "context"):
            if name not in values:
                raise MissingKeyError(f"the input has no {name!r}; it needs question and context")
        pair = values["question"], values["context"]
    elif hasattr(item, "question_text") and hasattr(item, "context_text"):
        pair = item.question_text, item.context_text
    else:
        raise InputError(
            f"a {type(item).__name__} is not an input; pass a dictionary with question and context"
        )
    for name, text in zip(("question", "context"), pair, strict=True):
        if text is None:
            raise InputError(f"`{name}` cannot be None")
        if not isinstance(text, str):
            raise InputError(f"`{name}` must be a string, not {type(text).__name__}")
        if not text.strip():
            raise EmptyInputError(f"`{name}` cannot be empty")
    return pair


def cut_question(tokenizer: Tokenizer, question: str, longest: int) -> str:
    """The first ``longest`` tokens of a question, as a string; all of it where it has no more."""
    encoded = tokenizer.encode(question)
    return question if len(encoded) <= longest else question[: int(encoded.offsets[longest - 1, 1])]


def shortened(tokenizer: Tokenizer, question: str, longest: int) -> str:
    """`cut_question`, with a warning where something was cut."""
    n = len(tokenizer.encode(question))
    cut = cut_question(tokenizer, question, longest)
    if n > longest:
        warnings.warn(
            f"a question of {n} tokens was cut to max_question_len, {longest}: {question!r:.60}",
            UserWarning,
            stacklevel=4,
        )
    return cut
