"""``--dry-run`` of every kind of run: the plan is said, no teacher is asked, nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import labelled
import tiny
from potstill.cli import main

TAGGED = "Denver\tB-team\nBroncos\tI-team\nwon\tO\n\nParis\tB-place\nis\tO\nlarge\tO\n"
CHOICES = "prompt,choice0,choice1,label\nThe king,won.,lost.,1\nA queen,is.,was.,0\n"
KEYS = ("threads=1", "precision=fp32", "max_steps=2", "seq_len=64")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    tiny.write_squad(tmp_path / "squad.json")
    tiny.write_corpus(tmp_path / "corpus.txt")
    labelled.write_single(tmp_path / "single.csv", 24)
    (tmp_path / "tags.conll").write_text(TAGGED, encoding="utf-8")
    (tmp_path / "choices.csv").write_text(CHOICES, encoding="utf-8")
    return tmp_path


HEADS = {
    "question-answering": ({"head": "qa"}, ["train=squad.json"]),
    "masked-lm": ({"head": None}, ["corpus=corpus.txt", "holdout=0.2", "sequences_per_step=8"]),
    "text-classification": (
        {"head": "classification", "labels": ("other", labelled.RED)},
        ["train=single.csv", "dev=single.csv"],
    ),
    "token-classification": (
        {"head": "tagging", "labels": ("O", "B-team", "I-team", "B-place")},
        ["train=tags.conll"],
    ),
    "multiple-choice": ({"head": "choice"}, ["train=choices.csv"]),
}


@pytest.mark.parametrize("verb", ["finetune", "distil"])
@pytest.mark.parametrize("task", HEADS)
def test_nothing_is_trained_or_written(here: Path, verb: str, task: str) -> None:
    model, keys = HEADS[task]
    tiny.write_model(here / "base", **model)
    (here / "recipe.toml").write_text(f'task = "{task}"\n', encoding="utf-8")
    keys = [*keys, "base=base", "out=out", *KEYS]
    if verb == "distil":
        keys += ["n_layers=1", "teacher=base", "cache=teachers"]
    done = CliRunner().invoke(main, [verb, "recipe.toml", *keys, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "the run: 2 steps of " in done.stderr and "written to out" in done.stderr
    assert ("taught by base" in done.stderr) == (verb == "distil")
    assert ("would be trained first" in done.stderr) == (verb + task == "distilmasked-lm")
    assert not (here / "out").exists() and not list((here / "teachers").glob("*/*.safetensors"))


def test_pruning_is_announced(here: Path) -> None:
    tiny.write_model(here / "base", n_heads=4)
    (here / "recipe.toml").write_text("[prune]\nheads = 2\n", encoding="utf-8")
    keys = ["train=squad.json", "base=base", "out=out", "teacher=base", *KEYS]
    done = CliRunner().invoke(main, ["distil", "recipe.toml", *keys, "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "base would be pruned first" in done.stderr
    assert not (here / "out").exists()


def test_it_does_not_stand_beside_cache_only(here: Path) -> None:
    (here / "recipe.toml").write_text("", encoding="utf-8")
    done = CliRunner().invoke(main, ["distil", "recipe.toml", "--dry-run", "--cache-only"])
    assert done.exit_code == 2
    assert "omit --cache-only" in done.stderr
