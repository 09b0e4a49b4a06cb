"""Prompts with choices as rows, and whole runs of multiple choice on tiny models."""

import json

import pytest
import torch

import tiny
from potstill.bundle.heads import LOGITS
from potstill.errors import RecipeError
from potstill.models.choice import ChoiceModel
from potstill.records import ChoiceExample
from potstill.runtime.choice import Chooser
from potstill.runtime.torch_session import TorchSession
from potstill.training.labels.choice import ChoiceTraining, pack
from potstill.training.recipe.choice import ChoiceDistilRecipe, ChoiceRecipe
from potstill.training.run.report import Listeners
from potstill.training.start import start
from runs import Stopped, equal, stop_at, weights

ENDS = ("won the game.", "built a tower.", "wrote a book.")
WHO = {"team": 0, "king": 1, "queen": 2}


def write_table(path, copies=8):
    rows = ["prompt,choice0,choice1,choice2,label"]
    for number in range(copies):
        for who, right in WHO.items():
            turn = number % 3
            ends = [ENDS[(i + turn) % 3] for i in range(3)]
            rows.append(f"The {who},{','.join(ends)},{ends.index(ENDS[right])}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("data") / "train.csv")


def recipe(base, train, out, **more):
    values = {
        "epochs": 2.0,
        "batch_tokens": 300,
        "learning_rate": 5e-3,
        "dropout": 0.1,  # so that a wrong random state would show
        "log_steps": 1,
        "threads": 1,
        "seq_len": 64,
        "precision": "fp32",
    }
    return ChoiceRecipe(base=str(base), train=str(train), out=str(out), **{**values, **more})


EXAMPLES = [
    ChoiceExample(id="0", prompt="The king", choices=("won", "built a tower", ""), label=1),
    ChoiceExample(id="1", prompt="The old queen", choices=("lost", "wrote"), label=0),
]


def test_a_row_is_an_example_with_all_its_choices(tokenizer):
    rows = pack(EXAMPLES, tokenizer, seq_len=64)
    assert len(rows) == 2
    assert rows.lengths.tolist() == [3 * 8, 2 * 7]
    assert rows.truncated == 0
    b = rows.batch([0, 1])
    assert b["input_ids"].shape == b["token_type_ids"].shape == (2, 3, 8)
    assert b["labels"].tolist() == [1, 0]
    assert b["allowed"].tolist() == [[True] * 3, [True, True, False]]
    assert b["attention_mask"].sum(-1).tolist() == [[6, 8, 5], [7, 7, 1]]
    assert b["token_type_ids"][0, 0].tolist() == [0, 0, 0, 0, 1, 1, 0, 0]
    assert tokenizer.tokens(b["input_ids"][1, 1]) == [
        "[CLS]", "the", "old", "queen", "[SEP]", "wrote", "[SEP]", "[PAD]",
    ]  # fmt: skip


def test_what_is_too_long_is_counted(tokenizer):
    long = ChoiceExample(id="2", prompt="the " * 40, choices=("won", "lost"), label=0)
    rows = pack([*EXAMPLES, long], tokenizer, seq_len=16)
    assert rows.truncated == 1
    assert rows.lengths.tolist() == [24, 14, 32]


def test_choices_of_other_examples_change_nothing(tokenizer, tmp_path):
    tiny.write_model(tmp_path, head="choice")
    model = ChoiceModel.from_pretrained(tmp_path)
    task = ChoiceTraining()
    rows = pack(EXAMPLES, tokenizer, seq_len=64)
    with torch.no_grad():
        both = rows.batch([0, 1])
        together = task.loss(task.logits(model, both), both, None).item()
        apart = 0.0
        for row in (0, 1):
            one = rows.batch([row])
            apart += task.loss(task.logits(model, one), one, None).item()
    assert together == pytest.approx(apart, rel=1e-5)


def test_a_student_like_its_teacher_has_nothing_to_learn(tokenizer, tmp_path):
    tiny.write_model(tmp_path, head="choice")
    model = ChoiceModel.from_pretrained(tmp_path)
    task = ChoiceTraining()
    said = task.teach(TorchSession(model, LOGITS), tokenizer, EXAMPLES, seq_len=64)
    assert [logits.shape for logits in said] == [(3,), (2,)]
    rows = pack(EXAMPLES, tokenizer, seq_len=64)
    b = {**rows.batch([0, 1]), "teacher": rows.targets([0, 1], said)}
    with torch.no_grad():
        logits = task.logits(model, b)
    assert torch.allclose(logits[b["allowed"]], b["teacher"][b["allowed"]], atol=1e-5)
    assert task.soft_loss(logits, b, None, 2.0).item() == pytest.approx(0, abs=1e-5)


def test_a_run_leaves_a_model_that_chooses(base, train, tmp_path):
    notes = []
    out = tmp_path / "run"
    scores = start(
        recipe(base, train, out, dev=str(train), epochs=40.0, dropout=0.0),
        listeners=Listeners(note=notes.append),
    )
    assert scores == {"accuracy": 100.0, "total": 24}
    chooser = Chooser.from_options(out, threads=1)
    assert chooser.choose("The queen", list(ENDS))[0].text == "wrote a book."
    manifest = json.loads((out / "potstill.json").read_text())
    assert manifest["task"] == "multiple-choice"
    assert sum("for comparison" in note for note in notes) >= 2


def test_a_run_goes_on_bit_for_bit(base, train, tmp_path):
    whole = recipe(base, train, tmp_path / "whole", save_steps=1)
    start(whole)
    cut = recipe(base, train, tmp_path / "cut", save_steps=1)
    with pytest.raises(Stopped):
        start(cut, listeners=stop_at(2))
    start(cut, resume=True)
    assert equal(weights(whole.out), weights(cut.out))


def test_folds(base, train, tmp_path):
    scored = []
    for number in range(5):
        data = ChoiceTraining().load(recipe(base, train, tmp_path, folds=5, fold=number))
        assert len(data.train) + len(data.dev) == 24
        assert data.facts == {"folds": 5, "fold": number}
        scored += [example.id for example in data.dev]
    assert scored == [str(number) for number in range(1, 25)]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"folds": 1}, "folds must be 0 or at least 2"),
        ({"folds": 5, "fold": 5}, "fold must be less than folds"),
        ({"fold": 2}, "fold must be less than folds"),
        ({"folds": 5, "dev": "a.csv"}, "folds and dev both say"),
        ({"folds": 5, "split": 0.2}, "folds and split both say"),
    ],
)
def test_bad_keys(base, train, tmp_path, keys, says):
    with pytest.raises(RecipeError, match=says):
        recipe(base, train, tmp_path, **keys)


def test_more_folds_than_rows(base, train, tmp_path):
    with pytest.raises(RecipeError, match=r"folds is 50, but .*train\.csv has 24 rows"):
        ChoiceTraining().load(recipe(base, train, tmp_path, folds=50))


def test_a_student_comes_near_its_teacher(base, train, tmp_path):
    teacher = tiny.write_model(tmp_path / "teacher", "distilbert", seed=3, head="choice")
    values = recipe(base, train, tmp_path / "run").to_dict()
    values |= {"epochs": 8.0, "dropout": 0.0}
    made = ChoiceDistilRecipe(
        **values, teacher=str(teacher), alpha_ce=0.0, alpha_kd=1.0, cache=str(tmp_path / "cache")
    )
    start(made)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert losses[-1] < 0.7 * losses[0]
