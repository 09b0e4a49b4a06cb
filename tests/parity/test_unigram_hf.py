"""Unigram tokenizers read as transformers reads them: ids, offsets, pairs and texts."""

from __future__ import annotations

import importlib
import json
import random

import pytest
import transformers

import potstill
import tiny
from potstill.bundle.atomic import write_json
from potstill.errors import TokenizerError
from potstill.text.tokenizer import Tokenizer

CLASSES = {
    "XLMRobertaTokenizer": "xlm-roberta",
    "CamembertTokenizer": "camembert",
    "AlbertTokenizer": "albert",
    "DebertaV2Tokenizer": "deberta-v2",
}
HOSTILE = [
    "", " ", "\n\t", "  Denver   won ", "▁the▁king ▁", "<s>king</s> <pad><mask>", "the <mask>.",
    "café cafe\u0301 ﬁne ½ №", "北京 hello", "\u200bking\u00a0won\u3000!", "👩‍👩‍👧 🇫🇷 won",
    "a" * 300,
    "א\u05bc\u05b8 مرحبا", "\x00\x07king\ufeff", "won\u2028lost\u2029", "The king's 3,5% — «won»…",
]  # fmt: skip
ALPHABET = [*"the king won Denver.,!?'▁<>/s\n\t\u00a0\u200d\u0301éñß中😀", "<mask>", "</s>", "  "]


def texts(n):
    draw = random.Random(0)
    return HOSTILE + ["".join(draw.choices(ALPHABET, k=draw.randint(0, 40))) for _ in range(n)]


def inside(text, start, end):
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return [start, end]


def compare(folder, n=300):
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    ours, door = Tokenizer.from_folder(folder), potstill.AutoTokenizer.from_pretrained(str(folder))
    for text in texts(n):
        expected = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
        found = ours.encode(text)
        assert found.ids.tolist() == expected["input_ids"]
        offsets = list(map(list, expected["offset_mapping"]))
        if type(door).__name__.startswith("Deberta"):  # theirs take in the blanks around a word
            offsets = [inside(text, *span) for span in offsets]
        assert found.offsets.tolist() == offsets
        for pair in ((text,), (text, "the king"), ("the king", text)):
            row = door(*pair, return_offsets_mapping=True)
            assert dict(row) == dict(theirs(*pair, return_offsets_mapping=True))
            assert door.decode(row["input_ids"]) == theirs.decode(row["input_ids"])
    return theirs, door


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in CLASSES),
        *((name, {"add_prefix_space": False}) for name in CLASSES),
        ("AlbertTokenizer", {"do_lower_case": False, "keep_accents": True}),
        ("DebertaV2Tokenizer", {"do_lower_case": True, "split_by_punct": True}),
    ],
)
def test_a_class_makes_the_rest_anew(tmp_path, name, options):
    tiny.write_unigram(tmp_path, name)
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": name, **options})
    theirs, door = compare(tmp_path)
    assert type(door).__name__ == name
    assert set(theirs.all_special_tokens) >= set(door.all_special_tokens)
    door.save_pretrained(tmp_path / "saved")
    again = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "saved"))
    assert type(again) is type(theirs)
    assert again("Denver won <mask>")["input_ids"] == theirs("Denver won <mask>")["input_ids"]


@pytest.mark.parametrize("model_type", CLASSES.values())
def test_the_type_of_model_decides_where_no_class_is_named(tmp_path, model_type):
    tiny.write_model(tmp_path, model_type)
    (tmp_path / "tokenizer_config.json").unlink()
    _, door = compare(tmp_path, n=20)
    assert CLASSES[type(door).__name__] == model_type


def test_blanks_in_a_token_are_not_part_of_an_answer(tmp_path):
    """``Metaspace`` alone takes the blank before a word into its token."""
    tiny.write_unigram(tmp_path, "PreTrainedTokenizerFast")
    backend = tiny.unigram()
    backend.pre_tokenizer = tiny.pre_tokenizers.Metaspace()
    backend.save(str(tmp_path / "tokenizer.json"))
    text = "the king  won"
    found = Tokenizer.from_folder(tmp_path).encode(text)
    pieces = [text[start:end] for start, end in found.offsets]
    assert "".join(pieces) == "thekingwon"


