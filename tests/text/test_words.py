import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from potstill.text.tokenizer import Tokenizer
from potstill.text.words import first_tokens, join_words, words_of


@pytest.fixture(scope="module", params=["wordpiece", "byte-level", "byte-level, untrimmed"])
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    if request.param == "wordpiece":
        tiny.write_tokenizer(folder)
        return Tokenizer.from_folder(folder)
    backend = tiny.byte_level(trim_offsets=request.param == "byte-level")
    special = {"cls": "<s>", "sep": "</s>", "pad": "<pad>"}
    return Tokenizer(backend, special)


def aligned(tokenizer, words):
    text, starts = join_words(words)
    encoded = tokenizer.encode(text)
    return encoded, words_of(encoded, starts)


def test_tokens_know_their_words(tokenizer):
    words = ["Denver", "Broncos", "won-the", "game", "."]
    text, starts = join_words(words)
    assert text == "Denver Broncos won-the game ."
    assert starts.tolist() == [0, 7, 15, 23, 28]
    encoded, found = aligned(tokenizer, words)
    for number, word in enumerate(words):
        own = np.flatnonzero(found == number)
        first, last = encoded.offsets[own[0], 0], encoded.offsets[own[-1], 1]
        assert text[first:last].strip() == word
    first = first_tokens(found, len(words)).tolist()
    assert first == [found.tolist().index(number) for number in range(len(words))]


@settings(max_examples=40)
@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, max_size=8))
def test_tokens_never_leave_their_word(tokenizer, words):
    encoded, found = aligned(tokenizer, words)
    text, starts = join_words(words)
    assert (np.diff(found) >= 0).all()
    for (a, b), number in zip(encoded.offsets.tolist(), found.tolist(), strict=True):
        if text[a:b].strip():
            start = starts[number]
            assert start - 1 <= a and b <= start + len(words[number])


def test_a_word_without_tokens(tmp_path):
    tiny.write_tokenizer(tmp_path)
    _, found = aligned(Tokenizer.from_folder(tmp_path), ["the", "\u0001", "king"])
    assert first_tokens(found, 3).tolist() == [0, -1, 1]


def test_no_words():
    text, starts = join_words([])
    assert (text, starts.tolist()) == ("", [])
