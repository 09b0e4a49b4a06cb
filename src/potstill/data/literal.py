"""Values that a program has printed into a cell: JSON, Python's literals, numpy's arrays.

``DataFrame.to_csv`` and ``Dataset.to_csv`` write a list or an object as Python prints it, in which
numpy's arrays stand as ``array([47], dtype=int32)`` or ``['a' 'b']``. Nothing is evaluated.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>[bBrRuU]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"))
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    |(?P<word>[A-Za-z_][\w.]*)
    |(?P<mark>[][(){},:=]))""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {
    **dict.fromkeys(("None", "null", "nan", "NaN"), None),
    **dict.fromkeys(("True", "true"), True),
    **dict.fromkeys(("False", "false"), False),
}
_CLOSES = {"[": "]", "(": ")", "{": "}"}
_DEEPEST = 20


def parse_literal(text: str) -> Any:
    """The value that ``text`` shows; tuples, sets and arrays become lists, ``nan`` ``None``.

    Items of a list may be parted by blanks alone, as numpy prints them.

    Raises:
        ValueError: it shows none, or not all of it (numpy leaves the middle of long arrays out).
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        reader = _Reader(text)
        value = reader.value(0)
        reader.end()
        return value


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._at = 0

    def value(self, depth: int) -> Any:
        kind, token = self._next()
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        if kind == "string":
            try:
                said = ast.literal_eval(token)
            except SyntaxError:  # a NUL, or a line break that Python has not in a string
                raise ValueError(f"{token!r:.20} is not a string") from None
            return said.decode("utf-8") if isinstance(said, bytes) else said
        if kind == "number":
            return float(token) if set(token) & set(".eE") else int(token)
        if kind == "word":
            return self._word(token, depth)
        if token == "{":
            return self._braces(depth)
        if token in _CLOSES:
            return self._items(_CLOSES[token], depth)
        raise ValueError(f"{token!r} where a value should be")

    def end(self) -> None:
        if self._at < len(self._text):
            raise ValueError(f"{self._text[self._at :]!r:.20} behind the value")

    def _word(self, name: str, depth: int) -> Any:
        if name in _WORDS:
            return _WORDS[name]
        if name in ("set", "frozenset") and self._takes("("):
            value = [] if self._takes(")") else self.value(depth + 1)
            if value:
                self._expect(")")
            return value
        if name != "array" and not name.startswith(("np.", "numpy.")):
            raise ValueError(f"{name!r:.20} is not a value")
        self._expect("(")
        value = self.value(depth + 1)
        while self._takes(","):  # dtype=object
            self._next()
            self._expect("=")
            self._option()
        self._expect(")")
        return value

    def _option(self) -> None:
        kind, _ = self._next()
        if kind not in ("word", "string", "number"):
            raise ValueError("an option of numpy's that is not known")

    def _items(self, closes: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while not self._takes(closes):
            found.append(self.value(depth + 1))
            self._takes(",")
        return found

    def _braces(self, depth: int) -> dict[Any, Any] | list[Any]:
        """An object, or a set as a list."""
        found: dict[Any, Any] = {}
        items: list[Any] = []
        while not self._takes("}"):
            key = self.value(depth + 1)
            if not found and not self._sees(":"):
                items.append(key)
            elif items or not isinstance(key, str) or key in found:
                raise ValueError(f"the key {key!r:.20}")
            else:
                self._expect(":")
                found[key] = self.value(depth + 1)
            self._takes(",")
        return items or found

    def _next(self) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self._at)
        if match is None or match.lastgroup is None:
            raise ValueError(f"{self._text[self._at :]!r:.20} cannot be read")
        self._at = match.end()
        return match.lastgroup, match[match.lastgroup]

    def _sees(self, mark: str) -> bool:
        match = _TOKEN.match(self._text, self._at)
        return match is not None and match["mark"] == mark

    def _takes(self, mark: str) -> bool:
        if not self._sees(mark):
            return False
        self._next()
        return True

    def _expect(self, mark: str) -> None:
        if not self._takes(mark):
            raise ValueError(f"no {mark!r} where it should be")
