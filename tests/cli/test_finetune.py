"""``potstill finetune`` as typed."""

import json
import shlex
import sys
from types import ModuleType

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import main
from potstill.cli.progress import TrainingProgress
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


def files(folder):
    return {p.relative_to(folder) for p in folder.rglob("*") if "cache" not in p.parts}


def test_a_run_says_what_it_will_do_and_what_is_next(arguments, tmp_path):
    dev = tmp_path / "train.json"
    result = run(*arguments, f"dev={dev}", "max_steps=2", "save_steps=1")
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    plan = next(i for i, line in enumerate(lines) if line.startswith("the run: 2 steps of "))
    assert "as max_steps says" in lines[plan] and "cpu in" in lines[plan]
    assert lines[plan + 1] == "scored at the end on 4 that are not trained on"
    assert lines[plan + 2].endswith("a checkpoint every 5 minutes and every step")
    assert "before the first step" not in result.stderr  # a head that is new is worth nothing
    out = tmp_path / "out"
    assert result.stdout.splitlines()[-4:] == [
        "next:",
        f"  potstill eval {out} {dev}",
        f"  potstill export {out} {out}-int8 --format int8 --gate {dev}",
        f"  potstill ask QUESTION FILE --model {out}",
    ]
    # What is said is what works.
    assert run(*result.stdout.splitlines()[-3].split()[1:]).exit_code == 0


def test_a_dry_run_says_the_same_and_writes_nothing(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    before = files(tmp_path)
    dry = run(*arguments, "max_steps=2", "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert dry.stderr.endswith("nothing was trained or written: this was --dry-run\n")
    assert dry.stdout == ""
    assert files(tmp_path) == before
    said = dry.stderr.splitlines()[:-1]
    assert run(*arguments, "max_steps=2").stderr.splitlines()[: len(said)] == said
    again = run(*arguments, "max_steps=2", "--dry-run")
    assert again.exit_code == 1 and "already holds a run: add --resume" in again.stderr


@pytest.mark.parametrize("wrong", ["base=/no/such/model", "train=/no/such", "dev=/no/such.json"])
def test_a_dry_run_finds_what_is_wrong(arguments, wrong):
    result = run(*arguments, wrong, "--dry-run")
    assert result.exit_code == 1
    assert wrong.partition("=")[2] in result.stderr


def test_a_dry_run_goes_on_with_nothing(arguments):
    result = run(*arguments, "--dry-run", "--resume")
    assert result.exit_code == 2
    assert "--dry-run trains nothing: omit --resume" in result.stderr


@pytest.mark.parametrize(("saved", "said"), [(1, "step 2 is kept in"), (0, "from the beginning:")])
def test_an_interruption_says_how_to_go_on(arguments, monkeypatch, saved, said):
    from potstill.training.run.loop import Run

    step = Run._train_step

    def interrupted(self, number):
        if number == 2:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(Run, "_train_step", interrupted)
    keys = ["epochs=3", f"save_steps={saved}", "save_minutes=0"]
    result = run(*arguments, *keys)
    assert result.exit_code == 130
    *_, reason, command = result.stderr.splitlines()
    assert said in reason
    assert command.endswith(" --resume") == bool(saved)
    monkeypatch.setattr(Run, "_train_step", step)
    again = run(*shlex.split(command)[1:])
    assert again.exit_code == 0, again.output
    assert ("going on behind step 2" in again.stderr) == bool(saved)


def test_the_time_is_estimated_behind_the_first_steps(capsys):
    with TrainingProgress() as progress:
        progress.start(0, 1000)
        for step in range(1, 8):  # the first of 30 seconds, then 4 each
            progress.step(step, 1.0, 500, 30.0 + 4 * (step - 1))
    said = " ".join(capsys.readouterr().err.split())
    assert said == "about 67 min for these steps, at 125 tokens/s"
