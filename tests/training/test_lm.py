"""Whole runs of plain masked language modelling on tiny models."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.weights import read_weights
from potstill.errors import CheckpointError, DataError, RecipeError
from potstill.models.lm import MaskedLM
from potstill.text.tokenizer import Tokenizer
from potstill.training.lm.corpus import CorpusRows
from potstill.training.lm.masking import Masking
from potstill.training.lm.training import HeldOutLoss, MaskedLMLoss
from potstill.training.recipe.file import make_recipe
from potstill.training.run.loop import make_fabric
from potstill.training.run.report import Listeners
from potstill.training.start import start
from runs import Stopped, equal, stop_at, weights

pytestmark = pytest.mark.usefixtures("own_cache")


def recipe(base, corpus, out, **more):
    values = {
        "task": "masked-lm",
        "base": str(base),
        "corpus": str(corpus),
        "out": str(out),
        "epochs": 2.0,
        "batch_tokens": 200,
        "sequences_per_step": 12,
        "learning_rate": 1e-3,
        "dropout": 0.1,  # so that a wrong random state would show
        "log_steps": 1,
        "threads": 1,
        "seq_len": 32,
        "holdout": 0.2,
        "precision": "fp32",
    }
    return make_recipe({**values, **more})


def lines(out):
    return [json.loads(line) for line in (Path(out) / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def whole(base, corpus, tmp_path_factory):
    """A run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole")
    return out, start(recipe(base, corpus, out, cache=str(out / "cache"), evaluate_steps=2))


def test_the_result_is_a_masked_language_model(whole, corpus):
    out, scores = whole
    model = MaskedLM.from_pretrained(out)
    assert model.config.hidden_dropout == 0.1
    manifest = json.loads((out / "potstill.json").read_text())
    assert manifest["task"] == "masked-lm"
    assert manifest["recipe"]["corpus"] == manifest["data"]["corpus"] == "corpus.txt"
    assert str(corpus.parent) not in json.dumps(manifest)
    assert manifest["scores"] == scores
    assert json.loads((out / "config.json").read_text())["architectures"] == ["BertForMaskedLM"]
    assert Tokenizer.from_folder(out).mask_id == 4


def test_the_loss_on_held_out_text_is_written_and_falls(base, corpus, tmp_path):
    more = {"epochs": 30.0, "dropout": 0.0, "learning_rate": 5e-3, "evaluate_steps": 10}
    start(recipe(base, corpus, tmp_path / "run", **more))
    found = [line["mlm_loss"] for line in lines(tmp_path / "run") if "mlm_loss" in line]
    assert len(found) > 3
    assert found[-1] < found[0] - 0.3


def test_scoring_leaves_the_run_as_it_is(base, corpus, whole, tmp_path):
    start(recipe(base, corpus, tmp_path / "run"))
    assert equal(weights(tmp_path / "run"), weights(whole[0]))


@pytest.mark.parametrize("step", [1, 2, 5])
def test_a_stopped_run_goes_on_bit_for_bit(base, corpus, whole, tmp_path, step):
    values = {"save_steps": 2, "evaluate_steps": 2}
    with pytest.raises(Stopped):
        start(recipe(base, corpus, tmp_path / "run", **values), listeners=stop_at(step))
    scores = start(recipe(base, corpus, tmp_path / "run", **values), resume=True)
    assert equal(weights(tmp_path / "run"), weights(whole[0]))
    assert scores == whole[1]
    losses = [
        [line["loss"] for line in lines(out) if "loss" in line]
        for out in (tmp_path / "run", whole[0])
    ]
    assert losses[0] == losses[1]


def test_a_run_goes_on_with_the_same_text_only(base, corpus, tmp_path):
    with pytest.raises(Stopped):
        start(recipe(base, corpus, tmp_path / "run", save_steps=1), listeners=stop_at(2))
    moved = tmp_path / "moved.txt"
    moved.write_text(corpus.read_text())
    start(recipe(base, moved, tmp_path / "run", max_steps=3), resume=True)
    moved.write_text("another text. " * 300)
    with pytest.raises(CheckpointError, match="other training data"):
        start(recipe(base, moved, tmp_path / "run", holdout=0.2), resume=True)


def test_a_head_alone(base, corpus, tmp_path):
    notes = []
    values = {"trained_layers": 0, "dropout": 0.0, "learning_rate": 1e-2, "epochs": 10.0}
    run = recipe(base, corpus, tmp_path / "run", evaluate_steps=4, **values)
    start(run, listeners=Listeners(note=notes.append))
    config = read_config(base)
    before = read_weights(base, config, head="mlm", require_head=False)
    after = read_weights(tmp_path / "run", config, head="mlm")
    assert all(np.array_equal(after[name], before[name]) for name in before)
    assert np.abs(after["lm_head.bias"]).max() > 0.01
    assert any("no masked-LM head: a new one was made" in note for note in notes)
    found = [line["mlm_loss"] for line in lines(tmp_path / "run") if "mlm_loss" in line]
    assert found[-1] < found[0]


def test_from_scratch_in_another_shape(base, corpus, tmp_path):
    shape = {"fresh": True, "n_layers": 3, "hidden_width": 24, "ffn_width": 20, "n_heads": 3}
    start(recipe(base, corpus, tmp_path / "run", max_steps=1, **shape))
    config = read_config(tmp_path / "run")
    found = (config.n_layers, config.hidden_width, config.ffn_width, config.n_heads)
    assert found == (3, 24, 20, 3)
    assert config.model_type == "bert"


