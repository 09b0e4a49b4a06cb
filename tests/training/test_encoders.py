"""RoBERTa and ELECTRA are taught, teach and are fine-tuned as BERT is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.weights import read_weights
from potstill.errors import ConfigError, RecipeError
from potstill.records import QAExample
from potstill.runtime.qa import QAClient
from potstill.text.tokenizer import Tokenizer
from potstill.training.qa.rows import make_rows
from potstill.training.recipe.file import make_recipe
from potstill.training.start import start

pytestmark = pytest.mark.usefixtures("own_cache")


def recipe(base, train, out, *, verb="finetune", **more):
    values = {
        "base": str(base),
        "train": str(train),
        "out": str(out),
        "batch_tokens": 200,
        "learning_rate": 5e-3,
        "dropout": 0.0,
        "log_steps": 1,
        "threads": 1,
        "seq_len": 64,
        "stride": 16,
        "precision": "fp32",
    }
    return make_recipe({**values, **more}, verb=verb)


def losses(out):
    lines = [json.loads(s) for s in (Path(out) / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.parametrize("pieces", [False, True], ids=["tokenizer.json", "vocab.json"])
def test_rows_of_byte_level_tokens(tmp_path, pieces):
    tiny.write_byte_level(tmp_path, pieces=pieces)
    tokenizer = Tokenizer.from_folder(tmp_path)
    context = "In 1900, the  naïve 😀 king won Denver.\n\nThe queen lost it."
    for answer in ("naïve 😀", "In", "it", "Denver.", "The queen"):
        example = QAExample(
            id="1", question="Who won?", context=context,
            answers=(answer,), starts=(context.index(answer),),
        )  # fmt: skip
        encoded = tokenizer.encode(context)
        rows = make_rows([example], tokenizer, seq_len=40, stride=12)
        labelled = np.flatnonzero(rows.start)
        assert len(rows) > 1 and len(labelled)
        for i in range(len(rows)):
            row = rows.ids[rows.bounds[i] : rows.bounds[i + 1]]
            at = int(rows.context_at[i])
            assert (row[at - 2 : at] == tokenizer.sep_id).all() and row[-1] == tokenizer.sep_id
            slice_ids = encoded.ids[slice(*rows.slices[i])]
            assert (row[at:-1] == slice_ids).all()
            allowed = rows.batch([i])["allowed"][0].numpy()
            wanted = np.r_[True, np.zeros(at - 1, bool), np.ones(len(slice_ids), bool), False]
            assert (allowed == wanted).all()
            assert not rows.batch([i])["token_type_ids"].any()
        for i in labelled:
            shift = int(rows.slices[i, 0]) - int(rows.context_at[i])
            first, last = int(rows.start[i]) + shift, int(rows.end[i]) + shift
            start, end = encoded.offsets[first, 0], encoded.offsets[last, 1]
            assert context[start:end] == answer


@pytest.mark.parametrize("kind", ["roberta", "electra", "mpnet", "deberta-v2", "modernbert"])
def test_finetuned(tmp_path, train, kind):
    base = tiny.write_model(tmp_path / "base", kind, head=None)
    if kind == "roberta":  # as older folders have it
        (base / "tokenizer.json").unlink()
        tiny.write_byte_level(base, pieces=True)
    start(recipe(base, train, tmp_path / "out", epochs=12.0))
    found = losses(tmp_path / "out")
    assert np.mean(found[-3:]) < 0.5 * found[0]
    config = read_config(tmp_path / "out")
    assert config.to_hf() | {"architectures": 0, "dtype": 0} == {
        **read_config(base).to_hf(),
        "architectures": 0,
        "dtype": 0,
    }
    client = QAClient.from_options(tmp_path / "out", threads=1)
    right = 0
    for text, question, answer in tiny.SENTENCES:
        text = f"In 1900, {text}"  # as it was read in training
        found = client.predict(question, text)
        assert text[found.start : found.end] == found.text
        right += found.text == answer
    assert right >= 2


@pytest.mark.parametrize("kind", ["roberta", "electra", "mpnet", "deberta-v2", "modernbert"])
def test_a_teacher_for_a_bert(tmp_path, train, kind):
    """RoBERTa's tokens, layout and windows are its own: it teaches in characters."""
    teacher = tiny.write_model(tmp_path / "teacher", kind, seed=3, n_layers=3)
    student = tiny.write_model(tmp_path / "student")
    options = {"alpha_ce": 0.0, "alpha_kd": 1.0, "epochs": 25.0, "teacher_seq_len": 48}
    made = recipe(student, train, tmp_path / "out", verb="distil", teacher=str(teacher), **options)
    start(made)
    found = losses(tmp_path / "out")
    assert np.mean(found[-5:]) < 0.6 * found[0]
    assert read_config(tmp_path / "out").model_type == "bert"