@pytest.fixture
def without_sentencepiece(monkeypatch):
    """Lets transformers read SentencePiece's files by protobuf alone, which is all it needs."""
    # transformers has a function of the module's name, which `from` gives once it was asked for.
    converters = importlib.import_module("transformers.convert_slow_tokenizer")
    monkeypatch.setattr(converters, "requires_backends", lambda *_: None)
    monkeypatch.setattr(converters, "is_sentencepiece_available", lambda: False)


ALONE = [
    *((model_type, {}) for model_type in CLASSES.values()),
    ("camembert", {"tokenizer_class": "CamembertTokenizer", "add_prefix_space": False}),
    ("albert", {"do_lower_case": False, "keep_accents": True}),
    ("deberta-v2", {"do_lower_case": False, "vocab_type": "spm"}),
    ("deberta-v2", {"tokenizer_class": "DebertaV2Tokenizer", "split_by_punct": True}),
]


@pytest.mark.parametrize(("model_type", "options"), ALONE)
def test_pieces_of_sentencepiece_alone(tmp_path, without_sentencepiece, model_type, options):
    """As microsoft/deberta-v3-base, xlm-roberta-base and albert-base-v2 were published."""
    write_json(tmp_path / "config.json", {"model_type": model_type, "vocab_size": 150})
    write_json(tmp_path / "tokenizer_config.json", options)
    tiny.write_sentencepiece(tmp_path, model_type, characters=tiny.CHARACTERS)
    theirs, door = compare(tmp_path)
    assert theirs.get_vocab() == door.get_vocab()
    added = theirs.added_tokens_decoder.items()
    assert {number: (token.content, token.special, token.lstrip) for number, token in added} == {
        number: (token.content, token.special, token.lstrip)
        for number, token in door.backend_tokenizer.get_added_tokens_decoder().items()
    }
    door.save_pretrained(tmp_path / "saved")
    compare(tmp_path / "saved", n=50)


def test_tokens_beside_the_pieces(tmp_path, without_sentencepiece):
    write_json(tmp_path / "config.json", {"model_type": "deberta-v2", "vocab_size": 150})
    write_json(tmp_path / "added_tokens.json", {"[MASK]": 130, "<new>": 129})
    tiny.write_sentencepiece(tmp_path, "deberta-v2")
    theirs, door = compare(tmp_path)
    assert theirs.get_vocab() == door.get_vocab()


@pytest.mark.parametrize("normalized", [True, False])
def test_a_mask_as_older_folders_name_it(tmp_path, without_sentencepiece, normalized):
    """As xlm-roberta-base's and its children's special_tokens_map.json has it."""
    write_json(tmp_path / "config.json", {"model_type": "xlm-roberta", "vocab_size": 150})
    flags = {"lstrip": True, "rstrip": False, "single_word": False, "normalized": normalized}
    mask = {"mask_token": {"content": "<mask>", **flags}}
    write_json(tmp_path / "special_tokens_map.json", mask)
    tiny.write_sentencepiece(tmp_path, "xlm-roberta", characters=tiny.CHARACTERS)
    compare(tmp_path)


@pytest.mark.parametrize("name", CLASSES)
def test_none_spells_what_is_unknown_by_its_bytes(tmp_path, name):
    """As mDeBERTa's file says; a tokenizer that is as its file says does."""
    tiny.write_unigram(tmp_path, name, spells=True)
    assert Tokenizer.from_folder(tmp_path).unk_id in compare(tmp_path, n=50)[1]("中")["input_ids"]
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"})
    found = Tokenizer.from_folder(tmp_path)
    assert found.tokens(found.encode("中").ids)[-3:] == ["<0xE4>", "<0xB8>", "<0xAD>"]


