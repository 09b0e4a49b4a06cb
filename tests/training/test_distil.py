"""Whole distillations on tiny models: what students learn, and going on after a stop."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from tokenizers import models, pre_tokenizers, trainers

import tiny
from potstill.bundle.atomic import write_json
from potstill.data.qa import load_qa
from potstill.errors import CheckpointError, OutputError, RecipeError, WeightsError
from potstill.export.bundle import export_bundle
from potstill.models.qa import QuestionAnsweringModel
from potstill.text.tokenizer import Tokenizer
from potstill.training.qa import teaching as module
from potstill.training.qa.soft_labels import label_rows
from potstill.training.qa.teacher_cache import TeacherCache
from potstill.training.qa.teachers import Teacher
from potstill.training.qa.transfer import Transfer
from potstill.training.recipe.file import make_recipe
from potstill.training.recipe.qa import DistilRecipe
from potstill.training.run.report import Listeners
from potstill.training.start import start
from runs import Stopped, equal, stop_at, weights


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("teacher"), n_layers=4)


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory):
    """A teacher that cuts text into byte-level pieces of its own."""
    folder = tiny.write_model(tmp_path_factory.mktemp("bytes"), seed=3, vocab_size=300)
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.train_from_iterator(
        (sentence for sentence, *_ in tiny.SENTENCES),
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<pad>", "<s>", "</s>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    backend.save(str(folder / "tokenizer.json"))
    (folder / "vocab.txt").unlink()
    (folder / "tokenizer_config.json").unlink()
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def recipe(teacher, train, cache):
    def make(out, **more):
        values = {
            "base": str(teacher),
            "teacher": str(teacher),
            "train": str(train),
            "out": str(out),
            "cache": str(cache),
            "n_layers": 2,
            "epochs": 2.0,
            "batch_tokens": 100,
            "learning_rate": 1e-3,
            "dropout": 0.1,  # so that a wrong random state would show
            "log_steps": 1,
            "threads": 1,
            "seq_len": 64,
            "stride": 16,
        }
        return make_recipe({**values, **more}, verb="distil")

    return make


def losses(out):
    lines = [json.loads(s) for s in (Path(out) / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


MODES = {
    "plain": {},
    "notebook": {"mask_positions": False},
    "inside": {"alpha_hidden": 1.0, "alpha_attention": 1.0, "alpha_relation": 1.0},
    "inside first": {"alpha_relation": 1.0, "transfer_first": 0.5, "transfer_until": 0.5},
    "unlabelled": {"unlabelled": ["paragraphs"], "unlabelled_share": 0.5},
    "negatives": {"negatives": 0.5, "negatives_from": ["paragraphs", "sentences"]},
}


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_a_stopped_run_goes_on_bit_for_bit(recipe, tmp_path, mode):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    start(recipe(whole, **mode))
    with pytest.raises(Stopped):
        start(recipe(stopped, save_steps=2, **mode), listeners=stop_at(7))
    start(recipe(stopped, save_steps=2, **mode), resume=True)
    assert equal(weights(stopped), weights(whole))
    assert losses(stopped) == losses(whole)
    student = QuestionAnsweringModel.from_pretrained(whole)
    assert student.config.n_layers == 2
    assert student.config.hidden_dropout == 0.1
    assert not [name for name in weights(whole) if "projection" in name]


@pytest.mark.parametrize("mode", [{}, {"mask_positions": False}], ids=["masked", "notebook"])
def test_a_student_comes_to_agree_with_its_teacher(recipe, tmp_path, mode):
    mode = {"alpha_ce": 0.0, "alpha_kd": 1.0, "dropout": 0.0, "learning_rate": 5e-3, **mode}
    start(recipe(tmp_path, epochs=25.0, **mode))
    first, last = losses(tmp_path)[0], np.mean(losses(tmp_path)[-5:])
    assert last < 0.2 * first


def test_a_student_equal_to_its_teacher_has_nothing_to_learn(recipe, tmp_path):
    options = {"alpha_ce": 0.0, "n_layers": 4, "dropout": 0.0, "temperature": 1.5}
    inner = {"alpha_hidden": 1.0, "alpha_attention": 1.0, "alpha_relation": 1.0}
    start(recipe(tmp_path / "a", max_steps=1, learning_rate=0.0, **options))
    start(recipe(tmp_path / "b", max_steps=1, learning_rate=0.0, **options, **inner))
    assert losses(tmp_path / "a")[0] == pytest.approx(0, abs=1e-3)  # the cache holds float16
    assert losses(tmp_path / "b")[0] == pytest.approx(0, abs=1e-3)


def test_a_teacher_with_other_tokens_teaches(recipe, byte_level, tmp_path):
    options = {"alpha_ce": 0.0, "dropout": 0.0, "learning_rate": 5e-3, "epochs": 25.0}
    start(recipe(tmp_path, teacher=str(byte_level), teacher_seq_len=48, **options))
    found = losses(tmp_path)
    assert np.mean(found[-5:]) < 0.6 * found[0]


def test_an_ensemble_is_the_weighted_mean_of_its_teachers(
    recipe, teacher, byte_level, train, cache, tmp_path
):
    rows = {}
    for name, teachers, mixture in (
        ("one", [teacher], ()),
        ("other", [byte_level], ()),
        ("both", [teacher, byte_level], (1.0, 3.0)),
    ):
        names = [str(folder) for folder in teachers]
        made = recipe(tmp_path / name, teacher=names, teacher_weights=mixture, max_steps=1)
        seen = []
        original = module.DistilLoss.__call__

        def spy(self, student, batch, done, original=original, seen=seen):
            seen.append({k: v.clone() for k, v in batch.items()})
            return original(self, student, batch, done)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module.DistilLoss, "__call__", spy)
            start(made)
        rows[name] = seen[0]
    for key in ("teacher_start", "teacher_end"):
        expected = 0.25 * rows["one"][key] + 0.75 * rows["other"][key]
        torch.testing.assert_close(rows["both"][key], expected, atol=2e-3, rtol=0)
        torch.testing.assert_close(
            rows["both"][key].sum(-1), torch.ones(len(expected)), atol=5e-3, rtol=0
        )


def counted(monkeypatch):
    """How many questions teachers are asked from now on."""
    asked = []
    read = module.Teacher.read

    def spy(self, examples):
        asked.extend(examples)
        return read(self, examples)

    monkeypatch.setattr(module.Teacher, "read", spy)
    return asked


def test_a_second_run_and_another_student_ask_no_teacher(recipe, tmp_path, monkeypatch):
    fresh = str(tmp_path / "cache")
    asked = counted(monkeypatch)
    start(recipe(tmp_path / "a", cache=fresh), cache_only=True)
    assert len(asked) == 48
    assert not (tmp_path / "a" / "model.safetensors").exists()
    start(recipe(tmp_path / "a", cache=fresh))
    start(recipe(tmp_path / "b", cache=fresh, n_layers=1, temperature=5.0, seed=3))
    assert len(asked) == 48
    start(recipe(tmp_path / "c", cache=fresh, teacher_stride=8))
    assert len(asked) == 96


def test_a_short_run_asks_only_what_it_needs(recipe, tmp_path, monkeypatch):
    asked = counted(monkeypatch)
    start(recipe(tmp_path, cache=str(tmp_path / "cache"), max_steps=2))
    assert 0 < len(asked) < 12


def test_an_interrupted_teacher_loses_no_more_than_a_shard(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(TeacherCache, "shard_len", 10)
    asked = counted(monkeypatch)
    fresh = str(tmp_path / "cache")

    def stop(name, done, total):
        if done == 30:
            raise Stopped

    with pytest.raises(Stopped):
        start(recipe(tmp_path / "a", cache=fresh), listeners=Listeners(stage=stop))
    assert len(asked) == 30
    start(recipe(tmp_path / "a", cache=fresh))
    assert len(asked) == 48
    start(recipe(tmp_path / "b", cache=str(tmp_path / "other")))
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_gold_counts_where_there_is_gold_and_the_teacher_where_it_may(recipe, tmp_path):
    seen = []
    original = module.DistilLoss.__call__

    def spy(self, student, batch, done):
        seen.append(batch)
        return original(self, student, batch, done)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.DistilLoss, "__call__", spy)
        start(
            recipe(
                tmp_path, unlabelled="paragraphs", unlabelled_share=0.5, negatives=0.25, epochs=1
            )
        )
    gold = torch.cat([batch["has_gold"] for batch in seen])
    taught = torch.cat([batch["has_teacher"] for batch in seen])
    assert int(gold.sum()) == 48 + 12
    assert int((~gold).sum()) == 30  # half as many as what is trained on
    # The teacher has never learned to say that there is no answer, so it says nothing of those.
    assert int((~taught).sum()) == 12
    assert bool((gold | taught).all())


def test_students_of_every_shape(recipe, teacher, tmp_path):
    other = tiny.write_model(tmp_path / "other", "distilbert", seed=9, n_layers=3, head=False)
    one = recipe(tmp_path / "a", base=str(other), layers=(2, 0), n_layers=0, max_steps=1)
    start(one)
    config = QuestionAnsweringModel.from_pretrained(tmp_path / "a").config
    assert (config.model_type, config.n_layers) == ("distilbert", 2)
    shape = {"hidden_width": 12, "n_heads": 3, "ffn_width": 20, "n_layers": 1}
    inner = {"alpha_hidden": 1.0, "alpha_relation": 1.0, "relation_heads": 4}
    start(recipe(tmp_path / "b", fresh=True, max_steps=2, layer_map=[3], **shape, **inner))
    config = QuestionAnsweringModel.from_pretrained(tmp_path / "b").config
    assert (config.hidden_width, config.n_heads, config.ffn_width) == (12, 3, 20)


def test_the_start_may_have_a_share_of_the_students_weights(recipe, teacher, tmp_path):
    shape = {"n_layers": 2, "layers": (2, 0), "max_steps": 3}
    start(recipe(tmp_path / "alone", **shape))
    start(recipe(tmp_path / "mixed", base_share=0.25, **shape))
    start(recipe(tmp_path / "start", base_share=1.0, **shape))
    alone, mixed, begun = (weights(tmp_path / name) for name in ("alone", "mixed", "start"))
    assert not equal(alone, begun)
    first = "bert.encoder.layer.0.attention.self.query.weight"
    assert torch.equal(begun[first], weights(teacher)[first.replace("0", "2")])
    for name, value in mixed.items():
        torch.testing.assert_close(value, 0.25 * begun[name] + 0.75 * alone[name])
    with pytest.raises(RecipeError, match="a fresh student has no weights of its base"):
        recipe(tmp_path / "fresh", fresh=True, base_share=0.5)


def test_held_out_contexts_calibrate_the_student(recipe, tmp_path):
    scores = start(recipe(tmp_path, holdout=0.3, negatives=0.5, max_steps=4))
    assert {"exact", "f1", "HasAns_f1", "NoAns_f1"} <= scores.keys()
    manifest = json.loads((tmp_path / "potstill.json").read_text())
    assert manifest["no_answer"] is True
    assert manifest["calibration"]["temperature"] > 0
    assert manifest["null_threshold"] == manifest["calibration"]["null_threshold"]


@pytest.mark.parametrize("alpha_ce", [0.5, 0.0])
def test_gold_goes_before_a_teacher_that_finds_an_answer_in_none(
    recipe, teacher, tmp_path, monkeypatch, alpha_ce
):
    """Unless only teachers are listened to."""
    knows = tmp_path / "teacher"
    shutil.copytree(teacher, knows)
    write_json(knows / "potstill.json", {"format_version": 1, "no_answer": True})
    seen = []

    def watched(into, wanted, examples, *rest):
        label_rows(into, wanted, examples, *rest)
        none = np.array([examples[i].is_impossible for i in into.rows.example])
        seen.append((into, none))

    monkeypatch.setattr(module, "label_rows", watched)
    start(recipe(tmp_path / "run", teacher=str(knows), negatives=0.9, alpha_ce=alpha_ce))
    into, none = seen[-1]
    firsts = into.rows.bounds[:-1]
    pieces = [np.split(side, firsts[1:]) for side in (into.start, into.end)]
    says = np.array([not (a.argmax() or b.argmax()) for a, b in zip(*pieces, strict=True)])
    assert none.any() and not none.all() and not says[none].all()
    assert into.has_teacher.tolist() == (~none | says | (not alpha_ce)).tolist()


WRONG = {
    "layers": ({"layers": (0, 9), "n_layers": 2}, "layers names layer 9"),
    "too many layers": ({"n_layers": 9}, "n_layers 9 is more than the 4 layers"),
    "width": ({"hidden_width": 12}, "hidden_width=12 is not that of .* only a student with fresh"),
    "layer map": ({"alpha_hidden": 1.0, "layer_map": (0, 4)}, "layer_map names layer 4"),
    "relation heads": ({"alpha_relation": 1.0, "relation_heads": 5}, "relation_heads 5 does not"),
    "heads": (
        {"alpha_attention": 1.0, "fresh": True, "n_heads": 4},
        "alpha_attention needs as many heads",
    ),
    "too many pairs": (
        {"unlabelled": "paragraphs", "unlabelled_share": 900.0},
        "unlabelled=paragraphs: cannot make",
    ),
    "too many negatives": (
        {"negatives": 9.9, "examples": 4},
        "negatives=9.9 from paragraphs: cannot make",
    ),
    "window": ({"teacher_seq_len": 8}, "does not fit the windows of teacher"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_is_said_before_the_first_step(recipe, tmp_path, options, message):
    with pytest.raises(RecipeError, match=message):
        start(recipe(tmp_path, **options))
    assert not (tmp_path / "checkpoints").exists()


def test_inner_losses_need_the_same_tokens(recipe, byte_level, tmp_path):
    with pytest.raises(RecipeError, match="cuts text into other tokens than the student"):
        start(recipe(tmp_path, teacher=str(byte_level), alpha_hidden=1.0))
    with pytest.raises(RecipeError, match="cannot be aligned .* use mask_positions=true"):
        start(recipe(tmp_path, teacher=str(byte_level), mask_positions=False))


def test_a_teacher_without_the_head_is_refused(recipe, tmp_path):
    bare = tiny.write_model(tmp_path / "bare", head=False)
    with pytest.raises(WeightsError, match="no question-answering head"):
        start(recipe(tmp_path / "out", teacher=str(bare)))


def test_another_teacher_cannot_go_on_with_a_run(recipe, teacher, byte_level, tmp_path):
    start(recipe(tmp_path, max_steps=2))
    with pytest.raises(CheckpointError, match="other training data"):
        start(recipe(tmp_path, max_steps=4, teacher=str(byte_level)), resume=True)
    with pytest.raises(CheckpointError, match="already holds a run"):
        start(recipe(tmp_path, max_steps=4))


def test_a_cache_that_cannot_be_written_is_one_line(recipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cache=FOLDER"):
        start(recipe(tmp_path / "out", cache=str(tmp_path / "file")))


def test_the_byte_level_tokenizer_differs(byte_level, teacher):
    text = tiny.SENTENCES[0][0]
    one, other = (Tokenizer.from_folder(f).encode(text) for f in (byte_level, teacher))
    assert len(one) != len(other)


def test_the_teacher_runs_once_a_step_where_its_inner_states_are_matched(
    recipe, tmp_path, monkeypatch
):
    """Its logits then come out of the same run; and they teach the same as those of the cache."""
    asked = counted(monkeypatch)
    runs = []
    forward = Transfer.loss

    def spy(self, *given):
        runs.append(1)
        return forward(self, *given)

    monkeypatch.setattr(Transfer, "loss", spy)
    inner = {"alpha_hidden": 1.0, "max_steps": 5, "dropout": 0.0, "precision": "fp32"}
    start(recipe(tmp_path / "live", cache=str(tmp_path / "cache"), **inner))
    assert (len(asked), len(runs)) == (0, 5)
    monkeypatch.setattr(DistilRecipe, "teaches_live", False)
    start(recipe(tmp_path / "cached", cache=str(tmp_path / "cache"), **inner))
    assert len(asked) > 0
    monkeypatch.setattr(DistilRecipe, "teaches_live", True)
    start(recipe(tmp_path / "gold", **{**inner, "alpha_kd": 1e-9}))

    def gap(other):
        own = weights(tmp_path / "live")
        return sum(float((own[k] - v).square().sum()) for k, v in weights(tmp_path / other).items())

    assert gap("cached") < 0.01 * gap("gold")


def test_questions_are_asked_of_what_a_search_finds(recipe, tmp_path, train):
    text = tiny.write_corpus(tmp_path / "text.txt")
    long = " ".join(tiny.WORDS)
    text.write_text(text.read_text() + f"\n\n= Long =\n{long}, 1900.\n{long} in 1901.\n")
    source = f"search:{text}"
    start(recipe(tmp_path / "run", unlabelled=[source], unlabelled_share=0.25, max_steps=2))
    manifest = json.loads((tmp_path / "run" / "potstill.json").read_text())
    assert manifest["data"]["unlabelled"] == manifest["data"]["examples"] // 4
    assert manifest["recipe"]["unlabelled"] == ["search:text.txt"]
    with pytest.raises(RecipeError, match="unlabelled=search:.*paragraphs found, only"):
        start(recipe(tmp_path / "other", unlabelled=[source], unlabelled_share=20.0, max_steps=2))


def test_a_teacher_reads_as_its_run_computes(teacher, train):
    """In bfloat16 its logits are those of float32 nearly, and a cache of their own."""
    examples = load_qa(train).examples[:8]
    exact, short = (
        Teacher(str(teacher), seq_len=64, stride=16, bf16=bf16, threads=1) for bf16 in (False, True)
    )
    assert exact.facts() == {k: v for k, v in short.facts().items() if k != "precision"}
    for one, other in zip(exact.read(examples), short.read(examples), strict=True):
        for a, b in zip(one, other, strict=True):
            assert (a.start, a.stop, a.context_at) == (b.start, b.stop, b.context_at)
            spread = float(np.ptp(a.start_logits))
            assert np.abs(a.start_logits - b.start_logits).max() < 0.1 * spread
            assert np.abs(a.end_logits - b.end_logits).max() < 0.1 * float(np.ptp(a.end_logits))


def test_an_int8_teacher_is_read_as_it_is(teacher, train, tmp_path):
    """Whatever the run computes in, and as its floats nearly."""
    examples = load_qa(train).examples[:8]
    export_bundle(teacher, tmp_path / "int8", ["int8"])
    options = {"seq_len": 64, "stride": 16, "threads": 2}
    floats = Teacher(str(teacher), **options)
    exact, short = (Teacher(str(tmp_path / "int8"), bf16=bf16, **options) for bf16 in (False, True))
    assert exact.facts() == short.facts() != floats.facts()
    said = [one.read(examples) for one in (exact, short, floats)]
    for int8, same, near in zip(*said, strict=True):
        for a, b, c in zip(int8, same, near, strict=True):
            assert np.array_equal(a.start_logits, b.start_logits)
            assert np.abs(a.start_logits - c.start_logits).max() < 0.2 * np.ptp(c.start_logits)
            assert np.abs(a.end_logits - c.end_logits).max() < 0.2 * np.ptp(c.end_logits)
