import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

import tiny
from potstill.errors import TokenizerError
from potstill.text import opening
from potstill.text import tokenizer as module
from potstill.text.tokenizer import Tokenizer

texts = st.text(st.characters(), max_size=80) | st.text(
    st.sampled_from("the king ., \t\n\x00\u0301\u200d\ud83d\U0001f468אب中é"), max_size=80
)


def shape_of(encoded):
    return encoded.ids.tolist(), encoded.offsets.tolist(), encoded.words.tolist()


@given(text=texts)
def test_offsets_lie_in_the_text_and_rise(tokenizer, text):
    encoded = tokenizer.encode(text)
    starts, ends = encoded.offsets[:, 0], encoded.offsets[:, 1]
    assert (starts < ends).all()
    assert (starts >= 0).all()
    assert (ends <= len(text)).all()
    assert (starts[1:] >= starts[:-1]).all()
    assert len(encoded.ids) == len(encoded.offsets) == len(encoded.words) == len(encoded)
    assert (encoded.ids < len(tiny.VOCABULARY)).all()


@given(text=texts)
def test_only_blanks_and_controls_are_outside_tokens(tokenizer, text):
    covered = set()
    for start, end in tokenizer.encode(text).offsets:
        covered.update(range(start, end))
    rest = "".join(char for i, char in enumerate(text) if i not in covered)
    assert len(tokenizer.encode(rest)) == 0


@given(words=st.lists(st.sampled_from(tiny.WORDS), max_size=20))
def test_known_words_are_whole_tokens(tokenizer, words):
    text = " ".join(words)
    encoded = tokenizer.encode(text)
    assert [text[a:b] for a, b in encoded.offsets] == words
    assert tokenizer.tokens(encoded.ids) == words
    assert encoded.words.tolist() == list(range(len(words)))


@given(batch=st.lists(texts, max_size=5))
def test_a_batch_is_the_texts_one_by_one(tokenizer, batch):
    together = tokenizer.encode_batch(batch)
    assert [shape_of(e) for e in together] == [shape_of(tokenizer.encode(t)) for t in batch]