def test_a_fresh_model_with_the_word_embeddings_of_a_wider_one(base, corpus, tmp_path):
    still = {"fresh": True, "embeddings": "base", "max_steps": 1, "learning_rate": 0.0}
    before = read_weights(base, read_config(base), head="mlm", require_head=False)
    table = before["embeddings.word.weight"]
    start(recipe(base, corpus, tmp_path / "whole", **still))
    whole = read_weights(tmp_path / "whole", read_config(tmp_path / "whole"), head="mlm")
    assert np.array_equal(whole["embeddings.word.weight"], table)
    name = "layers.0.attention.query.weight"
    assert not np.allclose(whole[name], before[name])  # everything else is random
    start(recipe(base, corpus, tmp_path / "half", hidden_width=8, n_heads=2, **still))
    half = read_weights(tmp_path / "half", read_config(tmp_path / "half"), head="mlm")
    expected = PCA(8, svd_solver="full").fit_transform(table)
    # Components have no sign: what the vectors have in common with each other is compared.
    found = half["embeddings.word.weight"]
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-4)


def test_some_layers_of_a_model(base, corpus, tmp_path):
    start(recipe(base, corpus, tmp_path / "run", n_layers=1, max_steps=1, learning_rate=0.0))
    config = read_config(tmp_path / "run")
    assert config.n_layers == 1
    old = read_weights(base, read_config(base), head="mlm", require_head=False)
    new = read_weights(tmp_path / "run", config, head="mlm")
    name = "attention.query.weight"
    assert np.array_equal(new[f"layers.0.{name}"], old[f"layers.1.{name}"])


def _one_mask(base, **more):
    tokenizer = Tokenizer.from_folder(base)
    model = MaskedLM.from_folder(base, read_config(base))[0].eval()
    return model, Masking.of(tokenizer, **more)


def _rows(n_rows=7, seq_len=20):
    table = np.random.default_rng(0).integers(5, 60, (n_rows, seq_len)).astype(np.uint16)
    table[:, 0], table[:, -1] = 2, 3
    lengths = np.full(n_rows, seq_len)
    table[-1, 9:], lengths[-1] = 0, 9
    return CorpusRows(table, lengths)


def test_the_loss_is_that_of_the_labelled_positions(base):
    model, masking = _one_mask(base)
    batch = _rows().batch(list(range(7)))
    torch.manual_seed(3)
    found = MaskedLMLoss(masking)(model, batch, 0.0)
    from potstill.training.lm.masking import mask_tokens

    torch.manual_seed(3)
    shown, labels = mask_tokens(batch["input_ids"], masking)
    expected = model(shown, batch["attention_mask"], labels=labels).loss * 7
    torch.testing.assert_close(found, expected)


def test_held_out_scores_do_not_depend_on_batches_nor_touch_the_generator(base, corpus, tmp_path):
    model, masking = _one_mask(base)
    model.train()
    fabric = make_fabric(recipe(base, corpus, tmp_path / "run"))
    before = torch.get_rng_state()
    scores = [
        HeldOutLoss(_rows(), masking, fabric, batch_tokens=n).score(model) for n in (1, 50, 10_000)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert model.training
    assert scores[0]["total"] == scores[1]["total"] == scores[2]["total"] > 5
    assert scores[0]["mlm_loss"] == pytest.approx(scores[2]["mlm_loss"], rel=1e-5)
    assert scores[1]["mlm_loss"] == pytest.approx(scores[2]["mlm_loss"], rel=1e-5)
    empty = CorpusRows(np.empty((0, 20), np.uint16), np.empty(0, np.int64))
    assert HeldOutLoss(empty, masking, fabric, batch_tokens=100).score(model) == {}


def test_nothing_held_out_is_said(base, corpus, tmp_path):
    notes = []
    run = recipe(base, corpus, tmp_path / "run", holdout=1e-9, max_steps=1)
    assert start(run, listeners=Listeners(note=notes.append)) == {}
    assert any("nothing is scored" in note for note in notes)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seq_len": 256}, "seq_len 256 is more than the 128 positions"),
        ({"layers": (0, 5)}, "layers names layer 5"),
        ({"n_layers": 3}, "n_layers 3 is more than the 2 layers"),
        ({"hidden_width": 8}, "hidden_width can only be chosen for a fresh model"),
        ({"fresh": True, "n_heads": 3}, "not a multiple of n_heads 3"),
        ({"fresh": True, "trained_layers": 0}, "would leave layers random"),
        ({"embeddings": "base"}, "embeddings can only be chosen for a fresh model"),
        (
            {"fresh": True, "embeddings": "base", "hidden_width": 64, "n_heads": 4},
            "hidden_width 64 is more than base's word embeddings have",
        ),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(
    base, corpus, tmp_path, values, message
):
    with pytest.raises(RecipeError, match=message):
        start(recipe(base, corpus, tmp_path / "run", **values))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_corpus_that_cannot_be_read(base, tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"gr\xfc\xdfe")
    (tmp_path / "empty.txt").write_text("")
    for name, message in (("latin", "not UTF-8"), ("empty", "no text"), ("none", "not exist")):
        with pytest.raises(DataError, match=message):
            start(recipe(base, tmp_path / f"{name}.txt", tmp_path / "run"))


def test_a_tokenizer_larger_than_its_model(base, corpus, tmp_path):
    small = tiny.write_model(tmp_path / "small", vocab_size=20)
    with pytest.raises(RecipeError, match="embeddings for 20"):
        start(recipe(small, corpus, tmp_path / "run"))
