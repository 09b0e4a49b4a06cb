"""Tokenizers whose files disagree: read as transformers reads them, tokens and offsets."""

import itertools
import json

import numpy as np
import pytest
import tokenizers
import transformers
from tokenizers import pre_tokenizers

import potstill
import tiny
from potstill.bundle.atomic import write_json
from potstill.bundle.encoders.table import ENCODERS
from potstill.errors import TokenizerError
from potstill.runtime.qa import QAClient
from potstill.text.opening import read_vocabulary, wordpiece
from potstill.text.tokenizer import Tokenizer

TEXTS = [
    "The Café king was built by 北京 the red tower [NEW] here",
    "<new> thing [MASK] x the queen [new]",
    "THE KING [SEP] cafe\u0301 Zürich",
]
CONFIG = {"vocab_size": 400, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
BYTE_LEVEL = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
BERT = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}


def write(folder, config, *, fast=None, files=(), model_type="bert"):
    """A folder of word pieces; ``fast`` are the options of a tokenizer.json that disagrees."""
    tiny.write_tokenizer(folder)
    write_json(folder / "config.json", {"model_type": model_type, **CONFIG})
    write_json(folder / "tokenizer_config.json", config)
    if fast is not None:
        backend = wordpiece(read_vocabulary(folder / "vocab.txt"), fast)
        backend.save(str(folder / "tokenizer.json"))
    for name, values in files:
        write_json(folder / name, values)
    return folder


def compare(folder, *, pairs=True):
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    ours, door = Tokenizer.from_folder(folder), potstill.AutoTokenizer.from_pretrained(str(folder))
    for text in TEXTS:
        expected = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
        found = ours.encode(text)
        assert found.ids.tolist() == expected["input_ids"]
        assert found.offsets.tolist() == list(map(list, expected["offset_mapping"]))
        if pairs:
            options = {"return_offsets_mapping": True}
            row = door(text, "the king", **options)
            assert dict(row) == dict(theirs(text, "the king", **options))
            types = "token_type_ids" in row and 1 in row["token_type_ids"]
            assert ours.layout.token_types == types


CLASSES = ["", "BertTokenizer", "DistilBertTokenizerFast", "ElectraTokenizer"]
OPTIONS = [
    {},
    {"do_lower_case": False},
    {"do_lower_case": True, "strip_accents": False},
    {"do_lower_case": False, "strip_accents": True},
    {"tokenize_chinese_chars": False},
]


@pytest.mark.parametrize(("name", "options"), list(itertools.product(CLASSES, OPTIONS)))
def test_the_config_wins_over_tokenizer_json(tmp_path, name, options):
    named = {"tokenizer_class": name} if name else {}
    for lower in (True, False):
        fast = {"do_lower_case": lower, "tokenize_chinese_chars": not lower}
        compare(write(tmp_path / str(lower), {**options, **named}, fast=fast))


def test_a_class_that_takes_no_options_leaves_the_file_as_it_is(tmp_path):
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True, **BERT}
    compare(write(tmp_path, config, fast={"do_lower_case": False}), pairs=False)


TOKEN = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
ADDED = {
    "beside the vocabulary": ({}, [("added_tokens.json", {"[new]": 999, "<new>": 1000})], None),
    "cased": ({"do_lower_case": False}, [("added_tokens.json", {"[NEW]": 5})], None),
    "special": (
        {"additional_special_tokens": ["[NEW]"]},
        [("added_tokens.json", {"[NEW]": 5})],
        None,
    ),
    "in the config": (
        {"added_tokens_decoder": {"400": {"content": "[NEW]", "special": False, **TOKEN}}},
        [],
        None,
    ),
    "in the config, beside tokenizer.json": (
        {"added_tokens_decoder": {"400": {"content": "<new>", "special": True, **TOKEN}}},
        [],
        {"do_lower_case": True},
    ),
    "words of the vocabulary": ({"extra_special_tokens": ["the"]}, [], {"do_lower_case": True}),
    "named in the map": (
        {},
        [("special_tokens_map.json", {"additional_special_tokens": ["king"]})],
        None,
    ),
}


