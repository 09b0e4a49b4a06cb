"""Packed corpora: what is in the rows, what is held out, and a cache that does not lie."""

import json
import lzma

import numpy as np
import pytest
import torch

import tiny
from potstill.errors import DataError, OutputError
from potstill.text.tokenizer import Tokenizer
from potstill.training.lm import corpus as corpora
from potstill.training.lm.corpus import CorpusPacking, open_corpus

CLS, SEP = 2, 3


@pytest.fixture
def text(tmp_path):
    return tiny.write_corpus(tmp_path / "text.txt", articles=30)


def stream(rows):
    """The rows as one stream of tokens, without their first and last ones."""
    return np.concatenate([rows.table[i, 1 : n - 1] for i, n in enumerate(rows.lengths)])


def open_all(text, tokenizer, tmp_path, notes=None, **packing):
    packing = CorpusPacking(**{"seq_len": 16, "holdout": 0.0, **packing})
    note = (lambda line: None) if notes is None else notes.append
    return open_corpus(text, tokenizer, packing, cache=tmp_path / "cache", note=note)


def test_the_rows_hold_the_whole_text_in_order(text, tokenizer, tmp_path):
    rows = open_all(text, tokenizer, tmp_path).train
    assert rows.table.dtype == np.uint16
    assert isinstance(rows.table, np.memmap)
    assert (rows.table[:, 0] == CLS).all()
    assert all(rows.table[i, n - 1] == SEP for i, n in enumerate(rows.lengths))
    assert (rows.lengths[:-1] == 16).all()
    articles = [a.splitlines()[1:] for a in text.read_text().split("\n\n")]
    expected = []
    for paragraphs in articles:
        for paragraph in paragraphs:
            expected += tokenizer.encode(paragraph).ids.tolist()
        expected.append(SEP)
    found = stream(rows).tolist()
    # Where a document ends just where a row does, the row's own [SEP] stands for its end.
    assert [t for t in found if t != SEP] == [t for t in expected if t != SEP]
    assert abs(found.count(SEP) - len(articles) + 1) <= 2


def test_batches(text, tokenizer, tmp_path):
    rows = open_all(text, tokenizer, tmp_path).train
    last = len(rows) - 1
    assert rows.lengths[last] < 16
    batch = rows.batch([2, 0])
    assert batch.keys() == {"input_ids"}
    assert torch.equal(batch["input_ids"][1], torch.from_numpy(rows.table[0].astype(np.int64)))
    batch = rows.batch([0, last])
    assert batch["attention_mask"].sum(1).tolist() == [16, rows.lengths[last]]
    padding = batch["input_ids"][1][rows.lengths[last] :]
    assert (padding == tokenizer.pad_id).all()
    assert rows.batch([last])["input_ids"].shape == (1, rows.lengths[last])


def test_whole_documents_are_held_out_whatever_is_beside_them(text, tokenizer, tmp_path):
    found = open_all(text, tokenizer, tmp_path, holdout=0.3)
    everything = open_all(text, tokenizer, tmp_path)
    words = [set(stream(rows).tolist()) for rows in (found.train, found.held_out)]
    assert len(found.held_out)
    n_tokens = sum(np.count_nonzero(stream(r) != SEP) for r in (found.train, found.held_out))
    assert n_tokens == np.count_nonzero(stream(everything.train) != SEP)
    assert words[0] and words[1]
    # Half of the corpus: an article is on the same side as before.
    half = tmp_path / "half.txt"
    half.write_text("\n\n".join(text.read_text().split("\n\n")[::2]))
    part = open_all(half, tokenizer, tmp_path, holdout=0.3)
    kept = stream(part.held_out)
    whole = stream(found.held_out)
    pieces = np.split(kept, np.flatnonzero(kept == SEP))
    texts = bytes(whole[whole != SEP].astype(np.uint8))
    assert all(bytes(p[p != SEP].astype(np.uint8)) in texts for p in pieces)


def test_a_limit_stops_early(text, tokenizer, tmp_path):
    whole = open_all(text, tokenizer, tmp_path)
    some = open_all(text, tokenizer, tmp_path, max_rows=7)
    assert len(some.train) == 7
    assert np.array_equal(some.train.table, whole.train.table[:7])
    assert some.fingerprint != whole.fingerprint
    assert len(open_all(text, tokenizer, tmp_path, max_rows=10_000).train) == len(whole.train)


