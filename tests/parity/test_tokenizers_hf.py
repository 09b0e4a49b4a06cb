"""The tokenizer door against Hugging Face's own tokenizers: the same rows for every call form."""

import threading

import numpy as np
import pytest
import torch
import transformers

import potstill
import tiny
from potstill.errors import InputError

TEXTS = [
    "Who won the game?",
    "The old king built a tower by the river Thames, in 1066!",
    "",
    "Paris",
    "naïve Zürich 東京 won — don't you think?",
]
OTHERS = [
    "Denver Broncos won the game in Denver.",
    "a",
    "the queen wrote a book",
    "",
    "1 2 3 4 5 6",
]
CLASSES = ["BertTokenizer", "DistilBertTokenizer", "RobertaTokenizer", "ElectraTokenizer"]


def write(folder, name):
    if name == "RobertaTokenizer":
        tiny.write_byte_level(folder)
    else:
        tiny.write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module", params=CLASSES)
def pair(request, tmp_path_factory):
    """Their tokenizer and ours, of the same files."""
    folder = write(tmp_path_factory.mktemp("tokenizer"), request.param)
    theirs = getattr(transformers, request.param).from_pretrained(folder, model_max_length=64)
    ours = getattr(potstill, request.param).from_pretrained(folder, model_max_length=64)
    return theirs, ours