@pytest.mark.parametrize("kind", ADDED)
def test_added_tokens(tmp_path, kind):
    config, files, fast = ADDED[kind]
    compare(write(tmp_path, config, files=files, fast=fast))


@pytest.mark.parametrize("where", ["special_tokens_map.json", "tokenizer_config.json"])
def test_special_tokens_by_other_names(tmp_path, where):
    write(tmp_path, {})
    vocabulary = (tmp_path / "vocab.txt").read_text(encoding="utf-8")
    for role in ("CLS", "SEP", "PAD", "UNK", "MASK"):
        vocabulary = vocabulary.replace(f"[{role}]", f"<{role.lower()}>")
    (tmp_path / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    named = {f"{role}_token": f"<{role}>" for role in ("cls", "sep", "pad", "unk", "mask")}
    named["cls_token"] = {"content": "<cls>", **TOKEN}
    if where == "tokenizer_config.json":
        named["cls_token"] = "<cls>"
    write_json(tmp_path / where, named)
    compare(tmp_path)


@pytest.mark.parametrize(
    "config",
    [
        {"model_input_names": ["input_ids", "attention_mask"]},
        {"tokenizer_class": "DistilBertTokenizer"},
    ],
)
def test_a_bert_that_is_fed_no_token_types(tmp_path, config):
    compare(write(tmp_path, config))
    assert not Tokenizer.from_folder(tmp_path).layout.token_types


@pytest.mark.parametrize("where", ["config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("name", ["BertJapaneseTokenizer", "T5TokenizerFast", "MyTokenizer"])
def test_tokenizers_of_other_kinds_are_refused_by_name(tmp_path, where, name):
    write(tmp_path, {})
    values = json.loads((tmp_path / where).read_text(encoding="utf-8"))
    write_json(tmp_path / where, {**values, "tokenizer_class": name})
    with pytest.raises(TokenizerError, match=f"tokenizer_class '{name}' is not supported"):
        Tokenizer.from_folder(tmp_path)


KINDS = {"BertTokenizer": "WordPiece", "RobertaTokenizerFast": "BPE", "AlbertTokenizer": "Unigram"}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("model_type", ENCODERS)
def test_a_class_of_another_kind_than_the_file_is_refused(tmp_path, model_type, name):
    """transformers makes unknown tokens of nearly every word then, or no pieces at all."""
    tiny.write_model(tmp_path, model_type)
    backend = Tokenizer.from_folder(tmp_path)._backend
    options = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    write_json(tmp_path / "tokenizer_config.json", {**options, "tokenizer_class": name})
    if type(backend.model).__name__ == KINDS[name]:
        return
    for alone in (True, False):  # a vocabulary alone, and tokenizer.json beside it
        if not alone:
            backend.save(str(tmp_path / "tokenizer.json"))
        says = f"{name.removesuffix('Fast')} (is of another kind|does not read vocab.txt)"
        with pytest.raises(TokenizerError, match=says) as caught:
            Tokenizer.from_folder(tmp_path)
        assert str(tmp_path) in str(caught.value)


def test_a_class_that_says_no_more_than_the_type(tmp_path):
    """paraphrase-multilingual-MiniLM-L12-v2 is a BERT with a Unigram tokenizer.json."""
    tiny.write_model(tmp_path, "bert", vocab_size=tiny.UNIGRAM_SIZE)
    (tmp_path / "vocab.txt").unlink()
    tiny.write_unigram(tmp_path, "BertTokenizer")
    backend = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.save(str(tmp_path / "tokenizer.json"))
    expected = backend.encode("The queen won", add_special_tokens=False).ids
    for options in ({"tokenizer_class": "BertTokenizer"}, {}):
        write_json(tmp_path / "tokenizer_config.json", options)
        assert Tokenizer.from_folder(tmp_path).encode("The queen won").ids.tolist() == expected


def test_a_unigram_is_no_robertas(tmp_path):
    tiny.write_model(tmp_path, "roberta", vocab_size=tiny.UNIGRAM_SIZE)
    for file in ("vocab.json", "merges.txt", "tokenizer.json"):
        (tmp_path / file).unlink(missing_ok=True)
    tiny.write_unigram(tmp_path, "RobertaTokenizerFast")
    with pytest.raises(TokenizerError, match="holds a Unigram tokenizer, and Roberta"):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("name", ["RobertaTokenizerFast", "PreTrainedTokenizerFast"])
def test_a_modernbert_is_read_as_its_file_has_it(tmp_path, name):
    tiny.write_model(tmp_path, "modernbert")
    options = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    named = {"tokenizer_class": name, "add_prefix_space": True}
    write_json(tmp_path / "tokenizer_config.json", {**options, **named})
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    ours = Tokenizer.from_folder(tmp_path)
    for text in TEXTS:
        ids = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.encode(text).ids.tolist() == ids


ROBERTA = [
    {},
    {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": True},
    {"add_prefix_space": True},
    {"tokenizer_class": "PreTrainedTokenizerFast", **BYTE_LEVEL},
]


@pytest.mark.parametrize("config", ROBERTA)
@pytest.mark.parametrize("prefix", [False, True])
def test_byte_level_options(tmp_path, config, prefix):
    backend = tiny.byte_level(add_prefix_space=prefix)
    backend.save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "config.json", {"model_type": "roberta", **CONFIG})
    write_json(tmp_path / "tokenizer_config.json", config)
    compare(tmp_path)


def roberta(folder, kind):
    """A reader whose offsets are not trimmed, or lose letters where they are."""
    tiny.write_model(folder, "roberta")
    backend = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "RobertaTokenizer", "trim_offsets": False}
    if kind == "whitespace first":
        cut = [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=True)]
        backend.pre_tokenizer = pre_tokenizers.Sequence(cut)
        config = {"tokenizer_class": "PreTrainedTokenizerFast", **BYTE_LEVEL}
    backend.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", config)
    return folder


@pytest.mark.parametrize("kind", ["untrimmed", "whitespace first"])
def test_answers_of_byte_level_tokenizers_begin_with_their_first_letter(tmp_path, kind):
    folder = roberta(tmp_path, kind)
    context = "The old king built a tower by the river Thames. Denver won the game in 1066!"
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    ours = Tokenizer.from_folder(folder)
    found = ours.encode(context)
    assert found.ids.tolist() == theirs(context, add_special_tokens=False)["input_ids"]
    slices = [context[a:b] for a, b in found.offsets.tolist()]
    assert not any(part != part.strip() for part in slices)
    letters = np.zeros(len(context), bool)
    for start, end in found.offsets.tolist():
        letters[start:end] = True
    assert all(covered != char.isspace() for covered, char in zip(letters, context, strict=True))
    client = QAClient.from_options(folder, threads=1)
    for answer in client.predict("Who won the game?", context, top_k=5):
        assert answer.text == answer.text.strip() == context[answer.start : answer.end]


def test_an_exported_folder_is_read_alike_by_others(tmp_path):
    from potstill.export.bundle import export_bundle

    folder = tiny.write_model(tmp_path / "model")
    write_json(folder / "tokenizer_config.json", {"do_lower_case": False})
    write_json(folder / "added_tokens.json", {"[NEW]": 400})
    backend = wordpiece(read_vocabulary(folder / "vocab.txt"), {"do_lower_case": True})
    backend.save(str(folder / "tokenizer.json"))
    export_bundle(folder, tmp_path / "out", ["hf"])
    expected = Tokenizer.from_folder(folder).encode(TEXTS[0]).ids.tolist()
    fast = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert fast.encode(TEXTS[0], add_special_tokens=False).ids == expected
    assert Tokenizer.from_folder(tmp_path / "out").encode(TEXTS[0]).ids.tolist() == expected
