"""Who says the name of a head or a task: `potstill.tasks`, and what describes heads."""

from __future__ import annotations

import ast
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
NAMES = {*(head.task for head in HEADS.values() if head.task), *HEADS} - {"bare"}
"""Of tasks and heads; that of no head is a word of English, too."""


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


def test_no_room_names_a_head_or_a_task() -> None:
    found = [
        f"{place}:{literal.lineno} says {literal.value!r}"
        for file in SOURCE.rglob("*.py")
        if not (place := file.relative_to(SOURCE).as_posix()).startswith((*HOMES, *CALL_FORMS))
        for literal in literals(ast.parse(file.read_text(encoding="utf-8")))
    ]
    assert not found, "ask `potstill.tasks.table` or `potstill.bundle.heads` instead"
