"""What a run must not do unnoticed: leave gradients unclipped, decay biases, share its folder."""

import hashlib
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
from potstill.training.run.loop import make_optimizer
from potstill.training.start import start
from runs import weights


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
