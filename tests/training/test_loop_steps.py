"""What a run does step by step: what it reports, when it saves, from where it goes on."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from potstill.errors import CheckpointError, RecipeError
from potstill.training.recipe.qa import Recipe
from potstill.training.run import loop
from potstill.training.run.loop import Run, make_fabric
from potstill.training.run.sampling import rate_factor
from runs import Small, Vectors, squares


def recipe(out, **more):
    values = {"base": "b", "train": "t", "out": str(out), "batch_tokens": 40, "epochs": 50}
    values |= {"max_steps": 6, "warmup": 0.5, "learning_rate": 0.05, "clip_norm": 0.5, "keep": 9}
    values |= {"precision": "fp32", "threads": 1, "save_minutes": 0.0}
    return Recipe(**{**values, **more})


def run_of(made, *, loss=squares, fingerprint="f", resume=False, rows=None):
    return Run(
        make_fabric(made), Small(), Vectors() if rows is None else rows, loss, made,
        fingerprint=fingerprint, resume=resume,
    )  # fmt: skip


def saved(out):
    return sorted(int(path.name[5:]) for path in (out / "checkpoints").glob("step-*"))


@pytest.mark.parametrize(
    ("save_steps", "expected"), [(0, [6]), (1, [1, 2, 3, 4, 5, 6]), (2, [2, 4, 6]), (4, [4, 6])]
)
def test_it_saves_every_so_many_steps_and_behind_the_last(tmp_path, save_steps, expected):
    assert len(list(run_of(recipe(tmp_path, save_steps=save_steps)))) == 6
    assert saved(tmp_path) == expected


class Clock:
    """Time that goes on by a minute a step."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def loss(self, model, batch, done):
        self.now += 60
        return squares(model, batch, done)


@pytest.mark.parametrize(("minutes", "expected"), [(1.0, [2, 4, 6]), (2.0, [3, 6]), (4.9, [5, 6])])
def test_it_saves_every_so_many_minutes(tmp_path, monkeypatch, minutes, expected):
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    made = recipe(tmp_path, save_minutes=minutes)
    reports = list(run_of(made, loss=clock.loss))
    assert saved(tmp_path) == expected
    assert [report.seconds for report in reports] == [60, 120, 180, 240, 300, 360]