CALLS = {
    "text": ((TEXTS[1],), {}),
    "empty": (("",), {}),
    "pair": ((TEXTS[0], OTHERS[0]), {}),
    "list": ((TEXTS,), {}),
    "lists": ((TEXTS, OTHERS), {}),
    "pairs": (([list(both) for both in zip(TEXTS, OTHERS, strict=True)],), {}),
    "tuples": ((list(zip(TEXTS, OTHERS, strict=True)),), {"padding": True}),
    "padded": ((TEXTS,), {"padding": True}),
    "longest": ((TEXTS, OTHERS), {"padding": "longest", "pad_to_multiple_of": 8}),
    "max_length": ((TEXTS,), {"padding": "max_length", "max_length": 60}),
    "model_max_length": ((TEXTS,), {"padding": "max_length"}),
    "cut": ((TEXTS,), {"truncation": True, "max_length": 9, "padding": True}),
    "cut pairs": ((TEXTS, OTHERS), {"truncation": "longest_first", "max_length": 13}),
    "cut tight": ((TEXTS, OTHERS), {"truncation": True, "max_length": 7}),
    "only_second": ((TEXTS[0], OTHERS[0]), {"truncation": "only_second", "max_length": 23}),
    "only_first": ((TEXTS[1], OTHERS[2]), {"truncation": "only_first", "max_length": 40}),
    "max_length alone": ((TEXTS,), {"max_length": 8}),
    "no special tokens": ((TEXTS, OTHERS), {"add_special_tokens": False}),
    "masks": (
        (TEXTS,),
        {"padding": True, "return_special_tokens_mask": True, "return_token_type_ids": True},
    ),
    "no masks": ((TEXTS[0],), {"return_attention_mask": False, "return_token_type_ids": False}),
    "offsets": ((TEXTS, OTHERS), {"return_offsets_mapping": True, "return_length": True}),
    "windows": (
        ([TEXTS[0]] * 2, OTHERS[:1] * 2),
        {
            "truncation": "only_second",
            "max_length": 23,
            "stride": 3,
            "padding": "max_length",
            "return_overflowing_tokens": True,
            "return_offsets_mapping": True,
        },
    ),
    "windows of texts": (
        (TEXTS,),
        {"truncation": True, "max_length": 12, "stride": 2, "return_overflowing_tokens": True},
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_rows(pair, call):
    theirs, ours = pair
    arguments, options = CALLS[call]
    expected, found = theirs(*arguments, **options), ours(*arguments, **options)
    assert list(found) == list(expected)
    assert dict(found) == dict(expected)


@pytest.mark.parametrize("kind", ["pt", "np"])
def test_arrays_and_tensors(pair, kind):
    theirs, ours = pair
    for arguments in ((TEXTS[0],), (TEXTS, OTHERS)):
        options = {"padding": True, "return_tensors": kind}
        expected, found = theirs(*arguments, **options), ours(*arguments, **options)
        assert list(found) == list(expected)
        for name in expected:
            assert type(found[name]) is (torch.Tensor if kind == "pt" else np.ndarray)
            assert found[name].dtype == expected[name].dtype
            assert np.array_equal(found[name], expected[name])


def test_lists_of_words(pair):
    theirs, ours = pair
    words = [text.split() for text in TEXTS if text]
    for given in (words, words[0]):
        expected = theirs(given, is_split_into_words=True)
        found = ours(given, is_split_into_words=True)
        assert dict(found) == dict(expected)
        assert found.word_ids() == expected.word_ids(0)


def test_encode_and_decode(pair):
    theirs, ours = pair
    for text in TEXTS:
        ids = ours.encode(text)
        assert ids == theirs.encode(text) == ours.encode_plus(text)["input_ids"]
        assert ours.tokenize(text) == theirs.tokenize(text)
        for skip in (False, True):
            expected = theirs.decode(ids, skip_special_tokens=skip)
            assert ours.decode(ids, skip_special_tokens=skip) == expected
            assert ours.decode(torch.tensor(ids), skip_special_tokens=skip) == expected
    rows = ours(TEXTS)["input_ids"]
    assert ours.batch_decode(rows) == theirs.batch_decode(rows)


def test_special_tokens_and_the_vocabulary(pair):
    theirs, ours = pair
    for role in ("cls", "sep", "pad", "mask", "unk"):
        for name in (f"{role}_token", f"{role}_token_id"):
            assert getattr(ours, name) == getattr(theirs, name)
    assert len(ours) == len(theirs)
    assert ours.get_vocab() == theirs.get_vocab()
    assert sorted(ours.all_special_ids) == sorted(theirs.all_special_ids)
    for name in ("model_max_length", "padding_side", "is_fast"):
        assert getattr(ours, name) == getattr(theirs, name)
    tokens = theirs.convert_ids_to_tokens([5, 9, 12])
    assert ours.convert_ids_to_tokens([5, 9, 12]) == tokens
    assert ours.convert_tokens_to_ids([*tokens, "no such token"]) == [5, 9, 12, ours.unk_token_id]
    assert ours.num_special_tokens_to_add(True) == theirs.num_special_tokens_to_add(True)


def test_words_and_characters_of_a_row(pair):
    theirs, ours = pair
    expected, found = theirs(TEXTS[0], OTHERS[0]), ours(TEXTS[0], OTHERS[0])
    assert found.tokens() == expected.tokens()
    assert found.word_ids() == expected.word_ids()
    assert found.sequence_ids() == expected.sequence_ids()
    assert found.char_to_token(4) == expected.char_to_token(4)
    assert found.token_to_chars(2) == tuple(expected.token_to_chars(2))


def test_data_collators_pad_with_it(pair):
    theirs, ours = pair
    rows = [{**ours(text), "labels": i} for i, text in enumerate(TEXTS)]
    expected = transformers.DataCollatorWithPadding(theirs)([dict(row) for row in rows])
    found = transformers.DataCollatorWithPadding(ours)([dict(row) for row in rows])
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in expected.items()}
    words = [{**ours(text), "labels": [0] * len(ours(text)["input_ids"])} for text in TEXTS]
    labels = transformers.DataCollatorForTokenClassification(ours)(words)["labels"]
    assert labels.shape == found["input_ids"].shape


def test_what_we_save_they_load(pair, tmp_path):
    theirs, ours = pair
    ours.save_pretrained(tmp_path)
    opened = potstill.AutoTokenizer.from_pretrained(tmp_path)
    assert type(opened) is type(ours)
    for again in (opened, type(theirs).from_pretrained(tmp_path)):
        assert dict(again(TEXTS, OTHERS)) == dict(theirs(TEXTS, OTHERS))
        assert again.model_max_length == 64


def test_threads_with_other_options_do_not_meet(pair):
    _, ours = pair
    lengths = [9, 12, 15, 20]
    wrong = []

    def work(length):
        for _ in range(50):
            rows = ours(TEXTS, truncation=True, max_length=length, padding="max_length")
            if {len(row) for row in rows["input_ids"]} != {length}:
                wrong.append(length)

    threads = [threading.Thread(target=work, args=(length,)) for length in lengths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3,), {}, "needs a text, not int"),
        ((["a", 3],), {}, "needs a text, not int"),
        (([["a", "b", "c"]],), {}, "a pair has two texts, not 3"),
        ((["a", "b"], ["c"]), {}, "2 texts need as many second texts, not 1"),
        ((["a", "b"], "c"), {}, "2 texts need as many second texts, not one"),
        (("a",), {"padding": "always"}, "padding 'always'"),
        (("a",), {"truncation": "at random"}, "truncation 'at random'"),
        (("a",), {"truncation": "only_second", "max_length": 2}, "needs pairs of texts"),
        (("a",), {"max_length": 1}, "leaves no room for the special tokens"),
        (("the old king", "won"), {"truncation": "only_second", "max_length": 5}, "have to go"),
        (("the old king",), {"max_length": 4, "stride": 2}, "stride 2 must be less"),
        ((["a", "the old king"],), {"return_tensors": "pt"}, "differ in length: pass padding=True"),
        (("a",), {"return_tensors": "tf"}, "return_tensors 'tf' is not supported"),
    ],
)
def test_what_is_refused(tmp_path, arguments, options, message):
    tokenizer = potstill.BertTokenizer.from_pretrained(write(tmp_path, "BertTokenizer"))
    with pytest.raises(InputError, match=message):
        tokenizer(*arguments, **options)
