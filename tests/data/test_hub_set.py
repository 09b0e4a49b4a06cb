"""Data sets of the hub by name; folders stand for them, which ``datasets`` reads alike."""

import json
import sys

import pytest

from potstill.data.classification import load_texts
from potstill.data.hub_set import _fetched, local_data
from potstill.data.qa import load_qa
from potstill.data.table import rows
from potstill.data.tagging import load_tags
from potstill.errors import DataError, MissingExtraError


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    _fetched.cache_clear()


def write(folder, lines, card=""):
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if card:
        (folder / "README.md").write_text(f"---\ndataset_info:\n  features:\n{card}---\n")


def test_a_path_stays_as_it_is(tmp_path):
    assert local_data("train.json").name == "train.json"
    assert local_data(tmp_path / "a:b.json") == tmp_path / "a:b.json"


@pytest.mark.parametrize("name", ["hf:squad", "hf:owner/name", "hf:a/b/c/d:train", "hf:a/b:"])
def test_what_names_no_split_is_refused(name):
    with pytest.raises(DataError, match="write hf:OWNER/NAME:SPLIT"):
        local_data(name)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'potstill\[datasets\]'"):
        local_data("hf:owner/name:train")


def test_questions_by_the_name_of_their_set(tmp_path):
    pytest.importorskip("datasets", reason="needs datasets: pip install 'potstill[datasets]'")
    context = "The Broncos won."
    row = {"id": "1", "title": "t", "context": context, "question": "Who won?"}
    answers = {"text": ["The Broncos"], "answer_start": [0]}
    write(tmp_path / "owner" / "set", [{**row, "answers": answers}])
    (example,) = load_qa("hf:owner/set:train").examples
    assert (example.question, example.answers) == ("Who won?", ("The Broncos",))
    with pytest.raises(DataError, match="hf:owner/set:test: .*test") as caught:
        load_qa("hf:owner/set:test")
    assert "\n" not in str(caught.value)


def test_numbers_of_labels_become_their_names(tmp_path):
    pytest.importorskip("datasets", reason="needs datasets: pip install 'potstill[datasets]'")
    named = "class_label: {names: {'0': bad, '1': good}}"
    card = f"  - {{name: text, dtype: string}}\n  - name: label\n    dtype:\n      {named}\n"
    texts = [{"text": "fine", "label": 1}, {"text": "poor", "label": 0}, {"text": "x", "label": -1}]
    write(tmp_path / "owner" / "texts", texts, card)
    found = [row.values["label"] for row in rows(local_data("hf:owner/texts:train"))]
    assert found == ["good", "bad", None]
    assert [e.text for e in load_texts("hf:owner/texts:train", labelled=False).examples] == [
        "fine",
        "poor",
        "x",
    ]
    tags = "sequence: {class_label: {names: {'0': O, '1': B-PER}}}"
    card = f"  - {{name: tokens, sequence: string}}\n  - name: ner_tags\n    {tags}\n"
    write(tmp_path / "owner" / "tags", [{"tokens": ["Ada", "won"], "ner_tags": [1, 0]}], card)
    (example,) = load_tags("hf:owner/tags:train").examples
    assert example.tags == ("B-PER", "O")
