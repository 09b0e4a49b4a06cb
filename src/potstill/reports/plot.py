"""The plots of reports and of the results page: what they show, and matplotlib's SVG of it.

What a plot shows is written into its file, too, so that two files can be compared by it: their
bytes change with matplotlib's version. Only `draw` needs matplotlib.
"""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from potstill.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

_INCH = 72
"""Pixels of an inch, which makes matplotlib's points pixels: of text, lines and offsets."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
"""Okabe and Ito's, which colour-blind people tell apart, the pale ones last."""
_GREY = "#888888"
"""Seen on white and on black."""
_DASHES = ("-", "--", ":", "-.")
"""One for each round through the colours."""
_INK, _SOFT, _GRID = "#333333", "#666666", "#e4e4e4"
_THEME = {
    "#010203": f"var(--ink, {_INK})",
    "#010204": f"var(--soft, {_SOFT})",
    "#010205": f"var(--grid, {_GRID})",
}
"""Colours that nothing else has → what a page's own style sheet may say instead."""
_STYLE = {
    "figure.dpi": _INCH,
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlepad": 14,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _SOFT,
    "axes.axisbelow": True,
    "axes.grid": True,
    "figure.constrained_layout.h_pad": 0.1,
    "grid.color": _GRID,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "text.parse_math": False,
    # Without these the file holds letters as outlines and ids that are random.
    "svg.fonttype": "none",
    "svg.hashsalt": "potstill",
}
_THEMED_STYLE = {
    "savefig.transparent": True,
    "legend.facecolor": "none",
    "axes.edgecolor": "#010204",
    "grid.color": "#010205",
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), "#010203"),
}
_DESCRIPTION = "{http://purl.org/dc/elements/1.1/}description"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A named point; each spread is (low, high), drawn as a bar."""

    label: str
    series: str
    """Points of one series have one colour."""
    x: float
    y: float
    x_spread: tuple[float, float] | None = None
    y_spread: tuple[float, float] | None = None
    teacher: bool = False
    """Drawn as a star."""
    area: float | None = None
    """What the mark's area stands for, in any unit; without it all marks are of one size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A named curve."""

    label: str
    series: str
    """Curves of one series have one colour and one line in the legend."""
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scatter:
    """Named points over a logarithmic x axis."""

    title: str
    x: str
    """What the x axis shows, with its unit."""
    y: str
    """What the y axis shows."""
    points: Sequence[Point]
    """At least one; every x above 0."""
    front: bool = False
    """Whether the `pareto_front` is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Named curves; attributes as of `Scatter`."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    diagonal: bool = False
    """Whether a line from (0, 0) to (1, 1) is drawn, and the axes end there."""
    marks: bool = False
    """Whether each point of a curve has a mark."""


def pareto_front(points: Iterable[Point]) -> list[Point]:
    """The points that no other one beats: none has a higher y at the same or a smaller x.

    Returns:
        From the least x to the greatest, y rising all the way.
    """
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (p.x, -p.y)):
        if not front or point.y > front[-1].y:
            front.append(point)
    return front


def facts(picture: Scatter | Curves) -> Any:
    """What a picture shows, as JSON knows it: numbers to six digits, the labels and the kind."""
    values = {"kind": type(picture).__name__.lower(), **asdict(picture)}
    told = {name: value for name, value in values.items() if value is not False}
    for point in told.get("points", ()):
        if point["area"] is None:
            del point["area"]
    return json.loads(json.dumps(_rounded(told)))


def shown(svg: str) -> Any:
    """The `facts` in a drawn picture, or None if it holds none."""
    try:
        found = next(ElementTree.fromstring(svg).iter(_DESCRIPTION), None)
        return None if found is None else json.loads(found.text or "")
    except (ElementTree.ParseError, ValueError):
        return None


def draw(
    picture: Scatter | Curves, *, themed: bool = False, size: tuple[int, int] = (760, 460)
) -> str:
    """A picture as SVG, with its `facts` in it.

    The same picture gives the same text with one version of matplotlib.

    Args:
        picture: to draw.
        themed: leave the background out and take the colours of text and axes from the CSS
            variables ``--ink``, ``--soft`` and ``--grid`` of the page the SVG is put into.
        size: width and height in pixels.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "report", "drawing plots") from None
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Letters stay letters: whoever shows the file has the fonts, whatever this machine has.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        matplotlib.rcdefaults()  # whatever the user's own settings are
        style: dict[Any, Any] = {**_STYLE, **(_THEMED_STYLE if themed else {})}
        matplotlib.rcParams.update(style)
        figure = Figure(figsize=(size[0] / _INCH, size[1] / _INCH), layout="constrained")
        FigureCanvasAgg(figure)  # measures text
        axes = figure.add_subplot(title=picture.title, xlabel=picture.x, ylabel=picture.y)
        ink = "#010203" if themed else None
        if isinstance(picture, Scatter):
            _draw_points(figure, axes, picture, ink=ink)
        else:
            _draw_lines(axes, picture, ink=ink)
        text = io.StringIO()
        description = json.dumps(facts(picture), ensure_ascii=False)
        about = {"Title": picture.title, "Description": description, "Creator": None, "Date": None}
        figure.savefig(text, format="svg", metadata=about)
    drawn = text.getvalue()
    for colour, variable in _THEME.items() if themed else ():
        drawn = drawn.replace(colour, variable)
    # matplotlib leaves spaces at the ends of lines, which git calls an error.
    return "".join(f"{line.rstrip()}\n" for line in drawn.splitlines())


