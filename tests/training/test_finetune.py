"""Whole runs on tiny models: what they write, and going on after every kind of stop."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.weights import read_weights
from potstill.errors import CheckpointError, DataError, OutputError, RecipeError
from potstill.models.qa import QuestionAnsweringModel
from potstill.training.qa.data import load_split, split_held_out
from potstill.training.recipe.file import make_recipe
from potstill.training.run.report import Listeners
from potstill.training.start import start
from runs import Stopped, equal, stop_at, weights


def recipe(base, train, out, **more):
    values = {
        "base": str(base),
        "train": str(train),
        "out": str(out),
        "epochs": 2.0,
        "batch_tokens": 100,
        "accumulate": 2,
        "learning_rate": 1e-3,
        "dropout": 0.1,  # so that a wrong random state would show
        "log_steps": 1,
        "threads": 1,
        "seq_len": 128,
        "stride": 32,
    }
    return make_recipe({**values, **more})


@pytest.fixture(scope="module")
def whole(base, train, tmp_path_factory):
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole")
    scores = start(recipe(base, train, out, dev=str(train)))
    return out, scores


def test_the_result_is_a_bundle(whole):
    out, scores = whole
    model = QuestionAnsweringModel.from_pretrained(out)
    assert model.config.hidden_dropout == 0.1
    names = {path.name for path in out.iterdir()}
    assert names >= {"config.json", "model.safetensors", "vocab.txt", "potstill.json"}
    manifest = json.loads((out / "potstill.json").read_text())
    assert manifest["recipe"]["learning_rate"] == 1e-3
    assert manifest["data"]["examples"] == 48
    assert manifest["scores"] == scores
    assert manifest["recipe"]["train"] == "train.json"
    assert manifest["tidy_questions"] is True  # as all questions of the file have one
    assert str(out.parent) not in json.dumps(manifest)
    assert scores["total"] == 48


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_base_may_have_a_share_of_the_weights(base, train, whole, tmp_path, share):
    trained, _ = whole
    more = {"epochs": 1.0, "seed": 5}
    start(recipe(trained, train, tmp_path / "alone", **more))
    start(recipe(trained, train, tmp_path / "mixed", base_share=share, **more))
    before, alone, mixed = (weights(p) for p in (trained, tmp_path / "alone", tmp_path / "mixed"))
    for name, value in mixed.items():
        torch.testing.assert_close(value, share * before[name] + (1 - share) * alone[name])
    # Changed afterwards, by going on with a run that has ended.
    start(recipe(trained, train, tmp_path / "mixed", **more), resume=True)
    assert equal(weights(tmp_path / "mixed"), alone)
    with pytest.raises(RecipeError, match="no question-answering head"):
        start(recipe(base, train, tmp_path / "new", base_share=0.5))


@pytest.mark.parametrize(
    ("n_layers", "learns"), [(0, ()), (1, ("layers.1.",)), (2, ("layers.0.", "layers.1."))]
)
def test_only_the_upper_layers_are_trained(base, train, tmp_path, n_layers, learns):
    with pytest.raises(Stopped):
        start(
            recipe(base, train, tmp_path / "run", trained_layers=n_layers, save_steps=2),
            listeners=stop_at(3),
        )
    start(recipe(base, train, tmp_path / "run", trained_layers=n_layers), resume=True)
    before, after = (
        read_weights(path, read_config(path), require_head=False)
        for path in (base, tmp_path / "run")
    )
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {name for name in before if name.startswith(learns)}


def test_more_trained_layers_than_there_are_are_refused(base, train, tmp_path):
    with pytest.raises(RecipeError, match="trained_layers: 3 is more than the 2 layers"):
        start(recipe(base, train, tmp_path / "run", trained_layers=3))


def test_it_learns(base, train, tmp_path):
    start(recipe(base, train, tmp_path, epochs=30.0, dropout=0.0, learning_rate=5e-3))
    lines = [json.loads(s) for s in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines]
    assert losses[-1] < 0.2 * losses[0]


def test_the_same_seed_gives_the_same_weights(base, train, whole, tmp_path):
    start(recipe(base, train, tmp_path))
    assert equal(weights(tmp_path), weights(whole[0]))
    start(recipe(base, train, tmp_path / "other", seed=1))
    assert not equal(weights(tmp_path / "other"), weights(whole[0]))


@pytest.mark.parametrize("step", [1, 2, 3, 7, 10])
def test_a_stopped_run_goes_on_bit_for_bit(base, train, whole, tmp_path, step):
    with pytest.raises(Stopped):
        start(recipe(base, train, tmp_path, save_steps=2), listeners=stop_at(step))
    start(recipe(base, train, tmp_path, save_steps=2), resume=True)
    assert equal(weights(tmp_path), weights(whole[0]))
    found, expected = (
        [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        for out in (tmp_path, whole[0])
    )
    losses = [line["loss"] for line in expected if "loss" in line]
    assert [line["loss"] for line in found if "loss" in line] == losses


@pytest.mark.slow
def test_a_killed_process_goes_on_bit_for_bit(base, train, whole, tmp_path):
    out = tmp_path / "run"
    values = recipe(base, train, out, save_steps=1).to_dict()
    (tmp_path / "recipe.toml").write_text("")
    overrides = [f"{k}={json.dumps(v) if not isinstance(v, str) else v}"
                 for k, v in values.items() if v is not None]  # fmt: skip
    command = [sys.executable, "-m", "potstill", "finetune", str(tmp_path / "recipe.toml")]
    process = subprocess.Popen([*command, *overrides], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while not (out / "checkpoints" / "step-000000003").exists():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    process.wait()
    subprocess.run([*command, *overrides, "--resume"], check=True, capture_output=True)
    assert equal(weights(out), weights(whole[0]))


def test_only_the_newest_checkpoints_are_kept(base, train, tmp_path):
    start(recipe(base, train, tmp_path, save_steps=2, keep=3, max_steps=10))
    kept = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000000006", "step-000000008", "step-000000010"]


def test_a_run_is_not_overwritten(base, train, tmp_path):
    start(recipe(base, train, tmp_path, max_steps=2))
    with pytest.raises(CheckpointError, match="already holds a run: add --resume"):
        start(recipe(base, train, tmp_path, max_steps=2))


def test_what_may_not_change_is_named(base, train, tmp_path):
    start(recipe(base, train, tmp_path, max_steps=2))
    with pytest.raises(CheckpointError, match=r"learning_rate=0.001, not 0.002"):
        start(recipe(base, train, tmp_path, learning_rate=2e-3), resume=True)
    other = tiny.write_squad(tmp_path / "other.json", copies=11)
    with pytest.raises(CheckpointError, match="other training data"):
        start(recipe(base, other, tmp_path, max_steps=3), resume=True)
    start(recipe(base, train, tmp_path, max_steps=4), resume=True)


def test_a_damaged_checkpoint_is_named(base, train, tmp_path):
    start(recipe(base, train, tmp_path, max_steps=2))
    file = tmp_path / "checkpoints" / "step-000000002" / "optimizer.safetensors"
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(CheckpointError, match="step-000000002 cannot be used"):
        start(recipe(base, train, tmp_path, max_steps=3), resume=True)


def test_a_full_disk_leaves_the_older_checkpoint(base, train, tmp_path, monkeypatch):
    from potstill.training.run import checkpoint

    write, written = checkpoint.save_file, []

    def full(tensors, file):
        written.append(file)
        if len(written) > 4:
            raise OSError(28, "No space left on device")
        write(tensors, file)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OutputError, match="No space left on device"):
        start(recipe(base, train, tmp_path, save_steps=2))
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-000000002"]


def test_held_out_contexts_are_whole_and_the_same_for_every_seed(train):
    from potstill.data.qa import load_qa

    examples = load_qa(train).examples
    rest, held = split_held_out(examples, 0.3)
    assert held
    assert rest
    assert {e.context for e in rest}.isdisjoint({e.context for e in held})
    assert sorted(e.id for e in rest + held) == sorted(e.id for e in examples)
    assert split_held_out(examples, 0.0) == (examples, [])


def test_held_out_contexts_are_scored(base, train, tmp_path):
    scores = start(recipe(base, train, tmp_path, holdout=0.3, max_steps=2, evaluate_steps=1))
    assert 0 < scores["total"] < 48
    lines = [json.loads(s) for s in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "f1" in line] == [1, 2]


@pytest.mark.parametrize("step", [2, 3])
def test_no_score_is_lost_or_written_twice(base, train, tmp_path, step):
    def scored(out):
        lines = [json.loads(s) for s in (out / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if "f1" in line]

    options = {"holdout": 0.3, "max_steps": 4, "evaluate_steps": 2, "save_steps": 1}
    start(recipe(base, train, tmp_path / "whole", **options))
    stopped = tmp_path / "stopped"
    with pytest.raises(Stopped):  # behind the checkpoint of this step, before its scores
        start(recipe(base, train, stopped, **options), listeners=stop_at(step))
    for _ in range(2):  # the second time there is nothing left to do
        start(recipe(base, train, stopped, **options), resume=True)
        assert scored(stopped) == scored(tmp_path / "whole")
    assert [line["step"] for line in scored(stopped)] == [2, 4]


def test_wrong_offsets_are_refused_or_mended(base, train, tmp_path):
    data = json.loads(Path(train).read_text())
    answers = data["data"][0]["paragraphs"][0]["qas"][0]["answers"]
    answers[0]["answer_start"] += 3
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(data))
    with pytest.raises(DataError, match="fix_offsets"):
        start(recipe(base, wrong, tmp_path / "a", max_steps=1))
    start(recipe(base, wrong, tmp_path / "b", max_steps=1, fix_offsets=True))


def test_windows_longer_than_the_model_are_refused(base, train, tmp_path):
    with pytest.raises(RecipeError, match="seq_len 384 is more than the 128 positions"):
        start(recipe(base, train, tmp_path, seq_len=384))


def test_a_device_that_is_not_there_is_refused(base, train, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match="torch sees no CUDA device"):
        start(recipe(base, train, tmp_path, device="cuda"))


def test_questions_without_marks_get_none(base, train, tmp_path):
    text = train.read_text(encoding="utf-8")
    assert load_split(recipe(base, train, tmp_path)).tidy_questions
    (tmp_path / "bare.json").write_text(text.replace("?", ""), encoding="utf-8")
    assert not load_split(recipe(base, tmp_path / "bare.json", tmp_path)).tidy_questions


def test_unanswerable_questions_are_trained_and_scored_by_the_rules_of_v2(base, train, tmp_path):
    data = json.loads(Path(train).read_text())
    for paragraph in data["data"][0]["paragraphs"][::2]:
        paragraph["qas"][0].update(is_impossible=True, answers=[])
    path = tmp_path / "v2.json"
    path.write_text(json.dumps({**data, "version": "v2.0"}))
    scores = start(recipe(base, path, tmp_path / "out", dev=str(path), max_steps=2))
    assert {"HasAns_f1", "NoAns_f1", "best_f1", "best_f1_thresh"} <= scores.keys()
    manifest = json.loads((tmp_path / "out" / "potstill.json").read_text())
    assert manifest["no_answer"] is True
    # A reader that cannot say "no answer" is scored by v2.0's rules all the same.
    scores = start(recipe(base, train, tmp_path / "v1", dev=str(path), max_steps=2))
    # Not 0: an untrained reader may answer "the", which the official rules normalise to nothing.
    assert scores["NoAns_f1"] < 20


def test_tensorboard_files_are_written_on_demand(base, train, tmp_path):
    start(recipe(base, train, tmp_path, max_steps=2, tensorboard=True))
    (file,) = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    assert b"loss" in file.read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_fills_up_between_checkpoints_is_one_line(base, train, tmp_path):
    def fill(report):
        if report.step == 2:
            (tmp_path / "metrics.jsonl").unlink()
            (tmp_path / "metrics.jsonl").symlink_to("/dev/full")

    with pytest.raises(OutputError, match="make room and go on with --resume"):
        start(recipe(base, train, tmp_path, save_steps=1), listeners=Listeners(step=fill))
    assert (tmp_path / "checkpoints" / "step-000000002").is_dir()


def test_the_finished_model_is_the_average_of_its_steps(whole, train, tmp_path):
    """An exponential moving average in which the first steps keep less of what was before."""
    base, out = whole[0], tmp_path / "run"
    averages = [QuestionAnsweringModel.from_pretrained(base).state_dict()]

    def follow(report) -> None:
        now = load_file(out / "checkpoints" / f"step-{report.step:09d}" / "model.safetensors")
        keep = min(0.6, (1 + report.step) / (10 + report.step))
        before = averages[-1]
        averages.append({name: keep * before[name] + (1 - keep) * now[name] for name in now})

    more = {"averaging": 0.6, "save_steps": 1}
    start(recipe(base, train, out, **more), listeners=Listeners(step=follow))
    found = QuestionAnsweringModel.from_pretrained(out).state_dict()
    assert len(averages) > 10
    for name, value in averages[-1].items():
        torch.testing.assert_close(found[name], value)


@pytest.mark.parametrize("step", [1, 4])
def test_a_stopped_run_goes_on_with_its_average(base, train, tmp_path, step):
    start(recipe(base, train, tmp_path / "whole", averaging=0.9))
    out = tmp_path / "stopped"
    with pytest.raises(Stopped):
        start(recipe(base, train, out, averaging=0.9, save_steps=2), listeners=stop_at(step))
    start(recipe(base, train, out, averaging=0.9, save_steps=2), resume=True)
    assert equal(weights(out), weights(tmp_path / "whole"))


def test_what_is_scored_on_the_way_is_the_average(base, train, tmp_path):
    """The steps themselves are the same, for nothing is taken back into them."""
    more = {"averaging": 0.0, "dev": str(train), "evaluate_steps": 2, "learning_rate": 0.02}
    start(recipe(base, train, tmp_path / "plain", **more))
    start(recipe(base, train, tmp_path / "averaged", **{**more, "averaging": 0.99}))
    plain, averaged = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("plain", "averaged")
    )
    assert [r["loss"] for r in plain if "loss" in r] == [r["loss"] for r in averaged if "loss" in r]
    assert [r["f1"] for r in plain if "f1" in r] != [r["f1"] for r in averaged if "f1" in r]


@pytest.mark.parametrize("decay", [1.0, 0.5, 0.0])
def test_lower_layers_learn_at_a_share_of_the_rate(whole, train, tmp_path, decay):
    """Adam's first step moves every number by its rate, whatever the gradient."""
    more = {"layer_decay": decay, "max_steps": 1, "warmup": 0.0, "weight_decay": 0.0}
    start(recipe(whole[0], train, tmp_path, clip_norm=0.0, **more))
    before, after = (
        QuestionAnsweringModel.from_pretrained(folder).state_dict()
        for folder in (whole[0], tmp_path)
    )
    wanted = {"qa_head": 1.0, "layers.1": decay, "layers.0": decay**2, "embeddings": decay**3}
    for part, share in wanted.items():
        moved = [float((after[n] - before[n]).abs().max()) for n in before if part in n]
        assert max(moved) == pytest.approx(1e-3 * share, rel=0.02)