def test_a_step_reports_what_it_did(tmp_path):
    shares, rows = [], Vectors()

    def loss(model, batch, done):
        shares.append(done)
        return squares(model, batch, done)

    run = run_of(recipe(tmp_path, max_steps=0, epochs=2), loss=loss, rows=rows)
    plain, n = Small(), run.n_steps
    reports = list(run)
    assert [report.step for report in reports] == list(range(1, n + 1))
    assert {report.n_steps for report in reports} == {n}
    assert [report.epoch for report in reports] == [0] * (n // 2) + [1] * (n // 2)
    for epoch in (0, 1):
        own = [report.tokens for report in reports if report.epoch == epoch]
        assert sum(own) == rows.lengths.sum()
    assert shares == pytest.approx([number / n for number in range(n)])
    factors = [rate_factor(number, n, warmup=0.5, decay=1.0) for number in range(n)]
    assert [report.rate for report in reports] == pytest.approx([0.05 * one for one in factors])
    ((chosen,),) = (run.schedule.step(0),)
    (plain(rows.x[chosen]) - 1).square().mean().backward()
    whole = torch.cat([p.grad.flatten() for p in plain.parameters()]).norm()
    assert whole > 0.5  # it is told as it was before it was clipped
    assert reports[0].grad_norm == pytest.approx(float(whole), rel=1e-5)


def test_many_steps_end(tmp_path):
    assert len(list(run_of(recipe(tmp_path, max_steps=300, epochs=200)))) == 300


def test_a_run_goes_on_where_it_stood(tmp_path):
    whole = run_of(recipe(tmp_path / "whole", averaging=0.5))
    expected = list(whole)
    run = run_of(recipe(tmp_path / "cut", save_steps=2, averaging=0.5))
    for report in run:
        if report.step == 4:
            break
    seconds = run.seconds
    again = run_of(recipe(tmp_path / "cut", averaging=0.5), fingerprint="".join("f"), resume=True)
    assert (again.step, again.seconds) == (4, seconds)
    rest = list(again)
    assert [one.step for one in rest] == [5, 6]
    assert [one.loss for one in rest] == [one.loss for one in expected[4:]]
    assert rest[0].seconds > seconds
    with again.finished():
        averaged = [p.detach().clone() for p in again.model.parameters()]
    own = [p.detach().clone() for p in again.model.parameters()]
    assert not any(map(torch.equal, averaged, own))
    for one in (whole, again):
        one.finish()
        one.finish()  # and nothing more
    for a, b, c in zip(whole.model.parameters(), again.model.parameters(), averaged, strict=True):
        assert torch.equal(a, b) and torch.equal(b, c)


def test_what_is_behind_the_one_gone_on_from_is_set_aside(tmp_path):
    list(run_of(recipe(tmp_path, save_steps=2)))
    assert run_of(recipe(tmp_path), resume="4").step == 4
    assert saved(tmp_path) == [2, 4]
    assert (tmp_path / "checkpoints" / "left-step-000000006").is_dir()


@pytest.mark.parametrize("fingerprint", ["e", "g"])
def test_other_data_are_refused(tmp_path, fingerprint):
    list(run_of(recipe(tmp_path)))
    with pytest.raises(CheckpointError, match="was made with other training data"):
        run_of(recipe(tmp_path), fingerprint=fingerprint, resume=True)


def test_another_recipe_is_refused_but_for_what_may_change(tmp_path):
    list(run_of(recipe(tmp_path)))
    with pytest.raises(CheckpointError, match=r"was made with seed=0, not 1: give the same"):
        run_of(recipe(tmp_path, seed=1), resume=True)
    run = run_of(recipe(tmp_path, max_steps=8, save_steps=1, keep=2), resume=True)
    assert [report.step for report in run] == [7, 8]
    with pytest.raises(CheckpointError, match="already holds a run: add --resume"):
        run_of(recipe(tmp_path))


def test_a_folder_without_checkpoints_is_begun_in(tmp_path):
    assert run_of(recipe(tmp_path), resume=True).step == 0


def test_nothing_to_train_on(tmp_path):
    class Empty(Vectors):
        lengths = np.array([], int)

    with pytest.raises(RecipeError, match="there is nothing to train on"):
        run_of(recipe(tmp_path), rows=Empty())


@pytest.fixture
def machine(monkeypatch):
    """Makes a fabric on a machine of so many CUDA devices; what it was made with."""
    told = {}

    def fabric(**options):
        told.update(options)
        return SimpleNamespace(launch=lambda: told.update(launched=True))

    def make(made, cuda, bf16=True):
        told.clear()
        monkeypatch.setattr(loop, "Fabric", fabric)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: bf16)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16, raising=False)
        monkeypatch.setattr(torch, "set_num_threads", lambda n: told.update(threads=n))
        make_fabric(made)
        return told

    return make


@pytest.mark.parametrize(
    ("device", "cuda", "expected"),
    [("auto", 0, "cpu"), ("auto", 1, "cuda"), ("cuda", 2, "cuda"), ("cpu", 1, "cpu")],
)
def test_the_device_is_the_one_that_is_asked_for(machine, tmp_path, device, cuda, expected):
    told = machine(recipe(tmp_path, device=device), cuda)
    assert (told["accelerator"], told["devices"], told["num_nodes"]) == (expected, 1, 1)
    assert told["launched"] and told["precision"] == "32-true"
    assert told["threads"] == 1
    assert "threads" not in machine(recipe(tmp_path, device=device, threads=0), cuda)


def test_devices_that_there_are_not(machine, tmp_path):
    with pytest.raises(RecipeError, match="device is 'cuda', but torch sees no CUDA device"):
        machine(recipe(tmp_path, device="cuda"), 0)
    with pytest.raises(RecipeError, match="devices is 3, but torch sees 2 CUDA devices"):
        machine(recipe(tmp_path, devices=3), 2)
    assert machine(recipe(tmp_path, devices=2), 2)["devices"] == 2
    assert machine(recipe(tmp_path, devices=3, device="cpu"), 2)["devices"] == 3


@pytest.mark.parametrize("cuda", [0, 1])
def test_bfloat16_where_it_is_quick_or_asked_for(machine, tmp_path, cuda):
    for precision, bf16, expected in (
        ("auto", True, "bf16-mixed"), ("auto", False, "32-true"),
        ("bf16", False, "bf16-mixed"), ("fp32", True, "32-true"),
    ):  # fmt: skip
        assert machine(recipe(tmp_path, precision=precision), cuda, bf16)["precision"] == expected
