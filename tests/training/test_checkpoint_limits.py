"""Checkpoints that are not what was written are refused, and the newest whole one is named."""

import json
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import tiny
from potstill.cli import main
from potstill.errors import CheckpointError
from potstill.training.recipe.qa import Recipe
from potstill.training.run import checkpoint
from potstill.training.start import start
from runs import weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of six steps with a checkpoint every two, stopped behind the last."""
    folder = tmp_path_factory.mktemp("run")
    base = tiny.write_model(folder / "base")
    train = tiny.write_squad(folder / "train.json", copies=4)
    values = {
        "base": str(base),
        "train": str(train),
        "out": str(folder / "out"),
        "max_steps": 6,
        "epochs": 50,
        "save_steps": 2,
        "keep": 3,
        "batch_tokens": 300,
        "precision": "fp32",
        "threads": 1,
        "seq_len": 64,
        "stride": 16,
    }
    start(Recipe(**values))
    return values


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run["out"], tmp_path / "out")
    return {**run, "out": str(tmp_path / "out")}, tmp_path / "out" / "checkpoints"


def flip(file, at=-40):
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(bytes(data))


def edit(file):
    state = json.loads(file.read_text())
    state["step"] = 4
    file.write_text(json.dumps(state))


def edit_recipe(file):
    state = json.loads(file.read_text())
    state["facts"]["recipe"]["seed"] += 1
    file.write_text(json.dumps(state))


FAULTS = {
    "a bit of the weights": lambda f: flip(f / "step-000000006" / "model.safetensors"),
    "a bit of the moments": lambda f: flip(f / "step-000000006" / "optimizer.safetensors"),
    "a bit of the generators": lambda f: flip(f / "step-000000006" / "random.safetensors"),
    "weights of another step": lambda f: shutil.copy(
        f / "step-000000004" / "model.safetensors", f / "step-000000006"
    ),
    "a state of another step": lambda f: shutil.copy(
        f / "step-000000004" / "state.json", f / "step-000000006"
    ),
    "an edited state": lambda f: edit(f / "step-000000006" / "state.json"),
    "an edited recipe": lambda f: edit_recipe(f / "step-000000006" / "state.json"),
    "no state": lambda f: (f / "step-000000006" / "state.json").unlink(),
    "no moments": lambda f: (f / "step-000000006" / "optimizer.safetensors").unlink(),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_checkpoint_is_refused_and_the_newest_whole_one_named(copy, fault):
    values, folder = copy
    FAULTS[fault](folder)
    with pytest.raises(CheckpointError) as caught:
        start(Recipe(**values), resume=True)
    said = str(caught.value)
    assert "step-000000006 cannot be used" in said and "--resume=step-000000004" in said
    assert "\n" not in said


def test_where_two_are_damaged_the_one_before_is_named_and_none_where_all_are(copy):
    values, folder = copy
    for number, named in ((6, "step-000000004"), (4, "step-000000002"), (2, "none is whole")):
        flip(folder / f"step-00000000{number}" / "model.safetensors")
        with pytest.raises(CheckpointError, match=named):
            start(Recipe(**values), resume=True)


@pytest.mark.parametrize("name", ["step-000000004", "4"])
def test_a_run_goes_on_from_the_one_that_is_named_bit_for_bit(run, copy, name):
    values, folder = copy
    flip(folder / "step-000000006" / "model.safetensors")
    start(Recipe(**values), resume=name)
    expected, found = weights(run["out"]), weights(values["out"])
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    assert checkpoint.latest(folder).name == "step-000000006"
    assert (folder / "left-step-000000006").is_dir()
    start(Recipe(**values), resume=True)


def test_no_more_are_kept_than_asked_for(tmp_path):
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(model.parameters())
    for step in (1, 2, 10, 11):
        progress = checkpoint.Progress(step, 0.0, {})
        state = [checkpoint.random_state()]
        checkpoint.save(tmp_path, model, optimizer, progress, state, keep=2)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["step-000000010", "step-000000011"]


def test_a_checkpoint_that_is_not_there(copy):
    values, _ = copy
    with pytest.raises(CheckpointError, match="has no checkpoint 'step-3': it has step-000000002"):
        start(Recipe(**values), resume="step-3")


def test_resume_on_the_command_line_never_takes_what_is_behind_it(copy, tmp_path):
    values, folder = copy
    recipe = tmp_path / "a.toml"
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    recipe.write_text("\n".join(['task = "question-answering"', *lines]))
    done = CliRunner().invoke(main, ["finetune", str(recipe), "--resume", "keep=3"])
    assert done.exit_code == 0, done.output
    flip(folder / "step-000000006" / "model.safetensors")
    done = CliRunner().invoke(main, ["finetune", str(recipe), "--resume", "keep=3"])
    assert isinstance(done.exception, CheckpointError) or "cannot be used" in done.output
    done = CliRunner().invoke(main, ["finetune", str(recipe), "--resume=4", "keep=3"])
    assert done.exit_code == 0, done.output
