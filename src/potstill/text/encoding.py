"""What `PretrainedTokenizer` returns: rows of ids by name, as lists, numpy arrays or tensors."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tokenizers

from potstill.errors import InputError, MissingExtraError


class BatchEncoding(UserDict[str, Any]):
    """``input_ids``, ``attention_mask`` and what else was asked for, by name or as attributes.

    Unpacks into a model's arguments: ``model(**tokenizer("Hello", return_tensors="pt"))``. Methods
    about words and offsets take the number of a row, 0 where there is one only.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encodings: Sequence[tokenizers.Encoding] | None = None,
    ) -> None:
        super().__init__(data)
        self.encodings = None if encodings is None else list(encodings)

    def __getitem__(self, item: Any) -> Any:
        """A value by name, or the encoding of a row by number."""
        return super().__getitem__(item) if isinstance(item, str) else self._row(item)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("data", "encodings") or name not in self.data:
            raise AttributeError(name)
        return self.data[name]

    def to(self, device: Any) -> BatchEncoding:
        """Moves the tensors to a device; returns itself."""
        for name, value in self.data.items():
            if hasattr(value, "to"):
                self.data[name] = value.to(device)
        return self

    def tokens(self, row: int = 0) -> list[str]:
        """The vocabulary's spelling of each token."""
        return self._row(row).tokens

    def word_ids(self, row: int = 0) -> list[int | None]:
        """The word each token belongs to; ``None`` for special tokens."""
        return self._row(row).word_ids

    def sequence_ids(self, row: int = 0) -> list[int | None]:
        """0 for tokens of the first text, 1 for those of the second, ``None`` for special ones."""
        return self._row(row).sequence_ids

    def char_to_token(self, row_or_char: int, char: int | None = None, text: int = 0) -> int | None:
        """The token that holds a code point of a text; ``None`` where none does.

        Args:
            row_or_char: the row; the code point where there is one row only.
            char: the code point, where the row is given.
            text: 0 for the first text of a pair, 1 for the second.
        """
        row, char = (0, row_or_char) if char is None else (row_or_char, char)
        return self._row(row).char_to_token(char, text)

    def token_to_chars(self, row_or_token: int, token: int | None = None) -> tuple[int, int] | None:
        """The half-open range of code points that a token stands for; ``None`` for special ones."""
        row, token = (0, row_or_token) if token is None else (row_or_token, token)
        return self._row(row).token_to_chars(token)

    def _row(self, number: int) -> tokenizers.Encoding:
        if self.encodings is None:
            raise InputError("these rows did not come from a text: there are no words or offsets")
        return self.encodings[number]


def to_tensors(values: Mapping[str, list[Any]], kind: str | None) -> dict[str, Any]:
    """Lists of rows as ``"np"`` arrays or ``"pt"`` tensors; as they are where ``kind`` is None.

    Raises:
        InputError: rows of different lengths, or an unknown kind.
        MissingExtraError: tensors are asked for and torch is not installed.
    """
    if kind is None:
        return dict(values)
    if kind not in ("pt", "np"):
        raise InputError(f"return_tensors {kind!r} is not supported; supported: 'pt', 'np'")
    arrays = {name: _array(name, rows) for name, rows in values.items()}
    if kind == "np":
        return arrays
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "train", 'return_tensors="pt"') from None
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _array(name: str, rows: list[Any]) -> Any:
    try:
        array = np.array(rows)
    except ValueError:
        raise InputError(
            f"the rows of {name} differ in length: pass padding=True, and truncation=True where "
            "some are longer than the model reads"
        ) from None
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} holds {array.dtype}, which is not a number: omit it")
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int64)
