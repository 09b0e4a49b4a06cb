"""Words with tags as rows, and whole runs of tagging on tiny models."""

import json

import numpy as np
import pytest
import torch

import tiny
from potstill.bundle.heads import LOGITS
from potstill.errors import DataError, RecipeError
from potstill.losses.lm import IGNORE
from potstill.models.tagging import TaggingModel
from potstill.records import TagExample
from potstill.runtime.tagging import Tagger
from potstill.runtime.torch_session import TorchSession
from potstill.training.labels.tagging import TaggingTraining, make_rows
from potstill.training.recipe.tagging import TaggingDistilRecipe, TaggingRecipe
from potstill.training.run.report import Listeners
from potstill.training.start import start
from runs import Stopped, equal, stop_at, weights

NAMES = {"denver": "team", "paris": "place", "london": "place", "thames": "place"}
LABELS = ("O", "B-place", "I-place", "B-team", "I-team")


def write_conll(path, copies=6):
    """Sentences in which a name always has the same type, and "Denver Broncos" is one name."""
    blocks = []
    for number in range(copies):
        for text, *_ in tiny.SENTENCES:
            words = [*text.rstrip(".").split(), ".", str(number)]
            tags = [
                "I-team" if word == "Broncos" else f"B-{NAMES[word.lower()]}"
                if word.lower() in NAMES else "O"
                for word in words
            ]  # fmt: skip
            blocks.append("".join(f"{w}\t{t}\n" for w, t in zip(words, tags, strict=True)))
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return write_conll(tmp_path_factory.mktemp("data") / "train.conll")


def recipe(base, train, out, **more):
    values = {
        "epochs": 3.0,
        "batch_tokens": 200,
        "learning_rate": 5e-3,
        "dropout": 0.1,  # so that a wrong random state would show
        "log_steps": 1,
        "threads": 1,
        "seq_len": 64,
        "precision": "fp32",
    }
    return TaggingRecipe(base=str(base), train=str(train), out=str(out), **{**values, **more})


def tagged(words, tags):
    return TagExample(id="line 1", words=tuple(words.split()), tags=tuple(tags.split()))


def test_labels_stand_on_the_first_token_of_each_word(tokenizer):
    example = tagged("Denverly won the-game", "B-team O B-place")
    rows = make_rows([example], tokenizer, LABELS, seq_len=64)
    assert tokenizer.tokens(rows.ids) == [
        "[CLS]", "denver", "##l", "##y", "won", "the", "-", "game", "[SEP]",
    ]  # fmt: skip
    b = rows.batch([0])
    assert b["labels"].tolist() == [[IGNORE, 3, IGNORE, IGNORE, 0, 1, IGNORE, IGNORE, IGNORE]]
    assert b["taught"].tolist() == [[False, True, False, False, True, True, *[False] * 3]]
    every = make_rows([example], tokenizer, LABELS, seq_len=64, pieces="all").batch([0])
    assert every["labels"].tolist() == [[IGNORE, 3, 4, 4, 0, 1, 2, 2, IGNORE]]
    assert every["taught"].tolist() == b["taught"].tolist()


def test_padding_has_no_label(tokenizer):
    examples = [tagged("Paris", "B-place"), tagged("the king won", "O O O")]
    b = make_rows(examples, tokenizer, LABELS, seq_len=64).batch([0, 1])
    assert b["labels"].tolist() == [[IGNORE, 1, *[IGNORE] * 3], [IGNORE, 0, 0, 0, IGNORE]]
    assert b["attention_mask"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]
    assert b["share"].item() == pytest.approx(1 / 2)  # four labels in two rows


def test_long_texts_become_windows_and_every_word_is_labelled_once(tokenizer):
    words = "the old king built a tower in London last year".split() * 5
    tags = ["B-place" if word == "London" else "O" for word in words]
    example = TagExample(id="line 1", words=tuple(words), tags=tuple(tags))
    rows = make_rows([example, tagged("Paris", "B-place")], tokenizer, LABELS, seq_len=16)
    assert rows.lengths.max() == 16 and rows.truncated == 0
    own = rows.words[: rows.bounds[-2]]
    assert sorted(own[own >= 0].tolist()) == list(range(50))
    assert (rows.labels != IGNORE).sum() == 51
    assert rows.example.tolist() == [0] * (len(rows) - 1) + [1]


def test_words_without_tokens_have_no_label(tokenizer):
    rows = make_rows([tagged("Paris \u0001 won", "B-place O O")], tokenizer, LABELS, seq_len=64)
    assert rows.words.tolist() == [-1, 0, 2, -1]
    rows = make_rows([tagged("\u0001", "O")], tokenizer, LABELS, seq_len=64)
    assert rows.labels.tolist() == [IGNORE, IGNORE]


def test_a_tag_that_is_no_label(tokenizer):
    with pytest.raises(DataError, match="line 1: the tag 'B-town' of 'Paris' is none of the"):
        make_rows([tagged("Paris", "B-town")], tokenizer, LABELS, seq_len=64)