@given(words=st.lists(st.text("aknt.é\u0301 \n", min_size=1, max_size=9), max_size=40))
def test_a_long_text_is_read_in_pieces_that_make_no_difference(tokenizer, words):
    text = " ".join(words)
    whole = shape_of(tokenizer.encode(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", 16)
        assert shape_of(tokenizer.encode(text)) == whole
        assert shape_of(tokenizer.encode_batch(["a", text])[1]) == whole


def test_a_long_text_without_spaces_is_read_too(tokenizer):
    text = "king" * 60_000
    encoded = tokenizer.encode(text)
    assert encoded.offsets[0, 0] == 0
    assert encoded.offsets[-1, 1] == len(text)


def test_lower_case_and_accents_keep_the_callers_offsets(tokenizer):
    text = "THE Ki\u0301ng rİver"
    encoded = tokenizer.encode(text)
    assert tokenizer.tokens(encoded.ids)[:2] == ["the", "king"]
    assert [text[a:b] for a, b in encoded.offsets][:2] == ["THE", "Ki\u0301ng"]


def test_a_lone_surrogate_takes_one_place(tokenizer):
    text = "the \ud800 king"
    encoded = tokenizer.encode(text)
    assert text[slice(*encoded.offsets[-1])] == "king"


def test_a_cased_vocabulary_stays_cased(tmp_path):
    tiny.write_tokenizer(tmp_path, lower=False)
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.tokens(tokenizer.encode("the THE").ids) == ["the", "[UNK]"]


def test_tokenizer_json_is_preferred_and_its_own_truncation_switched_off(tmp_path, tokenizer):
    tiny.write_tokenizer(tmp_path)
    backend = opening.wordpiece({t: i for i, t in enumerate(tiny.VOCABULARY)}, {})
    backend.enable_truncation(4)
    backend.enable_padding(length=4)
    backend.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "vocab.txt").unlink()
    opened = Tokenizer.from_folder(tmp_path)
    assert len(opened.encode("the king of the city of the river")) == 8
    assert len(opened.encode("the")) == 1
    assert (opened.cls_id, opened.sep_id, opened.pad_id) == (2, 3, 0)


def test_special_tokens_of_the_config_may_be_dictionaries(tmp_path):
    tiny.write_tokenizer(tmp_path)
    config = {"cls_token": {"content": "[MASK]"}, "unk_token": {"content": "[UNK]"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert Tokenizer.from_folder(tmp_path).cls_id == tiny.VOCABULARY.index("[MASK]")


@pytest.mark.parametrize("added", [False, True])
def test_word_pieces_without_the_unknown_word_are_refused(tmp_path, added):
    """An unknown word would otherwise be an exception of the library's, in the middle of a text."""
    tiny.write_tokenizer(tmp_path)
    backend = Tokenizer.from_folder(tmp_path).backend
    state = json.loads(backend.to_str())
    state["model"]["vocab"]["[unused]"] = state["model"]["vocab"].pop("[UNK]")
    state["added_tokens"] = [t for t in state["added_tokens"] if added or t["content"] != "[UNK]"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(state))
    with pytest.raises(TokenizerError, match=r"the unk token '\[UNK\]' is not in the tokenizer's"):
        Tokenizer.from_folder(tmp_path)


def test_special_tokens_in_a_text_do_not_break_a_window(tokenizer):
    # They are read as the special token, as transformers does; offsets still fit.
    text = "the [SEP] king"
    assert text[slice(*tokenizer.encode(text).offsets[-1])] == "king"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", b"{", "is not a usable tokenizer"),
        ("tokenizer.json", b"\xff\xfe", "is not a usable tokenizer"),
        ("tokenizer_config.json", b"{", "cannot be read as JSON"),
        ("tokenizer_config.json", b"[]", "holds a list"),
        ("vocab.txt", b"\xff\xfe\xfd", "cannot be read as UTF-8"),
        ("vocab.txt", b"a\nb\n", "unknown token '[UNK]'"),
        ("vocab.txt", b"[UNK]\na\n", "the cls token '[CLS]' is not in"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, name, content, message):
    tiny.write_tokenizer(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TokenizerError, match=r"\A[^\n]*\Z") as caught:
        Tokenizer.from_folder(tmp_path)
    assert message in str(caught.value)


def test_a_folder_without_a_tokenizer(tmp_path):
    with pytest.raises(TokenizerError, match="neither tokenizer.json nor vocab.txt"):
        Tokenizer.from_folder(tmp_path)


def test_threads_share_one_tokenizer(tokenizer):
    texts = [" ".join(tiny.WORDS[i % 40 :]) for i in range(200)]
    alone = [shape_of(tokenizer.encode(text)) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert [shape_of(e) for e in pool.map(tokenizer.encode, texts)] == alone


def test_it_is_the_tokenizers_library_underneath():
    backend = opening.wordpiece({t: i for i, t in enumerate(tiny.VOCABULARY)}, {})
    assert isinstance(backend, tokenizers.Tokenizer)


def test_what_a_language_model_asks_of_its_tokenizer(tmp_path) -> None:
    tiny.write_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_folder(tmp_path)
    assert tokenizer.mask_id == tiny.VOCABULARY.index("[MASK]")
    special, goes_on = tokenizer.special(), tokenizer.continuations()
    assert special.tolist() == [token.startswith("[") for token in tiny.VOCABULARY]
    assert goes_on.tolist() == [token.startswith("##") for token in tiny.VOCABULARY]
    texts = ["The old tower.", "", "\ud800 xyz"]
    for ids, encoded in zip(tokenizer.ids_batch(texts), tokenizer.encode_batch(texts), strict=True):
        assert ids.tolist() == encoded.ids.tolist()


def test_a_fingerprint_tells_tokenizers_apart(tmp_path) -> None:
    for name, lower in (("a", True), ("b", True), ("c", False)):
        tiny.write_tokenizer(tmp_path / name, lower=lower)
    prints = [Tokenizer.from_folder(tmp_path / name).fingerprint() for name in "abc"]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("model_type", ["bert", "roberta", "camembert"])
@pytest.mark.parametrize("marks", ["\u0301", "\u0301\u0323", "\u0345\u0334", "\ufe0f\u200d"])
def test_a_letter_with_marks_without_end_is_one_pass(tmp_path, model_type, marks):
    tokenizer = Tokenizer.from_folder(tiny.write_model(tmp_path / "model", model_type))
    text = "king" + marks * (200_000 // len(marks)) + " won"
    before = time.process_time()
    encoded = tokenizer.encode(text)
    assert time.process_time() - before < 5  # the square of so many takes minutes
    offsets = encoded.offsets
    assert offsets.max() == len(text) and (offsets[1:, 0] >= offsets[:-1, 0]).all()
