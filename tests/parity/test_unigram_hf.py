"""Unigram tokenizers read as transformers reads them: ids, offsets, pairs and texts."""

from __future__ import annotations

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


def test_pieces_of_sentencepiece_alone_name_the_remedy(tmp_path):
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer"})
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"\n\x0e\n\x05<unk>")
    with pytest.raises(TokenizerError, match="open it once with transformers' AutoTokenizer"):
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
    with pytest.raises(TokenizerError, match="holds word pieces, and such a model reads Unigram"):
        Tokenizer.from_folder(folder)


def test_a_vocabulary_of_another_kind_is_left_as_it_is(tmp_path):
    """A BERT with Unigram tokens (paraphrase-multilingual-MiniLM) names its tokenizer's class."""
    tiny.write_model(tmp_path, "bert", vocab_size=tiny.UNIGRAM_SIZE)
    (tmp_path / "vocab.txt").unlink()
    tiny.write_unigram(tmp_path, "XLMRobertaTokenizerFast")
    _, door = compare(tmp_path, n=20)
    assert "token_type_ids" not in door("the king", "won")
