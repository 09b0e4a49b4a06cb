"""Rows of multiple choice as the Hugging Face hub has them are read right, or refused by line."""

import json

import pytest

from potstill.data.choice import load_choices
from potstill.errors import DataError

HELLASWAG = {
    "ind": 4, "activity_label": "Ironing", "ctx_a": "A man irons.", "ctx_b": "then he",
    "ctx": "A man irons. then he", "endings": ["stops.", "sings.", "eats it.", "sleeps."],
    "source_id": "v", "split": "train", "split_type": "indomain", "label": "2",
}  # fmt: skip
RACE = {
    "example_id": "high1.txt", "article": "Ida left Rome.", "question": "Ida left   _  .",
    "options": ["Oslo", "Rome"], "answer": "B",
}  # fmt: skip
NAMED = {"label": ["A", "B", "C"], "text": ["a bank", "a shop", "a bed"]}
CSQA = {
    "id": "75a1", "question": "Where is money kept?", "question_concept": "money",
    "choices": NAMED, "answerKey": "A",
}  # fmt: skip
ARC = {
    "id": "M_1", "question": "Which is hot?", "answerKey": "3",
    "choices": {"text": ["ice", "snow", "fire"], "label": ["1", "2", "3"]},
}  # fmt: skip
OBQA = {"id": "7-9", "question_stem": "The sun is", "choices": NAMED, "answerKey": "C"}
AUTHORS = {
    "id": "x", "answerKey": "B",
    "question": {
        "stem": "Which is cold?",
        "choices": [{"text": "fire", "label": "A"}, {"text": "ice", "label": "B"}],
    },
}  # fmt: skip
MMLU = {"question": "2 + 2?", "subject": "sums", "choices": ["3", "4"], "answer": "B"}
READ = [
    (HELLASWAG, "1", "A man irons.", ("then he stops.", "then he sings.", "then he eats it."), 2),
    ({**HELLASWAG, "ctx_b": ""}, "1", "A man irons.", ("stops.", "sings.", "eats it."), 2),
    (RACE, "1", "Ida left Rome.", ("Ida left   Oslo  .", "Ida left   Rome  ."), 1),
    ({**RACE, "question": "Where?"}, "1", "Ida left Rome.", ("Where? Oslo", "Where? Rome"), 1),
    (CSQA, "75a1", "Where is money kept?", ("a bank", "a shop", "a bed"), 0),
    (ARC, "M_1", "Which is hot?", ("ice", "snow", "fire"), 2),
    (OBQA, "7-9", "The sun is", ("a bank", "a shop", "a bed"), 2),
    (AUTHORS, "x", "Which is cold?", ("fire", "ice"), 1),
    (MMLU, "1", "2 + 2?", ("3", "4"), 1),
]


def write(tmp_path, *rows, name="a.jsonl"):
    path = tmp_path / name
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.mark.parametrize(("row", "name", "prompt", "choices", "label"), READ)
def test_a_published_row(tmp_path, row, name, prompt, choices, label):
    (found,) = load_choices(write(tmp_path, row))
    assert (found.id, found.prompt, found.label) == (name, prompt, label)
    assert found.choices[:3] == choices


@pytest.mark.parametrize(("row", "name", "prompt", "choices", "label"), READ)
def test_a_published_row_without_its_answer(tmp_path, row, name, prompt, choices, label):
    hidden = {**row, **dict.fromkeys({"label", "answer", "answerKey"} & row.keys(), "")}
    path = write(tmp_path, hidden)
    (found,) = load_choices(path, labelled=False)
    assert (found.prompt, found.choices[:3], found.label) == (prompt, choices, None)
    with pytest.raises(DataError, match="line 1 has no label"):
        load_choices(path)


def test_hellaswag_with_its_text_in_one_column(tmp_path):
    row = {name: HELLASWAG[name] for name in ("ctx", "endings", "label")}
    (found,) = load_choices(write(tmp_path, row))
    assert (found.prompt, found.choices[1]) == ("A man irons. then he", "sings.")


def test_the_same_from_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for row, name, prompt, choices, label in READ:
        parquet.write_table(arrow.Table.from_pylist([row]), tmp_path / "a.parquet")
        (found,) = load_choices(tmp_path / "a.parquet")
        assert (found.id, found.prompt, found.label) == (name, prompt, label)
        assert found.choices[:3] == choices


def test_swag_of_the_hub(tmp_path):
    row = {"sent1": "A man runs.", "sent2": "He", "ending0": "falls.", "ending1": "flies."}
    (found,) = load_choices(write(tmp_path, {**row, "label": "1"}))
    assert (found.prompt, found.choices, found.label) == (
        "A man runs.", ("He falls.", "He flies."), 1,
    )  # fmt: skip
    hidden = write(tmp_path, {**row, "label": -1})
    assert load_choices(hidden, labelled=False)[0].label is None
    with pytest.raises(DataError, match="label -1 is none of the 2 choices"):
        load_choices(hidden)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**HELLASWAG, "label": "4"}, "label 4 is none of the 4 choices"),
        ({**HELLASWAG, "endings": "stops."}, "'endings' is a string, not a list"),
        ({**HELLASWAG, "endings": ["a", None]}, "the choice None is not a string"),
        ({**RACE, "answer": "C"}, "'answer' is 'C', not a letter from A to B"),
        ({**RACE, "answer": 1}, "'answer' is 1, not a letter from A to B"),
        ({**RACE, "answer": "AB"}, "'answer' is 'AB', not a letter from A to B"),
        ({**MMLU, "answer": 1}, "the number of the right choice, from 0, as 'label'"),
        ({**MMLU, "context": "In sums,"}, "has a 'context' beside its question"),
        ({**CSQA, "answerKey": "D"}, "'answerKey' is 'D', none of the labels A, B, C"),
        ({**CSQA, "answerKey": "a"}, "'answerKey' is 'a', none of the labels A, B, C"),
        ({**CSQA, "choices": ["a", "b"]}, "'choices' is a list, without the texts and labels"),
        ({**CSQA, "choices": {**NAMED, "label": ["A", "B"]}}, "3 choices with 2 labels"),
        ({**CSQA, "choices": {**NAMED, "label": ["A", "B", "B"]}}, "3 choices with 2 labels"),
        ({**CSQA, "passage": "Banks keep it."}, "has a 'passage' beside its question"),
        ({**OBQA, "choices": {"text": ["a", "b"]}}, "has no 'label'"),
    ],
)
def test_a_published_row_that_does_not_fit(tmp_path, row, says):
    with pytest.raises(DataError) as refused:
        load_choices(write(tmp_path, CSQA, row))
    assert says in str(refused.value) and "a.jsonl: line 2" in str(refused.value)


def test_lists_in_the_cells_of_a_table(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,question,choices,answerKey\n1,Where?,\"{'text': array(['a'])}\",A\n")
    with pytest.raises(DataError, match="lists do not go into the cells of a table: write it as"):
        load_choices(path)