def test_what_a_teacher_says_lands_on_its_words(tokenizer, tmp_path):
    tiny.write_model(tmp_path, head="tagging", labels=LABELS)
    model = TaggingModel.from_pretrained(tmp_path)
    examples = [
        tagged("Denverly won the-game", "B-team O B-place"),
        TagExample(id="2", words=("the", "\u0001", *["king"] * 20), tags=("O",) * 22),
        tagged("\u0001", "O"),
    ]
    task = TaggingTraining()
    session = TorchSession(model, LOGITS)
    said = task.teach(session, tokenizer, examples, seq_len=64)
    assert [logits.shape for logits in said] == [(3, 5), (22, 5), (1, 5)]
    assert not said[1][1].any() and not said[2].any()
    rows = make_rows(examples, tokenizer, LABELS, seq_len=64)
    targets = rows.targets([0, 1], [said[0], said[1]])
    b = rows.batch([0, 1])
    assert targets.shape == (*b["labels"].shape, 5)
    # A student with the teacher's weights has nothing to learn from it.
    with torch.no_grad():
        logits = task.logits(model, b)
    data = None
    loss = task.soft_loss(logits, {**b, "teacher": targets}, data, 2.0)
    assert loss.item() == pytest.approx(0, abs=1e-4)
    short = make_rows(examples, tokenizer, LABELS, seq_len=16)
    long_rows = np.flatnonzero(short.example == 1).tolist()
    windows = short.targets(long_rows, [said[1]] * len(long_rows))
    assert (windows.abs().sum(-1) > 0).sum() == 21  # each word with tokens once


def test_a_run_leaves_a_model_that_tags(base, train, tmp_path):
    notes = []
    out = tmp_path / "run"
    scores = start(
        recipe(
            base,
            train,
            out,
            dev=str(train),
            epochs=50.0,
            dropout=0.0,
            batch_tokens=80,
            learning_rate=1e-2,
            decay=0.5,
        ),
        listeners=Listeners(note=notes.append),
    )
    assert scores["f1"] > 95
    assert scores["total"] == 24
    tagger = Tagger.from_options(out, threads=1)
    assert tagger.options.labels == LABELS
    found = tagger.tag("Denver Broncos won the game in Denver . 3")
    assert [(e.text, e.label) for e in found] == [("Denver Broncos", "team"), ("Denver", "team")]
    manifest = json.loads((out / "potstill.json").read_text())
    assert manifest["task"] == "token-classification"
    assert manifest["data"]["scheme"] == "spans"
    assert manifest["scores"] == scores
    (usual,) = (note for note in notes if "most frequent tag" in note)
    assert "f1" in usual


def test_a_run_goes_on_bit_for_bit(base, train, tmp_path):
    whole = recipe(base, train, tmp_path / "whole", save_steps=1)
    start(whole)
    cut = recipe(base, train, tmp_path / "cut", save_steps=1)
    with pytest.raises(Stopped):
        start(cut, listeners=stop_at(3))
    start(cut, resume=True)
    assert equal(weights(whole.out), weights(cut.out))


def test_part_of_the_data_can_be_scored_on(base, train, tmp_path):
    data = TaggingTraining().load(recipe(base, train, tmp_path, split=0.25, examples=5))
    assert (len(data.train), len(data.dev)) == (5, 6)


def test_a_tag_that_is_seen_only_in_dev(base, train, tmp_path):
    dev = tmp_path / "dev.conll"
    dev.write_text("Rome\tB-town\n")
    with pytest.raises(DataError, match=r"dev\.conll: line 1: the tag 'B-town' of 'Rome'"):
        TaggingTraining().load(recipe(base, train, tmp_path, dev=str(dev)))


def test_plain_tags_are_scored_by_word(base, tmp_path):
    train = tmp_path / "train.conll"
    train.write_text("the\tDT\nking\tNN\nwon\tVB\n\nthe\tDT\nqueen\tNN\nlost\tVB\n")
    made = recipe(base, train, tmp_path / "run", dev=str(train), max_steps=1)
    scores = start(made)
    assert set(scores) == {"accuracy", "macro_f1", "total"}
    assert Tagger.from_options(tmp_path / "run", threads=1).options.labels == ("DT", "NN", "VB")


def test_bad_keys(base, train, tmp_path):
    with pytest.raises(RecipeError, match="pieces must be one of first, all"):
        recipe(base, train, tmp_path, pieces="last")
    with pytest.raises(RecipeError, match="scheme must be one of"):
        recipe(base, train, tmp_path, scheme="BIOES")
    with pytest.raises(RecipeError, match="alpha_ce and alpha_kd sum to 0"):
        TaggingDistilRecipe(base="a", train="b", out="c", alpha_ce=0.0, alpha_kd=0.0)


@pytest.fixture(scope="module")
def teacher(train, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    return tiny.write_model(folder, "distilbert", seed=3, head="tagging", labels=LABELS[::-1])


def test_a_student_comes_near_its_teacher(base, teacher, train, tmp_path):
    values = recipe(base, train, tmp_path / "run", seq_len=16).to_dict()
    values |= {"epochs": 8.0, "dropout": 0.0}
    made = TaggingDistilRecipe(
        **values, teacher=str(teacher), alpha_ce=0.0, alpha_kd=1.0, cache=str(tmp_path / "cache")
    )
    start(made)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < 0.7 * losses[0]