PIECES = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3), ("▁the", -1, 1), ("k", -2, 1)]
WHOLE = tiny.sentencepiece(PIECES, characters={"\t": " "})
SPOILED = {
    "empty": (b"", "no piece for what is unknown"),
    "cut": (WHOLE[:-30], "ends within a field|damaged table"),
    "cut behind what can be left out": (
        WHOLE + tiny.field(1, tiny.field(1, b"zz") + tiny.field(3, 1))[:-2],
        "ends within a field",
    ),
    "page": (b"<!DOCTYPE html><html>", "not a usable SentencePiece model"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\n",
        "not a usable SentencePiece model",
    ),
    "half a letter": (WHOLE.replace("▁".encode(), b"\xe2\x96\xe2"), "can't decode byte"),
    "no score": (tiny.sentencepiece([*PIECES, ("a", float("nan"), 1)]), "the score of 'a' is nan"),
    "no text": (tiny.sentencepiece([*PIECES, ("", 0, 1)]), "a piece is empty"),
    "too many": (WHOLE + b"\x12\xa2\x9c\x01" + b"\x18\x01" * 10_001, "more than 10,000 parts"),
    "BPE": (tiny.sentencepiece(PIECES, kind=2), "a SentencePiece model of BPE"),
    "table": (WHOLE.replace(tiny.charsmap({"\t": " "})[:40], bytes(40)), "damaged table"),
}


@pytest.mark.parametrize(("data", "says"), SPOILED.values(), ids=SPOILED)
def test_pieces_that_cannot_be_read(tmp_path, data, says):
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer"})
    (tmp_path / "sentencepiece.bpe.model").write_bytes(data)
    with pytest.raises(TokenizerError, match=says) as caught:
        Tokenizer.from_folder(tmp_path)
    assert "sentencepiece.bpe.model" in str(caught.value)


def test_damage_anywhere_is_refused_or_harmless(tmp_path):
    """The library's own reader of the table of characters panics where that leads out of it."""
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "AlbertTokenizer"})
    path = tiny.write_sentencepiece(tmp_path, "albert", characters=tiny.CHARACTERS)
    whole, draw, n_refused = path.read_bytes(), random.Random(0), 0
    for _ in range(200):
        spoiled = bytearray(whole)
        for _ in range(draw.choice((1, 3, 30))):
            spoiled[draw.randrange(len(spoiled))] = draw.randrange(256)
        path.write_bytes(spoiled)
        try:
            Tokenizer.from_folder(tmp_path).encode("the ﬁne \u00a0 king\u200b ½ e\u0301")
        except TokenizerError:
            n_refused += 1
    assert 50 < n_refused < 200


@pytest.mark.parametrize("name", ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model"])
def test_a_file_that_the_class_does_not_read(tmp_path, name):
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "DebertaV2Tokenizer"})
    tiny.write_sentencepiece(tmp_path, "deberta-v2").rename(tmp_path / name)
    known = name != "tokenizer.model"
    says = f"DebertaV2Tokenizer does not read {name}" if known else "nor a SentencePiece model"
    with pytest.raises(TokenizerError, match=says):
        Tokenizer.from_folder(tmp_path)


DAMAGED = {
    "table": (
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "BAAAAAABAAA="}},
        "damaged table of characters",
    ),
    "empty table": (
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAAAA=="}},
        "damaged table of characters",
    ),
    "unknown": ({"unk_id": None}, "cannot read every text: .* `unk_id` is missing"),
}


@pytest.mark.parametrize(("values", "says"), DAMAGED.values(), ids=DAMAGED)
def test_what_would_fail_within_a_text_is_refused_at_once(tmp_path, values, says):
    tiny.write_unigram(tmp_path, "XLMRobertaTokenizer")
    path = tmp_path / "tokenizer.json"
    stored = json.loads(path.read_text())
    if "unk_id" in values:
        stored["model"] |= values
    else:
        stored |= values
    path.write_text(json.dumps(stored))
    with pytest.raises(TokenizerError, match=says):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("model_type", CLASSES.values())
def test_word_pieces_beside_a_model_of_unigram(tmp_path, model_type):
    folder = tiny.write_model(tmp_path, model_type)
    (folder / "tokenizer.json").unlink()
    tiny.write_tokenizer(folder)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(TokenizerError, match="Tokenizer does not read vocab.txt"):
        Tokenizer.from_folder(folder)


def test_a_vocabulary_of_another_kind_is_left_as_it_is(tmp_path):
    """A BERT with Unigram tokens (paraphrase-multilingual-MiniLM) names its tokenizer's class."""
    tiny.write_model(tmp_path, "bert", vocab_size=tiny.UNIGRAM_SIZE)
    (tmp_path / "vocab.txt").unlink()
    tiny.write_unigram(tmp_path, "XLMRobertaTokenizerFast")
    _, door = compare(tmp_path, n=20)
    assert "token_type_ids" not in door("the king", "won")
