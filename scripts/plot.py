"""Small plots as SVG text: the same bytes from the same figures, on any machine.

A plotting library's files change with its version, its fonts and the day; these are compared by a
test and read in diffs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 20, 40, 60
_LINE = 16
"""Pixels between two lines of text."""
_LETTER = 6.6
"""Pixels of a letter, roughly: fonts differ."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which colour-blind people tell apart; used again from the first after these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A named point; each spread is (low, high), drawn as a bar."""

    label: str
    x: float
    y: float
    x_spread: tuple[float, float] | None = None
    y_spread: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named curve."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values → pixels, and where the ticks are."""

    low: float
    high: float
    step: float
    start: float
    stop: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, stop: float) -> _Axis:
        known = list(values)
        low, high = min(known), max(known)
        room = 0.08 * (high - low) or abs(high) * 0.1 or 1.0
        step = _nice((high - low + 2 * room) / 6)
        # Nothing negative is measured here, so no axis begins below 0.
        return cls(
            max(math.floor((low - room) / step) * step, 0.0 if low >= 0 else -math.inf),
            math.ceil((high + room) / step) * step,
            step,
            start,
            stop,
        )

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        return [
            self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)
        ]

    def shown(self, value: float) -> str:
        digits = max(0, -math.floor(math.log10(self.step)))
        return f"{round(value, digits) + 0.0:,.{digits}f}"


def scatter(points: Sequence[Point], *, title: str, x: str, y: str) -> str:
    """Named points with their spreads.

    Args:
        points: at least one.
        title: of the picture.
        x: what the x axis shows, with its unit.
        y: what the y axis shows.
    """
    across, up = _axes(
        [v for p in points for v in (p.x, *(p.x_spread or ()))],
        [v for p in points for v in (p.y, *(p.y_spread or ()))],
    )
    body: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for number, point in enumerate(points):
        colour = _COLOURS[number % len(_COLOURS)]
        left, top = across.at(point.x), up.at(point.y)
        if point.x_spread:
            low, high = (across.at(v) for v in point.x_spread)
            body.append(_stroke([(low, top), (high, top)], colour, 1.5))
        if point.y_spread:
            low, high = (up.at(v) for v in point.y_spread)
            body.append(_stroke([(left, low), (left, high)], colour, 1.5))
        body.append(f'<circle cx="{left:.1f}" cy="{top:.1f}" r="5" fill="{colour}"/>')
        body.append(_label(point.label, left, top, colour, taken))
    return _picture(body, across, up, title, x, y)


def lines(curves: Sequence[Line], *, title: str, x: str, y: str) -> str:
    """Curves with their names at the top right; arguments as for `scatter`."""
    across, up = _axes(
        [v for curve in curves for v, _ in curve.points],
        [v for curve in curves for _, v in curve.points],
    )
    body: list[str] = []
    for number, curve in enumerate(curves):
        colour = _COLOURS[number % len(_COLOURS)]
        body.append(_stroke([(across.at(a), up.at(b)) for a, b in curve.points], colour, 2))
        top, left = _TOP + 14 + number * _LINE, _WIDTH - _RIGHT - 10
        body.append(_text(left, top, curve.label, "end", f'fill="{colour}"'))
    return _picture(body, across, up, title, x, y)


def _axes(xs: list[float], ys: list[float]) -> tuple[_Axis, _Axis]:
    return (
        _Axis.over(xs, _LEFT, _WIDTH - _RIGHT),
        _Axis.over(ys, _HEIGHT - _BOTTOM, _TOP),
    )


def _nice(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, … and their parts."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= step * (1 - 1e-9))


def _label(
    text: str, left: float, top: float, colour: str, taken: list[tuple[float, float, float]]
) -> str:
    """A point's name above its bar, higher where another name stands already."""
    width = len(text) * _LETTER
    begin = left + 8 if left + 8 + width < _WIDTH - _RIGHT else left - 8 - width
    place = top - 7
    while any(
        abs(place - other) < _LINE and begin < stop and start < begin + width
        for start, stop, other in taken
    ):
        place -= 1
    taken.append((begin, begin + width, place))
    return _text(begin, place, text, "start", f'fill="{colour}"')


def _text(left: float, top: float, text: str, anchor: str, more: str = "") -> str:
    return (
        f'<text x="{left:.1f}" y="{top:.1f}" text-anchor="{anchor}"{" " if more else ""}{more}>'
        f"{escape(text)}</text>"
    )


def _stroke(points: Iterable[tuple[float, float]], colour: str, width: float) -> str:
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _picture(body: list[str], across: _Axis, up: _Axis, title: str, x: str, y: str) -> str:
    middle, bottom = (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - _BOTTOM
    grid: list[str] = []
    for value in across.ticks():
        left = across.at(value)
        grid.append(_stroke([(left, _TOP), (left, bottom)], "#ddd", 1))
        grid.append(_text(left, bottom + 18, across.shown(value), "middle"))
    for value in up.ticks():
        top = up.at(value)
        grid.append(_stroke([(_LEFT, top), (_WIDTH - _RIGHT, top)], "#ddd", 1))
        grid.append(_text(_LEFT - 8, top + 4, up.shown(value), "end"))
    half = (_TOP + bottom) / 2
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            f'width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-labelledby="title" '
            'font-family="DejaVu Sans,Verdana,sans-serif" font-size="12">',
            f'<title id="title">{escape(title)}</title>',
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
            _text(middle, 24, title, "middle", 'font-weight="bold"'),
            *grid,
            *body,
            _text(middle, _HEIGHT - 14, x, "middle"),
            _text(18, half, y, "middle", f'transform="rotate(-90 18 {half:.1f})"'),
            "</svg>",
            "",
        ]
    )
