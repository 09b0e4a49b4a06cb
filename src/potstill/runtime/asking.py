"""What callers pass → tokenized requests: every form of question and context is settled here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from potstill.errors import EmptyInputError, InputError
from potstill.text.blanks import BoolArray, blank_tokens
from potstill.text.slips import mended
from potstill.text.spans import FloatArray
from potstill.text.tokenizer import Encoded, IntArray, Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class PreparedContext:
    """A context that has been tokenized once and can be asked any number of questions."""

    text: str
    encoded: Encoded
    prior: FloatArray | float = 0.0
    """What the logits of spans are raised by, of each token as their start ``[n]`` or of all: how
    much likelier the answer is there than elsewhere, by what else is known."""
    paragraphs: IntArray | None = None
    """Number of each token's paragraph, rising, ``[n]``, where no answer may go beyond one."""
    blank: BoolArray = field(init=False)
    """True for tokens that are white space alone, as byte-level tokenizers make some, ``[n]``."""
    bare: BoolArray = field(init=False)
    """True for tokens of white space and punctuation alone, ``[n]``."""

    def __post_init__(self) -> None:
        """Finds what cannot be an answer, once for all windows of all questions."""
        blank, bare = blank_tokens(self.text, self.encoded)
        object.__setattr__(self, "blank", blank)
        object.__setattr__(self, "bare", bare)

    def __len__(self) -> int:
        """Tokens of the context."""
        return len(self.encoded)


Context: TypeAlias = "str | PreparedContext"
Contexts: TypeAlias = "Context | Sequence[Context]"
Pair: TypeAlias = "tuple[str, Contexts]"
"""A question and what it is asked of."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One question and the contexts it is asked of, tokenized."""

    name: str
    """What to call the question in messages: its number, where there are several."""
    question: Encoded
    contexts: Sequence[PreparedContext]


def prepare(tokenizer: Tokenizer, text: object) -> PreparedContext:
    """Tokenizes a context.

    Raises:
        InputError: it is no string.
        EmptyInputError: it holds no text.
    """
    context = _text(text, "context")
    prepared = PreparedContext(context, tokenizer.encode(context))
    _check_not_empty(context, prepared.encoded, "the context")
    return prepared


def prepare_all(tokenizer: Tokenizer, contexts: Contexts) -> list[PreparedContext]:
    """Tokenizes a context, or several; what is prepared stays as it is.

    Raises:
        InputError: one is not a string.
        EmptyInputError: one holds no text, or there is none.
    """
    return list(requests(tokenizer, [("?", contexts)])[0].contexts)


def requests(
    tokenizer: Tokenizer, pairs: Sequence[Pair], *, first: int = 0, tidy: bool = False
) -> list[Request]:
    """Tokenizes pairs, equal texts once.

    Args:
        tokenizer: of the model that will be asked.
        pairs: questions and what each is asked of.
        first: number of the first pair in the caller's list, for messages.
        tidy: whether to mend questions: one that ends in a letter or digit gets a question mark,
            and a word that is mistyped is read as the word of the context; see
            `potstill.text.slips.mended`.

    Raises:
        InputError: a pair is not one, or a question or context is not a string.
        EmptyInputError: a question or context holds no text.
    """
    for i, pair in enumerate(pairs):
        _check_pair(pair, first + i)
    asked = [_text(question, "question") for question, _ in pairs]
    if tidy:
        asked = [_with_mark(question) for question in asked]
    wanted = [_contexts(contexts) for _, contexts in pairs]
    texts = list(dict.fromkeys(c for own in wanted for c in own if isinstance(c, str)))
    prepared = map(PreparedContext, texts, tokenizer.encode_batch(texts))
    known = dict(zip(texts, prepared, strict=True))
    several = first > 0 or len(pairs) > 1
    found: list[Request] = []
    for i, question in enumerate(tokenizer.encode_batch(asked)):
        name = f"question {first + i}" if several else "the question"
        _check_not_empty(asked[i], question, name)
        contexts = [known[c] if isinstance(c, str) else c for c in wanted[i]]
        if tidy:
            text = mended(asked[i], question, [context.text for context in contexts])
            question = question if text == asked[i] else tokenizer.encode(text)
        for j, context in enumerate(contexts):
            which = f"context {j}" if len(contexts) > 1 else "the context"
            _check_not_empty(context.text, context.encoded, f"{which} of {name}")
        found.append(Request(name, question, contexts))
    return found


def _check_pair(value: object, number: int) -> None:
    # A dict of two keys, or a string of two letters, could be taken apart as well.
    if not isinstance(value, (tuple, list)):
        found = f"is a {type(value).__name__}"
    elif len(cast("Sequence[object]", value)) != 2:
        found = f"has {len(cast('Sequence[object]', value))} parts"
    else:
        return
    raise InputError(f"pair {number} {found}: give (question, context)")


def _with_mark(question: str) -> str:
    return question + "?" if question.rstrip(" \t\r\n")[-1:].isalnum() else question


def _contexts(value: object) -> list[Context]:
    if isinstance(value, (str, PreparedContext)):
        return [value]
    if not isinstance(value, Iterable) or isinstance(value, (Mapping, bytes)):
        raise InputError(f"a context must be a string, not {type(value).__name__}")
    values = list(cast("Iterable[object]", value))
    if not values:
        raise EmptyInputError("there is no context to ask: the list is empty")
    return [v if isinstance(v, PreparedContext) else _text(v, "context") for v in values]


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"a {what} must be a string, not {type(value).__name__}")
    return value


def _check_not_empty(text: str, encoded: Encoded, which: str) -> None:
    if not text.strip():  # though white space may have tokens
        raise EmptyInputError(f"{which} is empty; give some text")
    if len(encoded):
        return
    raise EmptyInputError(f"{which} holds nothing that the model can read: {text!r:.40}")
