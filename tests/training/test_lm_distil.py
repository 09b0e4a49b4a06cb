"""Whole runs of language-model distillation on tiny models."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.weights import read_weights
from potstill.errors import CheckpointError, RecipeError
from potstill.losses.lm import hidden_cosine, masked_lm_cross_entropy, soft_target_kl
from potstill.models.lm import MaskedLM
from potstill.text.tokenizer import Tokenizer
from potstill.training.lm.masking import MaskedRows, Masking
from potstill.training.lm.teacher import LMDistilLoss
from potstill.training.recipe.file import make_recipe
from potstill.training.run.loop import make_fabric
from potstill.training.run.report import Listeners
from potstill.training.start import start
from runs import Stopped, equal, weights

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A teacher with a masked-LM head."""
    return tiny.write_model(tmp_path_factory.mktemp("base"), head="mlm", n_layers=4)


@pytest.fixture(scope="module")
def headless(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("headless"), head=None, n_layers=4)


def recipe(base, corpus, out, **more):
    values = {
        "task": "masked-lm",
        "base": str(base),
        "corpus": str(corpus),
        "out": str(out),
        "n_layers": 2,
        "epochs": 2.0,
        "batch_tokens": 200,
        "sequences_per_step": 12,
        "learning_rate": 1e-3,
        "dropout": 0.1,
        "log_steps": 1,
        "threads": 1,
        "seq_len": 32,
        "holdout": 0.2,
        "precision": "fp32",
        "head_steps": 5,
    }
    return make_recipe({**values, **more}, verb="distil")


def lines(out):
    return [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]


def test_the_student_is_a_distilbert_of_the_teachers_layers(base, corpus, tmp_path):
    out = tmp_path / "run"
    scores = start(recipe(base, corpus, out, learning_rate=0.0, max_steps=1))
    config = read_config(out)
    assert (config.model_type, config.n_layers, config.n_token_types) == ("distilbert", 2, 0)
    new = read_weights(out, config, head="mlm")
    old = read_weights(base, read_config(base), head="mlm")
    for name in ("ffn.up.weight", "attention.query.bias"):
        assert np.array_equal(new[f"layers.0.{name}"], old[f"layers.0.{name}"])
        assert np.array_equal(new[f"layers.1.{name}"], old[f"layers.3.{name}"])
    assert np.array_equal(new["lm_head.dense.weight"], old["lm_head.dense.weight"])
    assert np.array_equal(new["embeddings.word.weight"], old["embeddings.word.weight"])
    assert json.loads((out / "potstill.json").read_text())["task"] == "masked-lm"
    assert scores["mlm_loss"] > 0
    assert not (out / "teacher").exists()


def test_a_student_that_is_the_teacher_has_nothing_to_learn_from_it(base, corpus, tmp_path):
    """All layers, no token types, no dropout: soft targets and cosine are 0."""
    more = {"n_layers": 0, "dropout": 0.0, "alpha_mlm": 0.0, "learning_rate": 0.0, "max_steps": 2}
    start(recipe(base, corpus, tmp_path / "run", **more))
    losses = [line["loss"] for line in lines(tmp_path / "run") if "loss" in line]
    assert losses == pytest.approx([0, 0], abs=1e-4)


@pytest.mark.parametrize("everywhere", [False, True], ids=["hidden", "everywhere"])
def test_the_loss_is_the_weighted_sum_of_its_parts(base, corpus, tmp_path, everywhere):
    alphas = {"alpha_ce": 3.0, "alpha_mlm": 0.7, "alpha_cos": 0.2}
    run = recipe(base, corpus, tmp_path / "run", all_positions=everywhere, **alphas)
    teacher, _ = MaskedLM.from_folder(base, read_config(base))
    student = MaskedLM(tiny.config("distilbert")).eval()
    masking = Masking.of(Tokenizer.from_folder(base))
    ids = torch.randint(5, 60, (4, 24), generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(24) < torch.tensor([24, 24, 10, 3])[:, None]).long()
    batch = {"input_ids": torch.where(mask.bool(), ids, 0), "attention_mask": mask}
    fabric = make_fabric(run)
    torch.manual_seed(5)
    found = LMDistilLoss(run, masking, teacher, fabric)(student, batch, 0.0)
    torch.manual_seed(5)
    rows = MaskedRows.of(batch, masking)
    s = student(rows.shown, mask, output_hidden_states=True)
    t = teacher(rows.shown, mask, output_hidden_states=True)
    at = rows.positions
    seen = mask.bool() if everywhere else at
    expected = (
        3.0 * soft_target_kl(s.logits[seen], t.logits[seen], run.temperature)
        + 0.7 * masked_lm_cross_entropy(s.logits[at], rows.gold)
        + 0.2 * hidden_cosine(s.hidden_states[-1], t.hidden_states[-1], mask)
    )
    torch.testing.assert_close(found, expected * 4)
    found.backward()
    assert all(p.grad is None for p in teacher.parameters())


