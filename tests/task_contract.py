"""What holds for every task's object, ours or one that was added, on a model of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

from potstill.bundle.added import late
from potstill.bundle.heads import HEADS
from potstill.cli import main
from potstill.tasks.benchmark import benchmark
from potstill.tasks.table import every, named, task_of
from potstill.tasks.task import Task


def check_names(task: Task[Any]) -> None:
    """Whatever it names is there."""
    assert named(task.name) is task and task in every()
    assert task.client.head == task.head
    assert late(task.trained).model_class.head == task.head
    assert late(HEADS[task.head].model).head == task.head
    assert {late(recipe).task for recipe in task.recipes} == {task.name}
    if task.pipeline[1]:
        assert late(task.pipeline[1]).task == task.pipeline[0]
    if task.served:
        assert late(task.served).task == task.name
    assert task.takes("seq_len") and not task.takes("anything")


def check_row(task: Task[Any], folder: Path) -> None:
    """What `item` makes of a text is a row of as many tokens as `extra_tokens` says."""
    client = task.client.from_options(folder)
    rows: list[int] = []

    class Counting:
        def run(self, batch):
            rows.append(int(batch.attention_mask.sum(-1).max()))
            return client.session.run(batch)

    text = " ".join(["the king won"] * 10)
    task.ask(client.using(session=Counting()), [task.item(client, text)])
    assert max(rows) - 1 <= 30 + task.extra_tokens(client.tokenizer) <= max(rows) + 1


def check_answers(task: Task[Any], folder: Path) -> None:
    """A client says the same alone and together, in every runtime, and to a benchmark."""
    assert task_of(folder) is task
    client = task.client.from_options(folder, threads=1)
    items = [task.item(client, text) for text in ("the king won", "a tower. " * 30)]
    together = task.ask(client, items)
    alone = [task.ask(client, [item])[0] for item in items]
    assert np.allclose(numbers(together), numbers(alone), atol=1e-5)
    in_torch = task.client.from_options(folder, runtime="torch", threads=1)
    assert np.allclose(numbers(task.ask(in_torch, items)), numbers(together), atol=1e-4)
    measured = benchmark(folder, threads=1, seconds=0.1)
    assert measured.texts_per_second > 0


def check_verbs(task: Task[Any], folder: Path, data: Path, out: Path) -> dict[str, Any]:
    """The verbs that go by the table take its models and its data; what ``eval`` said."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert task.card.does in card and task.card.code[-1] in card
    scores = json.loads(run("eval", folder, data, "--keep", "--json"))
    assert set(task.card.metrics) & scores.keys()
    model = json.loads(run("info", folder, "--json"))
    assert model["manifest"]["task"] == task.name
    described = json.loads(run("info", data, "--task", task.name, "--json"))
    assert described["task"] == task.name
    assert task.name in run("info", folder)
    assert task.name in run("info", data, "--task", task.name)
    assert "ms" in run("bench", folder, "--seconds", "0.1")
    run("export", folder, out / "int8", "--format", "int8", "--gate", data, "--max-drop", "100")
    assert task_of(out / "int8") is task
    run("report", folder, "--data", data, "--out", out / "report.html")
    assert task.name in (out / "report.html").read_text(encoding="utf-8")
    if task.columns:
        run("bulk", data, out / "bulk.jsonl", "--model", folder, "--workers", "1")
        lines = (out / "bulk.jsonl").read_text(encoding="utf-8").splitlines()
        client = task.client.from_options(folder)
        assert task.value_kinds(client).keys() <= json.loads(lines[0]).keys()
    return scores


def run(*arguments: object) -> str:
    """What a verb of the command line prints; it must succeed."""
    done = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def numbers(value: Any) -> list[float]:
    """All floats of an answer, in order."""
    if isinstance(value, float):
        return [value]
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        value = list(value.to_dict().values()) if hasattr(value, "to_dict") else []
    return [number for own in value for number in numbers(own)]