def test_a_student_of_its_own_kind_matched_inside(tmp_path, train):
    """Fewer layers of a RoBERTa; equal at first where no layer is left out."""
    teacher = tiny.write_model(tmp_path / "teacher", "roberta", n_layers=4)
    inner = {"alpha_hidden": 1.0, "alpha_attention": 1.0, "alpha_relation": 1.0}
    common = {"verb": "distil", "teacher": str(teacher), "alpha_ce": 0.0, "max_steps": 1}
    start(recipe(teacher, train, tmp_path / "same", n_layers=4, **common, **inner))
    assert losses(tmp_path / "same")[0] == pytest.approx(0, abs=1e-3)
    whole = {"mask_positions": False, "n_layers": 2}
    start(recipe(teacher, train, tmp_path / "half", **common, **whole))
    config = read_config(tmp_path / "half")
    assert (config.model_type, config.n_layers, config.max_positions) == ("roberta", 2, 128)


def test_a_fresh_electra_of_another_width(tmp_path, train):
    base = tiny.write_model(tmp_path / "base", "electra")
    shape = {"fresh": True, "hidden_width": 12, "n_heads": 2, "n_layers": 1}
    options = {"verb": "distil", "teacher": str(base), "max_steps": 1, **shape}
    start(recipe(base, train, tmp_path / "out", **options))
    config = read_config(tmp_path / "out")  # as wide as its tables: no projection any more
    assert (config.hidden_width, config.table_width, config.projects) == (12, 12, False)
    read_weights(tmp_path / "out", config)


def lm_recipe(base, corpus, out, *, verb="finetune", **more):
    values = {
        "task": "masked-lm", "base": str(base), "corpus": str(corpus), "out": str(out),
        "batch_tokens": 400, "sequences_per_step": 12, "log_steps": 1, "threads": 1,
        "seq_len": 32, "holdout": 0.2, "precision": "fp32", "learning_rate": 5e-3,
    }  # fmt: skip
    return make_recipe({**values, **more}, verb=verb)


def test_robertas_language_model(tmp_path):
    corpus = tiny.write_corpus(tmp_path / "corpus.txt")
    base = tiny.write_model(tmp_path / "base", "roberta", head=None)
    start(lm_recipe(base, corpus, tmp_path / "lm", epochs=6.0))
    found = losses(tmp_path / "lm")
    assert np.mean(found[-3:]) < 0.8 * found[0]
    options = {"verb": "distil", "n_layers": 1, "max_steps": 2}
    start(lm_recipe(tmp_path / "lm", corpus, tmp_path / "small", **options))
    config = read_config(tmp_path / "small")
    assert (config.model_type, config.n_layers, config.n_token_types) == ("roberta", 1, 1)
    read_weights(tmp_path / "small", config, head="mlm")
    with pytest.raises(RecipeError, match="whole_words needs a WordPiece vocabulary"):
        start(lm_recipe(base, corpus, tmp_path / "words", whole_words=True))


@pytest.mark.parametrize("fresh", [False, True])
def test_electra_is_no_masked_language_model(tmp_path, fresh):
    corpus = tiny.write_corpus(tmp_path / "corpus.txt", articles=4)
    base = tiny.write_model(tmp_path / "base", "electra")
    for verb in ("finetune", "distil"):
        with pytest.raises(ConfigError, match="electra models cannot have a masked-LM head"):
            start(lm_recipe(base, corpus, tmp_path / verb, verb=verb, fresh=fresh))
    assert not (tmp_path / "distil" / "model.safetensors").exists()