@pytest.fixture(scope="module")
def whole(headless, corpus, tmp_path_factory):
    """A run that nothing stopped, its teacher's head included."""
    out = tmp_path_factory.mktemp("whole")
    notes = []
    run = recipe(headless, corpus, out, cache=str(out / "cache"))
    return out, start(run, listeners=Listeners(note=notes.append)), notes


def test_a_teacher_without_a_head_gets_one_first(headless, whole):
    out, _, notes = whole
    assert any("one is trained first" in note for note in notes)
    config = read_config(headless)
    before = read_weights(headless, config, head="mlm", require_head=False)
    teacher = read_weights(out / "teacher", read_config(out / "teacher"), head="mlm")
    assert all(np.array_equal(teacher[name], before[name]) for name in before)
    manifest = json.loads((out / "teacher" / "potstill.json").read_text())
    assert manifest["recipe"]["trained_layers"] == 0 and manifest["recipe"]["max_steps"] == 5
    assert [line["step"] for line in lines(out / "teacher") if "loss" in line] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("where", [("head", 1), ("head", 5), ("student", 1), ("student", 4)])
def test_a_stopped_run_goes_on_bit_for_bit(headless, corpus, whole, tmp_path, where):
    stage, step = where
    run = recipe(headless, corpus, tmp_path / "run", save_steps=2)

    def head(name, done, total):
        if stage == "head" and done == step:
            raise Stopped

    def student(report):
        if stage == "student" and report.step == step:
            raise Stopped

    with pytest.raises(Stopped):
        start(run, listeners=Listeners(stage=head, step=student))
    scores = start(run, resume=True)
    assert equal(weights(tmp_path / "run"), weights(whole[0]))
    assert equal(weights(tmp_path / "run" / "teacher"), weights(whole[0] / "teacher"))
    assert scores == whole[1]


def test_a_finished_head_is_used_again(headless, corpus, whole, tmp_path):
    shutil.copytree(whole[0] / "teacher", tmp_path / "run" / "teacher")
    stages = []
    run = recipe(headless, corpus, tmp_path / "run", alpha_ce=0.5, max_steps=1)
    start(run, listeners=Listeners(stage=lambda *stage: stages.append(stage)))
    assert stages == []
    before = weights(tmp_path / "run" / "teacher")
    longer = recipe(headless, corpus, tmp_path / "run", alpha_ce=0.5, max_steps=2, head_steps=7)
    with pytest.raises(CheckpointError, match="made with head_steps=5, not 7"):
        start(longer, resume=True)
    with pytest.raises(CheckpointError, match="already holds a run"):
        start(longer)
    assert equal(weights(tmp_path / "run" / "teacher"), before)


def test_a_head_for_another_encoder_is_not_used(headless, corpus, whole, tmp_path):
    shutil.copytree(whole[0] / "teacher", tmp_path / "run" / "teacher")
    other = tiny.write_model(tmp_path / "other", head=None, n_layers=4, seed=1)
    with pytest.raises(CheckpointError, match="a head for another teacher"):
        start(recipe(other, corpus, tmp_path / "run"))