def _draw_points(figure: Figure, axes: Axes, picture: Scatter, *, ink: str | None) -> None:
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    points = picture.points
    axes.set_xscale("log")
    axes.set_xlim(*_log_limits([v for p in points for v in (p.x, *(p.x_spread or ()))]))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.15)
    axes.ticklabel_format(axis="y", useOffset=False)
    styles = _styles((point.series for point in points), black=ink)
    largest = max((point.area or 0.0 for point in points), default=0.0)
    front = pareto_front(points) if picture.front else []
    if len(front) > 1:
        xs, ys = [point.x for point in front], [point.y for point in front]
        colour = ink or _SOFT
        axes.plot(xs, ys, color=colour, linestyle=":", linewidth=1.2, drawstyle="steps-post")
    for point in points:
        colour, _ = styles[point.series]
        size = 15.0 if point.teacher else 8.0
        if point.area is not None and largest:
            size = max(4.0, 40 * math.sqrt(point.area / largest))
        if point.x_spread:
            axes.hlines(point.y, *point.x_spread, color=colour, alpha=0.45, linewidth=1.2)
        axes.errorbar(
            point.x,
            point.y,
            yerr=_arms(point.y, point.y_spread),
            color=colour,
            marker="*" if point.teacher else "o",
            markersize=size,
            markeredgecolor=colour if ink else "white",
            alpha=None if point.area is None else 0.75,
            elinewidth=1.5,
            capsize=3,
        )
    _name_points(figure, axes, points, styles, ink)


def _draw_lines(axes: Axes, picture: Curves, *, ink: str | None) -> None:
    lines = picture.lines
    if picture.diagonal:
        axes.plot((0, 1), (0, 1), color=_GREY, linestyle=":", linewidth=1)
        axes.set(xlim=(0, 1), ylim=(0, 1))
    marker = "o" if picture.marks else None
    styles = _styles((line.series for line in lines), black=ink)
    for series, (colour, dashes) in styles.items():
        own = [line for line in lines if line.series == series]
        label = series if len(own) == 1 else f"{series} ({len(own)} runs)"
        width = 1.8 if len(own) == 1 else 1.1
        for line in own:
            xs, ys = zip(*line.points, strict=True)
            look: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": width}
            axes.plot(xs, ys, **look, marker=marker, markersize=4, label=label)
            label = "_"  # which matplotlib keeps out of the legend
    axes.legend(loc="best", framealpha=0.9, edgecolor="none")


