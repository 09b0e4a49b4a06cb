"""Text → sentences."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.text.sentences import sentences


def cut(text):
    return [text[a:b] for a, b in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith came at 5 p.m. and left. Then", ["Dr. Smith came at 5 p.m. and left.", "Then"]),
        ('"Was it?" she asked. "Yes." It was.', ['"Was it?" she asked.', '"Yes."', "It was."]),
        ("By J. R. R. Tolkien (in 1937). Read it.", ["By J. R. R. Tolkien (in 1937).", "Read it."]),
        ("It is 3.5 m. 24 came.", ["It is 3.5 m.", "24 came."]),
        ("3. Deposit\n\nPay 20 per cent", ["3. Deposit", "Pay 20 per cent"]),
        ("A list:\n- one\n- two\n1. three", ["A list:", "- one", "- two", "1. three"]),
        ("a line\nof a paragraph", ["a line\nof a paragraph"]),
        ("a: b. C |\td: e\na: f |\td: g", ["a: b. C |\td: e", "a: f |\td: g"]),
        ("東京は首都です。人口は多い。", ["東京は首都です。", "人口は多い。"]),
        (" \n ", []),
    ],
)
def test_sentences(text, expected):
    assert cut(text) == expected


@given(st.text(st.sampled_from("aB1 .!?\n-\"')|\t。"), max_size=60))
def test_sentences_hold_all_words_in_order(text):
    end = 0
    for first, last in sentences(text):
        assert end <= first < last
        assert not text[end:first].strip()
        assert text[first:last] == text[first:last].strip()
        end = last
    assert not text[end:].strip()


@pytest.mark.parametrize(
    "text",
    [
        "a" + " " * 100_000 + "b",
        "a\n" + " \t" * 50_000 + "b",
        "." * 100_000,
        ". " + '"' * 100_000,
        " " * 100_000 + "A. " * 5_000,
        "1" * 100_000 + ". a",
    ],
    ids=["blanks", "line", "stops", "quotes", "initials", "number"],
)
def test_no_text_takes_long(text):
    began = time.process_time()
    assert cut(text) == [text.strip()]
    assert time.process_time() - began < 5