def test_another_checkpoint_and_a_fresh_student(base, headless, corpus, tmp_path):
    start(recipe(headless, corpus, tmp_path / "a", teacher=str(base), max_steps=1))
    assert not (tmp_path / "a" / "teacher").exists()
    shape = {"fresh": True, "hidden_width": 8, "n_heads": 2, "alpha_cos": 0.0}
    start(recipe(base, corpus, tmp_path / "b", max_steps=1, **shape))
    config = read_config(tmp_path / "b")
    assert (config.hidden_width, config.model_type) == (8, "distilbert")
    still = {"max_steps": 1, "learning_rate": 0.0, "embeddings": "base"}
    start(recipe(base, corpus, tmp_path / "c", **still, **shape | {"hidden_width": 16}))
    word = "embeddings.word.weight"
    found = read_weights(tmp_path / "c", read_config(tmp_path / "c"), head="mlm")
    assert np.array_equal(found[word], read_weights(base, read_config(base), head="mlm")[word])


def test_the_student_learns_faster_with_its_teacher(tmp_path):
    """A smoke test of the whole: a teacher that knows such text, a small fresh student."""
    corpus = tiny.write_corpus(tmp_path / "corpus.txt", articles=150)
    base = tiny.write_model(tmp_path / "start", head="mlm")
    teacher = {
        "task": "masked-lm",
        "base": str(base),
        "corpus": str(corpus),
        "out": str(tmp_path / "teacher"),
        "epochs": 25.0,
        "sequences_per_step": 12,
        "learning_rate": 5e-3,
        "dropout": 0.0,
        "seq_len": 32,
        "holdout": 0.2,
        "fresh": True,
        "hidden_width": 32,
        "n_heads": 4,
        "precision": "fp32",
    }
    start(make_recipe(teacher))
    shape = {
        "fresh": True,
        "epochs": 3.0,
        "dropout": 0.0,
        "learning_rate": 3e-3,
        "n_layers": 1,
        "holdout": 0.2,
    }
    losses = {}
    for alpha in (0.0, 5.0):
        out = tmp_path / f"alpha-{alpha}"
        weights = {"alpha_ce": alpha, "alpha_mlm": 1.0, "alpha_cos": alpha / 5}
        losses[alpha] = start(recipe(tmp_path / "teacher", corpus, out, **shape, **weights))[
            "mlm_loss"
        ]
    assert losses[5.0] < losses[0.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"temperature": 0.0}, "temperature must be between"),
        ({"alpha_ce": 0.0, "alpha_mlm": 0.0, "alpha_cos": 0.0}, "sum to 0"),
        ({"alpha_ce": -1.0}, "alpha_ce must be between"),
        ({"layers": (0, 9)}, "layers names layer 9"),
        ({"n_layers": 9}, "n_layers 9 is more than the 4 layers"),
        ({"fresh": True, "hidden_width": 8}, "set alpha_cos=0"),
        ({"seq_len": 500}, "seq_len 500 is more than the 128 positions"),
    ],
)
def test_what_cannot_be_distilled_is_refused(base, corpus, tmp_path, values, message):
    with pytest.raises(RecipeError, match=message):
        start(recipe(base, corpus, tmp_path / "run", **values))
    assert not (tmp_path / "run").exists()


def test_a_headless_teacher_and_no_steps_for_one(headless, corpus, tmp_path):
    with pytest.raises(RecipeError, match=r"name one that has, or .* head_steps"):
        start(recipe(headless, corpus, tmp_path / "run", head_steps=0))


def test_vocabularies_that_differ(base, corpus, tmp_path):
    larger = tiny.write_model(tmp_path / "larger", head="mlm", vocab_size=200)
    with pytest.raises(RecipeError, match="vocabulary of 200 tokens"):
        start(recipe(base, corpus, tmp_path / "run", teacher=str(larger)))
    shuffled = tiny.write_model(tmp_path / "shuffled", head="mlm")
    vocabulary = [*tiny.VOCABULARY[:5], *reversed(tiny.VOCABULARY[5:])]
    (shuffled / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    with pytest.raises(RecipeError, match="number their tokens differently"):
        start(recipe(base, corpus, tmp_path / "run", teacher=str(shuffled)))
    short = tiny.write_model(tmp_path / "short", head="mlm", max_positions=16)
    with pytest.raises(RecipeError, match=r"16 positions of teacher .*short"):
        start(recipe(base, corpus, tmp_path / "run", teacher=str(short)))
