"""Across rooms: one name for one thing, private stays private, files of a readable size."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import potstill

SOURCE = Path(potstill.__file__).parent
MOST_LINES = 400
SAME = {
    "Reading": "the protocol of what `runtime.reading.Reading` is: scores need no client",
}
"""Class name → why it may stand in two rooms."""


def trees() -> list[tuple[str, ast.Module]]:
    """Place below the package → its file, parsed."""
    return [
        (file.relative_to(SOURCE).as_posix(), ast.parse(file.read_text(encoding="utf-8")))
        for file in sorted(SOURCE.rglob("*.py"))
    ]


def test_a_class_name_stands_for_one_thing() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for place, tree in trees():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(place)
    twice = {name: places for name, places in homes.items() if len(places) > 1}
    assert twice.keys() == SAME.keys(), twice


def test_no_room_imports_what_is_private_to_another() -> None:
    found: list[str] = []
    for place, tree in trees():
        room = place.partition("/")[0]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("potstill."):
                other = str(node.module).split(".")[1]
                private = [a.name for a in node.names if a.name.startswith("_")]
                if other != room and private:
                    found.append(f"{place}:{node.lineno} imports {', '.join(private)}")
    assert not found


def test_files_are_of_a_readable_size() -> None:
    lengths = {
        file.relative_to(SOURCE).as_posix(): file.read_text(encoding="utf-8").count("\n")
        for file in SOURCE.rglob("*.py")
    }
    assert not {place: n for place, n in lengths.items() if n > MOST_LINES}
