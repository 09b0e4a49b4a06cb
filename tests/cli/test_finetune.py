"""``potstill finetune`` as typed."""

import json
import sys
from types import ModuleType

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import main
from potstill.cli.training import needs_training

RECIPE = "epochs = 1\nbatch_tokens = 30\nseq_len = 128\nstride = 32\nthreads = 1\n"


@pytest.fixture
def arguments(tmp_path):
    (tmp_path / "recipe.toml").write_text(RECIPE)
    base = tiny.write_model(tmp_path / "base", head=False)
    train = tiny.write_squad(tmp_path / "train.json")
    return [
        "finetune",
        str(tmp_path / "recipe.toml"),
        f"base={base}",
        f"train={train}",
        f"out={tmp_path / 'out'}",
    ]


def run(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_a_run_says_where_the_model_is(arguments, tmp_path):
    result = run(*arguments, "max_steps=2")
    assert result.exit_code == 0, result.output
    assert f"the model is in {tmp_path / 'out'}" in result.stdout
    assert "4 examples, 4 windows" in result.stderr
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_json_is_the_scores_alone(arguments, tmp_path):
    result = run(*arguments, f"dev={tmp_path / 'train.json'}", "max_steps=1", "--json")
    assert result.exit_code == 0, result.output
    assert {"exact", "f1", "total"} <= json.loads(result.stdout).keys()


def test_going_on_says_from_where(arguments):
    assert run(*arguments, "max_steps=1").exit_code == 0
    result = run(*arguments, "max_steps=2", "--resume")
    assert result.exit_code == 0, result.output
    assert "going on behind step 1 of 2" in result.stderr


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("epoch=1", "unknown recipe key 'epoch': did you mean 'epochs'"),
        ("train=/no/such/file.json", "no/such/file.json"),
        ("base=/no/such/model", "no/such/model"),
        ("seq_len=4096", "seq_len 4096 is more than the 128 positions"),
    ],
)
def test_errors_are_one_line(arguments, extra, message):
    result = run(*arguments, extra)
    assert result.exit_code == 1
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("potstill: error: ")
    assert message in lines[-1]
    assert "Traceback" not in result.output


def test_a_folder_is_no_recipe(tmp_path):
    result = run("finetune", str(tmp_path))
    assert result.exit_code == 1
    assert "cannot be read: Is a directory" in result.stderr


def test_no_verb_waits_for_torchmetrics(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchmetrics", raising=False)
    with needs_training(), pytest.raises(ImportError):
        import torchmetrics  # noqa: F401
    assert "torchmetrics" not in sys.modules
    there = ModuleType("torchmetrics")
    monkeypatch.setitem(sys.modules, "torchmetrics", there)
    with needs_training():
        assert sys.modules["torchmetrics"] is there
    assert sys.modules["torchmetrics"] is there
