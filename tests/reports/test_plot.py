"""Pictures → SVG: what stands in it, and where names are put."""

import re
import xml.etree.ElementTree as ET

import pytest

from potstill.reports import plot

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'potstill[report]'")


def point(label, x, y, **more):
    return plot.Point(label=label, series=label, x=x, y=y, **more)


def test_a_crowd_of_points_is_named_without_overlap():
    points = [
        plot.Point(label=f"model {n}", series=f"{n % 9}", x=10 + n / 9, y=80 + n % 3 / 9)
        for n in range(12)
    ]
    picture = plot.Scatter(title="t", x="x", y="y", points=points)
    root = ET.fromstring(plot.draw(picture))
    names = [e for e in root.iter() if (e.text or "").startswith("model ")]
    assert len(names) == 12
    places = [(float(e.get("x")), float(e.get("y"))) for e in names]
    for n, (left, bottom) in enumerate(places):
        for other, height in places[:n]:
            assert abs(left - other) > 45 or abs(bottom - height) > 11


def test_the_front_is_what_nothing_beats():
    points = [point("slow", 40, 90), point("beaten", 30, 70), point("fast", 10, 80)]
    points += [point("same time", 10, 79), point("no better", 50, 90)]
    assert [one.label for one in plot.pareto_front(points)] == ["fast", "slow"]
    assert plot.pareto_front([]) == []


def test_a_themed_picture_takes_its_colours_from_the_page():
    picture = plot.Curves(
        title="t", x="x", y="y", diagonal=True, marks=True,
        lines=[plot.Line(label="a", series="a", points=[(0.1, 0.2), (0.8, 0.9)])],
    )  # fmt: skip
    themed, plain = plot.draw(picture, themed=True), plot.draw(picture)
    ET.fromstring(themed)
    for variable in ("--ink", "--soft", "--grid"):
        assert f"var({variable}, #" in themed
        assert variable not in plain
    assert "#0102" not in themed
    assert "fill: #ffffff" in plain
    assert not re.search(r"fill: #f+\b", themed)
    assert plot.shown(themed) == plot.shown(plain) == plot.facts(picture)


def test_black_marks_are_seen_on_a_dark_page():
    points = [point(f"p{n}", 10 + n, 80 + n) for n in range(6)]
    themed = plot.draw(
        plot.Scatter(title="t", x="x", y="y", points=points, front=True), themed=True
    )
    assert "#000000" not in themed
