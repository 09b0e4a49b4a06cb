"""Who says the name of a head or a task: `potstill.tasks`, and fewer others than before."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import potstill
from potstill.bundle.heads import HEADS

SOURCE = Path(potstill.__file__).parent
HOMES = ("tasks/", "bundle/heads.py", "bundle/encoders/")
"""Where they are known: the objects of tasks, heads, and what encoders call theirs."""
CALL_FORMS = tuple(
    f"runtime/{name}.py" for name in ("pipelines", "task_pipelines", "token_pipelines")
)
"""Hugging Face's names of tasks, as programs call them."""
MOST = {
    "bundle": 12,
    "cli": 7,
    "evaluation": 9,
    "export": 2,
    "models": 2,
    "runtime": 19,
    "serving": 3,
}
"""Room → literals that it has: 54 in all, and none in another. Lower a number, never raise it."""

NAMES = {"qa", "mlm", *(head.task for head in HEADS.values() if head.task), *HEADS}


def literals(tree: ast.Module) -> Iterator[ast.Constant]:
    """Names as constants, but for what a class says of itself (``head = "qa"``, ``task``)."""
    own = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, (ast.Assign, ast.AnnAssign))
        and isinstance(statement.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in NAMES and id(node) not in own:
            yield node


def test_rooms_name_no_more_heads_and_tasks_than_today() -> None:
    found: Counter[str] = Counter()
    for file in SOURCE.rglob("*.py"):
        place = file.relative_to(SOURCE).as_posix()
        if not place.startswith((*HOMES, *CALL_FORMS)):
            found[place.partition("/")[0]] += len(
                list(literals(ast.parse(file.read_text(encoding="utf-8"))))
            )
    assert {room: n for room, n in found.items() if n} == MOST
