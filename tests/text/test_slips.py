"""Mistyped words, and the words of a text that were meant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.bundle.find import find_model
from potstill.text.slips import is_slip, mended
from potstill.text.tokenizer import Tokenizer

TEXT = "Aeneas Coffey patented the column still. Coffee is not copper."


@given(st.text("abcé", min_size=4, max_size=7), st.data())
def test_one_edit_behind_the_first_letter_is_a_slip(word, data):
    at = data.draw(st.integers(1, len(word) - 1))
    letter = data.draw(st.sampled_from("abcé"))
    edits = [word[:at] + letter + word[at:]]
    if at + 1 < len(word):
        edits.append(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
    if len(word) > 4:
        edits.append(word[:at] + word[at + 1 :])
    for edit in edits:
        if edit == word:
            continue
        assert is_slip(edit, word)
        assert is_slip(word, edit)
        assert not is_slip(edit + "zz", word)
        assert not is_slip("z" + edit[1:], word)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("Meier", "Meyer"), ("ethene", "ethane"), ("cat", "cart"), ("19455", "1945")],
)
def test_another_word_is_no_slip(typed, meant):
    assert not is_slip(typed, meant)
    assert not is_slip(typed, typed)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_folder(find_model("default"))


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("Who patnted the still?", "Who patented the still?"),
        ("who PATENETD the colunm still?", "who patented the column still?"),
        ("Who patented the stlil?", "Who patented the still?"),
        ("What did Coffy patent?", "What did Coffey patent?"),
        ("Who made coffee of Cofey?", "Who made coffee of Coffey?"),
        ("Who patents stills?", "Who patents stills?"),  # words that there are
        ("Who copied colu?", "Who copied colu?"),  # stands in the text, as a part of a word
        ("Who is Aeneis?", "Who is Aeneis?"),
        ("", ""),
    ],
)
def test_a_word_that_nobody_knows_is_read_as_that_of_the_text(tokenizer, typed, read):
    assert mended(typed, tokenizer.encode(typed), [TEXT]) == read
    assert mended(typed, tokenizer.encode(typed), []) == typed


def test_where_two_words_are_as_near_none_is_taken(tokenizer):
    encoded = tokenizer.encode("Who is Cofey?")
    assert mended("Who is Cofey?", encoded, ["Coffey and Cofeys"]) == "Who is Cofey?"
    assert mended("Who is Cofey?", encoded, ["Coffey", "COFFEY"]) == "Who is Coffey?"


def test_only_what_people_type_is_mended(tokenizer):
    words = ["patnted", "colmun", "coppr", "Coffy", "Aenes"]
    read = ["patented", "column", "copper", "Coffey", "Aenes"]  # the fifth is not sought
    typed = " ".join(words)
    assert mended(typed, tokenizer.encode(typed), [TEXT]) == " ".join(read)
    typed = "Who patnted the still? " + "Tell me. " * 60
    assert mended(typed, tokenizer.encode(typed), [TEXT]) == typed


def test_a_question_of_128_tokens_is_the_longest_that_is_mended(tokenizer):
    n = len(tokenizer.encode("Who patnted"))
    typed = "Who patnted" + " the" * (128 - n)
    assert mended(typed, tokenizer.encode(typed), [TEXT]).startswith("Who patented the")
    typed += " the"
    assert mended(typed, tokenizer.encode(typed), [TEXT]) == typed