def _styles(series: Iterable[str], *, black: str | None = None) -> dict[str, tuple[str, str]]:
    """Series → colour and dashes; ``black`` stands in for black, where the ground may be dark."""
    colours = [black or colour if colour == "#000000" else colour for colour in _COLOURS]
    return {
        name: (
            colours[number % len(colours)],
            _DASHES[number // len(colours) % len(_DASHES)],
        )
        for number, name in enumerate(dict.fromkeys(series))
    }


def _log_limits(values: Sequence[float]) -> tuple[float, float]:
    """Room at both sides, more at the right for a name, and at least a factor of two in all."""
    low, high = min(values), max(values)
    room = max((high / low) ** 0.1, math.sqrt(2 * low / high), 1.1)
    return low / room, high * room**2.5


def _arms(value: float, spread: tuple[float, float] | None) -> list[list[float]] | None:
    """A spread as matplotlib takes it: lengths below and above the value."""
    if spread is None:
        return None
    # A mean of equal values may lie beside them by a rounding, and no length may be negative.
    return [[max(value - spread[0], 0.0)], [max(spread[1] - value, 0.0)]]


def _name_points(
    figure: Figure,
    axes: Axes,
    points: Sequence[Point],
    styles: Mapping[str, tuple[str, str]],
    ink: str | None,
) -> None:
    """Writes each point's name beside it, where the fewest marks, bars and names are covered."""
    from matplotlib.colors import to_rgb

    figure.draw_without_rendering()  # the layout, which has to stand before pixels mean anything
    figure.set_layout_engine("none")
    taken = [box for point in points for box in _marks(axes, point)]
    for point in points:
        text = f"{point.label} (teacher)" if point.teacher else point.label
        probe = axes.text(0, 0, text)
        size = probe.get_window_extent(_renderer(figure))
        probe.remove()
        at = axes.transData.transform((point.x, point.y))
        box, far = min(
            _places(at, size.width, size.height),
            key=lambda place: place[0].count_overlaps(taken) + 10 * _outside(place[0], axes.bbox),
        )
        taken.append(box)
        # Letters need more contrast with white than marks do.
        colour = ink or [0.65 * part for part in to_rgb(styles[point.series][0])]
        axes.annotate(
            text,
            (point.x, point.y),
            (box.x0 - at[0], box.y0 - at[1]),
            textcoords="offset points",
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6} if far else None,
        )


def _renderer(figure: Figure) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    assert isinstance(figure.canvas, FigureCanvasAgg)
    return figure.canvas.get_renderer()


def _marks(axes: Axes, point: Point) -> Iterator[Bbox]:
    """Pixels that a point and its bars cover."""
    from matplotlib.transforms import Bbox

    spreads = [(point.x, point.y)]
    spreads += [(x, point.y) for x in point.x_spread or ()]
    spreads += [(point.x, y) for y in point.y_spread or ()]
    middle, *ends = axes.transData.transform(spreads)
    yield Bbox([middle - 6, middle + 6])
    for end in ends:
        yield Bbox([[*map(min, middle, end)], [*map(max, middle, end)]]).padded(2)


def _places(at: Any, width: float, height: float) -> Iterator[tuple[Bbox, bool]]:
    """Places for a name, the best first, and whether each needs a line to its point."""
    from matplotlib.transforms import Bbox

    for distance in (6, 20, 36, 54, 74):
        for up in (distance, -distance - height):
            for right in (6, -width / 2, -6 - width):
                box = Bbox.from_bounds(at[0] + right, at[1] + up, width, height)
                yield box, distance > 20


def _outside(box: Bbox, frame: Bbox) -> bool:
    return not (
        frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
    )


def _rounded(value: Any) -> Any:
    """Floats to six digits: the last ones of a mean differ between versions of Python."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
