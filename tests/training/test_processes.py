"""Two gloo processes: the same rows, the same gradient, and going on with as many or fewer.

The processes are started once for all tests of this file: importing torch is what takes the time.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import tiny
from potstill.training.qa import rows as qa_rows
from potstill.training.recipe.qa import DistilRecipe, Recipe
from potstill.training.run import loop
from potstill.training.run.sampling import Schedule, row_count, share
from potstill.training.start import start
from runs import equal, weights

COMMON = {
    "batch_tokens": 100,
    "accumulate": 3,
    "learning_rate": 1e-3,
    # A rate that does not change, so that a run may be stopped by max_steps and gone on with.
    "warmup": 0.0,
    "decay": 0.0,
    "epochs": 2.0,
    "log_steps": 1,
    "threads": 1,
    "seq_len": 128,
    "stride": 32,
    "precision": "fp32",
    "device": "cpu",
    "save_minutes": 0.0,
}


def recipe(root: Path, out: str, **more) -> Recipe:
    paths = {"base": str(root / "base"), "train": str(root / "train.json")}
    return Recipe(**{**COMMON, **paths, "out": str(root / out), **more})


def distil_recipe(root: Path, out: str, **more) -> DistilRecipe:
    values = recipe(root, out).to_dict() | {
        "teacher": str(root / "teacher"),
        "cache": str(root / f"{out}-cache"),
        "max_steps": 2,
        "n_layers": 1,
        "dropout": 0.0,
    }
    return DistilRecipe(**{**values, **more})


def gradients(run_recipe: Recipe) -> dict[str, torch.Tensor]:
    """The gradient of a run's first step, by parameter, and its loss."""
    found: dict[str, torch.Tensor] = {}
    started = loop.Run.__init__

    def keep(self, *args, **kwargs):
        started(self, *args, **kwargs)
        found["loss"] = torch.tensor(self.add_gradients(0))
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None:
                found[name] = parameter.grad.clone()
        self.model.zero_grad(set_to_none=True)

    loop.Run.__init__ = keep
    try:
        start(run_recipe)
    finally:
        loop.Run.__init__ = started
    return found


