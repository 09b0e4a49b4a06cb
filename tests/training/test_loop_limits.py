"""What a run must not do unnoticed: leave gradients unclipped, decay biases, share its folder."""

import copy
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import tiny
from potstill.bundle.atomic import locked
from potstill.bundle.cache import cache_folder
from potstill.errors import CheckpointError
from potstill.models.qa import QuestionAnsweringModel
from potstill.training.recipe.qa import Recipe
from potstill.training.run.loop import MetricsFile, Run, make_fabric, make_optimizer
from potstill.training.run.sampling import rate_factor
from potstill.training.start import start
from runs import Small, Vectors, squares, weights


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return {
        "base": str(tiny.write_model(folder / "base")),
        "train": str(tiny.write_squad(folder / "train.json", copies=2)),
        "max_steps": 1,
        "warmup": 0.0,
        "batch_tokens": 300,
        "precision": "fp32",
        "threads": 1,
        "seq_len": 64,
        "stride": 16,
        "weight_decay": 0.0,
    }


def gradient(values, out, **more):
    """The norm of the gradient that the first step is taken by."""
    seen = []
    step = torch.optim.AdamW.step

    def watched(self, *args, **kwargs):
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        seen.append(float(torch.cat([g.flatten() for g in grads if g is not None]).norm()))
        return step(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", watched)
        start(Recipe(**{**values, "out": str(out), **more}))
    return seen[0]


def test_the_gradient_is_no_longer_than_clip_norm(values, tmp_path):
    whole = gradient(values, tmp_path / "a", clip_norm=0.0)
    assert whole > 0.02
    assert gradient(values, tmp_path / "b", clip_norm=0.01) == pytest.approx(0.01, rel=1e-3)
    assert gradient(values, tmp_path / "c", clip_norm=1000 * whole) == pytest.approx(
        whole, rel=1e-5
    )


def test_biases_and_norms_do_not_decay(values):
    model = QuestionAnsweringModel(tiny.config())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    recipe = Recipe(**{**values, "out": "o", "weight_decay": 0.5, "learning_rate": 0.1})
    optimizer = make_optimizer(model, recipe)
    for group in optimizer.param_groups:
        group["lr"] = 0.1
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        kept = name.endswith("bias") or "norm" in name
        expected = 1.0 if kept else 1.0 - 0.1 * 0.5
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-6, err_msg=name)


SHARES = {
    "encoder.embeddings": 0.125,
    "encoder.layers.0": 0.25,
    "encoder.layers.1": 0.5,
    "head": 1.0,
}
"""Module → its share of the rate, at a layer decay of a half."""


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_steps_are_those_of_plain_adamw(values, tmp_path, averaging):
    more = {"accumulate": 2, "layer_decay": 0.5, "weight_decay": 0.1, "clip_norm": 0.0, "keep": 1}
    more |= {"batch_tokens": 40, "max_steps": 0, "epochs": 3, "warmup": 0.3, "learning_rate": 0.05}
    recipe = Recipe(**{**values, **more, "out": str(tmp_path), "averaging": averaging})
    fabric, rows, model = make_fabric(recipe), Vectors(), Small()
    plain = copy.deepcopy(model)
    run = Run(fabric, model, rows, squares, recipe, fingerprint="f", resume=False)
    reports = list(run)
    run.finish()
    groups = [
        {"params": [p], "share": share, "weight_decay": 0.1 if p.ndim > 1 else 0.0}
        for name, share in SHARES.items()
        for p in plain.get_submodule(name).parameters()
    ]
    adamw, means = torch.optim.AdamW(groups), [p.detach().clone() for p in plain.parameters()]
    sizes = set()
    for number in range(run.n_steps):
        batches = run.schedule.step(number)
        chosen = [i for batch in batches for i in batch]
        sizes.add(len(chosen))
        factor = rate_factor(number, run.n_steps, warmup=0.3, decay=1.0)
        for group in adamw.param_groups:
            group["lr"] = 0.05 * factor * group["share"]
        loss = (plain(rows.x[chosen]) - 1).square().mean()
        assert reports[number].loss == pytest.approx(loss.item(), rel=1e-4)
        adamw.zero_grad()
        loss.backward()
        adamw.step()
        keep = min(0.9, (2 + number) / (11 + number))
        means = [
            m.lerp(p.detach(), 1 - keep) for m, p in zip(means, plain.parameters(), strict=True)
        ]
    assert len(sizes) > 1  # a step's rows are counted, not those of a batch
    expected = means if averaging else list(plain.parameters())
    for (name, ours), theirs in zip(model.named_parameters(), expected, strict=True):
        np.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), rtol=2e-4, atol=2e-6, err_msg=name
        )
    with pytest.raises(CheckpointError, match="other training data"):
        Run(fabric, Small(), rows, squares, recipe, fingerprint="g", resume=True)


def test_a_resumed_run_writes_no_line_of_its_metrics_twice(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 2.0}, {"step": 2, "f1": 7.0}]
    path.write_text("\n".join(map(json.dumps, [*lines, {"step": 3, "loss": 1.0}])) + '\n{"ste')
    MetricsFile(path, step=2).write(step=2, f1=8.0)
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert kept == [*lines[:2], {"step": 2, "f1": 8.0}]


def test_two_runs_do_not_share_a_folder(values, tmp_path):
    out = tmp_path / "out"
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()
    folder = cache_folder() / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    holding = (
        "import sys; from pathlib import Path; from potstill.bundle.atomic import locked\n"
        "with locked(Path(sys.argv[1])) as ours:\n"
        "    print(ours, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holding, str(folder / f"{name}.lock")]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline().strip() == "True"
        with pytest.raises(CheckpointError, match="another process is training into"):
            start(Recipe(**{**values, "out": str(out)}))
        assert not out.exists()
    finally:
        other.kill()
        other.communicate()
    start(Recipe(**{**values, "out": str(out)}))
    assert weights(out)


def test_a_lock_goes_with_its_block(tmp_path):
    file = tmp_path / "lock"
    with locked(file) as first:
        assert first
        with locked(file) as second:
            assert not second
    with locked(file) as again:
        assert again


def test_steps_beyond_the_epochs_are_said(values, tmp_path):
    from potstill.training.run.report import Listeners

    notes = []
    made = Recipe(**{**values, "out": str(tmp_path / "o"), "max_steps": 999, "epochs": 1})
    start(made, listeners=Listeners(note=notes.append))
    assert any("max_steps is 999, but epochs=1 end behind step" in note for note in notes)


@pytest.mark.parametrize(
    ("old", "new"), [("max_seq_length", "seq_len"), ("num_train_epochs", "epochs")]
)
def test_keys_of_other_scripts_are_answered_with_ours(values, old, new):
    from potstill.errors import RecipeError
    from potstill.training.recipe.file import make_recipe

    with pytest.raises(RecipeError, match=f"'{old}': here it is '{new}'"):
        make_recipe({**values, "task": "question-answering", "out": "o", old: 1}, verb="finetune")
