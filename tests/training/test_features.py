"""Tokenized training windows on disk: read where they fit, made again where they do not."""

import re
from dataclasses import replace

import numpy as np
import pytest

import tiny
from potstill.data.qa import load_qa
from potstill.text.tokenizer import Tokenizer
from potstill.training.qa import features
from potstill.training.qa import rows as qa_rows
from potstill.training.qa.features import open_rows
from potstill.training.recipe.file import make_recipe
from potstill.training.start import start
from runs import equal, weights


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return load_qa(tiny.write_squad(tmp_path_factory.mktemp("d") / "t.json", copies=4)).examples


@pytest.fixture
def opened(tokenizer, tmp_path):
    """Opens rows in one cache; the list of what was made and not read."""
    made = []

    def call(examples, *, seq_len=32, stride=8, tokenizer=tokenizer, note=lambda line: None):
        def make(*arguments, **options):
            made.append(len(arguments[0]))
            return qa_rows.make_rows(*arguments, **options)

        class Stand:
            QARows, make_rows = qa_rows.QARows, staticmethod(make)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(features, "qa_rows", Stand)
            return open_rows(
                examples, tokenizer, seq_len=seq_len, stride=stride, note=note, folder=tmp_path
            )

    return call, made


def same(one, other):
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in features._ARRAYS
    ) and (one.pad_id, one.layout) == (other.pad_id, other.layout)


def test_what_was_kept_is_read_and_is_the_same(opened, tokenizer, examples):
    call, made = opened
    fresh = qa_rows.make_rows(examples, tokenizer, seq_len=32, stride=8)
    assert same(call(examples), fresh)
    again = call(examples)
    assert made == [len(examples)]
    assert same(again, fresh)
    batch, wanted = again.batch([2, 0, 5]), fresh.batch([2, 0, 5])
    assert all(np.array_equal(batch[name], wanted[name]) for name in wanted)


def test_other_data_other_rows(opened, tokenizer, examples, tmp_path_factory):
    call, made = opened
    call(examples)
    moved = [replace(examples[0], answers=("Denver",), starts=(9,)), *examples[1:]]
    other = tmp_path_factory.mktemp("cased")
    tiny.write_tokenizer(other, lower=False)
    for change in (
        {"examples": examples[:-1]},
        {"examples": moved},
        {"examples": [replace(examples[0], is_impossible=True), *examples[1:]]},
        {"examples": examples[::-1]},
        {"seq_len": 40},
        {"stride": 4},
        {"tokenizer": Tokenizer.from_folder(other)},
    ):
        before = len(made)
        call(**{"examples": examples, **change})
        assert len(made) == before + 1, change


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda data: data[: len(data) // 2], "damaged"),
        (lambda data: b"", "damaged"),
        (lambda data: data[:-3] + b"xyz", "checksum is wrong"),
        (lambda data: data.replace(b'"cache":"', b'"cache":"0'), "damaged|stale"),
    ],
)
def test_a_damaged_file_is_made_again(opened, tokenizer, examples, tmp_path, damage, why):
    call, made = opened
    call(examples)
    (file,) = tmp_path.glob("*.safetensors")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    said = []
    found = call(examples, note=said.append)
    assert made == [len(examples)] * 2
    assert same(found, qa_rows.make_rows(examples, tokenizer, seq_len=32, stride=8))
    assert len(said) == 1 and "making it again" in said[0]
    assert re.search(why, said[0])
    call(examples)
    assert made == [len(examples)] * 2  # what was made again is read


def test_a_cache_that_cannot_be_written_is_done_without(tokenizer, examples, tmp_path):
    (tmp_path / "file").write_text("")
    said = []
    found = open_rows(
        examples, tokenizer, seq_len=32, stride=8, note=said.append, folder=tmp_path / "file"
    )
    assert len(found) and len(said) == 1 and "are not kept" in said[0]


def test_training_from_kept_rows_is_the_same_training(tmp_path, monkeypatch):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    base = tiny.write_model(tmp_path / "base")
    train = tiny.write_squad(tmp_path / "train.json", copies=4)
    values = {"base": str(base), "train": str(train), "epochs": 1.0, "batch_tokens": 200}
    values |= {"seq_len": 64, "stride": 16, "threads": 1}
    start(make_recipe({**values, "out": str(tmp_path / "a")}))
    assert len(list((tmp_path / "cache" / "features").iterdir())) == 1
    monkeypatch.setattr(qa_rows, "make_rows", None)  # must not be called
    start(make_recipe({**values, "out": str(tmp_path / "b")}))
    assert equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