def in_every_process(root: Path, rank: int) -> None:
    """What each of the two processes does; run by `two_processes`."""
    found = gradients(recipe(root, "gradient", dropout=0.0, max_steps=1, devices=2))
    save_file(found, root / f"gradient-{rank}.safetensors")
    start(recipe(root, "whole", dropout=0.1, devices=2))
    for steps in (2, 0):
        start(recipe(root, "resumed", dropout=0.1, max_steps=steps, devices=2), resume=not steps)
    start(recipe(root, "handed-on", dropout=0.0, max_steps=3, devices=2))
    taken: list[list[int]] = []
    batch = qa_rows.QARows.batch

    def noting(self, rows):
        taken.append(list(rows))
        return batch(self, rows)

    qa_rows.QARows.batch = noting
    start(recipe(root, "taken-up", dropout=0.0, devices=2), resume=True)
    qa_rows.QARows.batch = batch
    (root / f"taken-{rank}.json").write_text(json.dumps(taken))
    start(distil_recipe(root, "distilled", devices=2))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with data and models, and with all that two processes have made of them."""
    root = tmp_path_factory.mktemp("two")
    tiny.write_model(root / "base", head=False)
    tiny.write_model(root / "teacher", seed=3)
    tiny.write_squad(root / "train.json", copies=12)
    start(recipe(root, "taken-up", dropout=0.0, max_steps=3))  # by one, to be taken up by two
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import sys, pathlib, test_processes as t; "
        "t.in_every_process(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"
    )
    here = Path(__file__).parent
    running = []
    for rank in range(2):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(here), str(here.parent), os.environ["PYTHONPATH"]]),
            "TORCHELASTIC_RUN_ID": "test",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "GROUP_RANK": "0",
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-c", code, str(root), str(rank)]
        running.append(
            subprocess.Popen(
                command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
    try:
        for process in running:
            out, error = process.communicate(timeout=600)
            assert process.returncode == 0, error[-3000:]
    finally:
        for process in running:
            process.kill()
    return root


def losses(out: Path) -> list[float]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [line["loss"] for line in map(json.loads, lines) if "loss" in line]


def rows_of(root: Path, seen: int) -> tuple[Schedule, list[int]]:
    """The schedule of the runs here, and the rows that its steps behind ``seen`` take."""
    from potstill.data.qa import load_qa
    from potstill.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_folder(root / "base")
    examples = load_qa(root / "train.json").examples
    rows = qa_rows.make_rows(examples, tokenizer, seq_len=128, stride=32)
    schedule = loop.make_schedule(rows, recipe(root, "any"))
    steps = range(seen, schedule.n_steps)
    return schedule, [row for step in steps for batch in schedule.step(step) for row in batch]


def test_the_gradient_is_that_of_one_process(root):
    expected = gradients(recipe(root, "one", dropout=0.0, max_steps=1))
    found = [load_file(root / f"gradient-{rank}.safetensors") for rank in range(2)]
    assert equal(*found)
    assert found[0].keys() == expected.keys()
    assert found[0].pop("loss") == pytest.approx(float(expected.pop("loss")), rel=1e-6)
    # Of the whole gradient: that of the keys' biases is 0 but for rounding.
    ours, theirs = (torch.cat([own[n].flatten() for n in expected]) for own in (found[0], expected))
    assert torch.linalg.vector_norm(ours - theirs) <= 1e-6 * torch.linalg.vector_norm(theirs)


def test_a_whole_run_is_that_of_one_process(root):
    start(recipe(root, "alone", dropout=0.0))
    start(recipe(root, "handed-on", dropout=0.0), resume=True)  # the rest of what two began
    expected = losses(root / "alone")
    for name in ("handed-on", "taken-up"):
        assert losses(root / name) == pytest.approx(expected, rel=1e-3)


def test_as_many_processes_go_on_bit_for_bit(root):
    assert equal(weights(root / "resumed"), weights(root / "whole"))
    assert losses(root / "resumed") == losses(root / "whole")
    state = load_file(root / "whole" / "checkpoints" / checkpoints(root)[-1] / "random.safetensors")
    assert not torch.equal(state["cpu"], state["rank1/cpu"])  # each draws its own masks


def checkpoints(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "whole" / "checkpoints").iterdir())


def test_another_number_of_processes_takes_every_row_that_is_left_once(root):
    taken = [json.loads((root / f"taken-{rank}.json").read_text()) for rank in range(2)]
    both = sorted(row for own in taken for batch in own for row in batch)
    _, expected = rows_of(root, 3)
    assert both == sorted(expected)
    shares = [sum(map(len, own)) for own in taken]
    assert min(shares) > 0.4 * sum(shares)


def test_teachers_are_asked_by_all_processes(root):
    start(distil_recipe(root, "distilled-alone"))
    found = losses(root / "distilled")
    assert found == pytest.approx(losses(root / "distilled-alone"), rel=1e-3)
    shards = [
        len(list((root / name).rglob("*.safetensors")))
        for name in ("distilled-cache", "distilled-alone-cache")
    ]
    assert shards == [2, 1]


def test_only_the_first_process_writes(root):
    manifest = json.loads((root / "whole" / "potstill.json").read_text())
    assert manifest["hardware"]["processes"] == 2
    assert len(losses(root / "whole")) == rows_of(root, 0)[0].n_steps


LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=100).map(np.array)


@given(LENGTHS, st.integers(1, 5), st.integers(1, 5))
def test_shares_are_the_whole_step(lengths, accumulate, world):
    schedule = Schedule(lengths, budget=120, accumulate=accumulate, seed=0, epochs=1)
    for number in range(schedule.n_steps):
        step = schedule.step(number)
        shares = [share(step, rank, world) for rank in range(world)]
        rows = sorted(row for own in shares for batch in own for row in batch)
        assert rows == sorted(row for batch in step for row in batch)
        assert sum(map(row_count, shares)) == row_count(step)
        counts = [len(own) for own in shares]
        assert max(counts) - min(counts) <= 1 + len(step) % world
        assert all(batch for own in shares for batch in own)


@given(LENGTHS, st.integers(1, 5), st.integers(1, 5))
def test_batches_cut_by_rows_are_the_whole_step_and_evenly_shared(lengths, accumulate, world):
    schedule = Schedule(lengths, budget=120, accumulate=accumulate, seed=0, epochs=1)
    for number in range(schedule.n_steps):
        step = schedule.step(number)
        shares = [share(step, rank, world, by_rows=True) for rank in range(world)]
        rows = sorted(row for own in shares for batch in own for row in batch)
        assert rows == sorted(row for batch in step for row in batch)
        assert all(batch for own in shares for batch in own)
        if len(step) == 1:
            counts = [row_count(own) for own in shares]
            assert max(counts) - min(counts) <= 1


def test_odd_rows_go_around():
    batches = [[1, 2, 3], [4, 5, 6]]
    assert share(batches, 0, 2, by_rows=True) == [[1, 3], [5]]
    assert share(batches, 1, 2, by_rows=True) == [[2], [4, 6]]


def test_one_process_takes_all():
    batches = [[1, 2], [3], [4, 5]]
    assert share(batches, 0, 1) == share(batches, 0, 1, by_rows=True) == batches


def test_processes_that_torchrun_did_not_start_alike_are_refused(root, monkeypatch):
    from potstill.errors import RecipeError
    from potstill.training.run.processes import of_run

    asked = replace(recipe(root, "any"), devices=4, nodes=2)
    assert of_run(asked) == (4, 2)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    monkeypatch.setenv("WORLD_SIZE", "6")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert of_run(asked) == (3, 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(RecipeError, match="same --nproc-per-node"):
        of_run(asked)