def test_it_is_tokenized_once(text, tokenizer, tmp_path, monkeypatch):
    notes = []
    first = open_all(text, tokenizer, tmp_path, notes)
    assert "tokenizing" in notes[0] and "30 documents" in notes[1]
    monkeypatch.setattr(Tokenizer, "ids_batch", None)
    again = open_all(text, tokenizer, tmp_path, notes)
    assert len(notes) == 2
    assert np.array_equal(again.train.table, first.train.table)
    assert again.fingerprint == first.fingerprint


def test_the_same_text_packed_otherwise_is_another_file(text, tokenizer, tmp_path):
    keys = {
        open_all(text, tokenizer, tmp_path).fingerprint,
        open_all(text, tokenizer, tmp_path, seq_len=12).fingerprint,
        open_all(text, tokenizer, tmp_path, holdout=0.1).fingerprint,
    }
    other = tmp_path / "other"
    tiny.write_tokenizer(other, lower=False)
    keys.add(open_all(text, Tokenizer.from_folder(other), tmp_path).fingerprint)
    text.write_text(text.read_text() + "\none more")
    keys.add(open_all(text, tokenizer, tmp_path).fingerprint)
    assert len(keys) == 5


def _flip(folder):
    file = folder / "train.bin"
    data = bytearray(file.read_bytes())
    data[40] ^= 1
    file.write_bytes(data)


def _older(folder):
    index = json.loads((folder / "index.json").read_text())
    index["facts"]["version"] = 0
    (folder / "index.json").write_text(json.dumps(index))


DAMAGE = {
    "is not what was written": _flip,
    "bytes instead of": lambda f: (f / "train.bin").write_bytes(b"\0" * 10),
    "train.bin is missing": lambda f: (f / "train.bin").unlink(),
    "index.json is missing": lambda f: (f / "index.json").unlink(),
    "index.json cannot be read": lambda f: (f / "index.json").write_text("{"),
    "cannot be read": lambda f: (f / "index.json").write_text('{"facts": 3}'),
    "describes other rows": _older,
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_what_is_damaged_is_made_anew_and_said(text, tokenizer, tmp_path, reason):
    first = np.array(open_all(text, tokenizer, tmp_path).train.table)
    (folder,) = (tmp_path / "cache").iterdir()
    DAMAGE[reason](folder)
    notes = []
    again = open_all(text, tokenizer, tmp_path, notes)
    if reason != "cannot be read":
        assert f"made again: {reason}" in notes[0] or reason in notes[0]
    assert np.array_equal(again.train.table, first)


def test_an_interrupted_build_leaves_nothing_behind(text, tokenizer, tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(corpora._Packer, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            open_all(text, tokenizer, tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(open_all(text, tokenizer, tmp_path).train)


def test_a_cache_that_cannot_be_written(text, tokenizer, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(OutputError, match="set cache=FOLDER to one with room"):
        open_all(text, tokenizer, tmp_path)


def test_corpora_that_cannot_be_used(tokenizer, tmp_path):
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(DataError, match="holds no text"):
        open_all(tmp_path / "empty.txt", tokenizer, tmp_path)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match="not UTF-8"):
        open_all(tmp_path / "latin.txt", tokenizer, tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        open_all(tmp_path / "none.txt", tokenizer, tmp_path)
    (tmp_path / "one.txt").write_text("one document that is on one side or the other")
    for share in (0.0, 0.999999):
        if share:
            with pytest.raises(DataError, match="no document left to train on"):
                open_all(tmp_path / "one.txt", tokenizer, tmp_path, holdout=share)
        else:
            assert not len(open_all(tmp_path / "one.txt", tokenizer, tmp_path).held_out)
    assert not list((tmp_path / "cache").glob(".*"))


def test_packed_files_read_alike(text, tokenizer, tmp_path):
    packed = tmp_path / "text.txt.xz"
    packed.write_bytes(lzma.compress(text.read_bytes()))
    tables = [open_all(path, tokenizer, tmp_path).train.table for path in (text, packed)]
    assert np.array_equal(*tables)
