"""Training examples made less tidy: what may change, and what may not."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.data.noise import NOISE, add_noise
from potstill.records import QAExample

TEXT = st.text(st.sampled_from("the king WON 24 ?.,é"), min_size=1, max_size=40)


def one(question="Who won the game in London?", context="The king won.", **more):
    answer = {"answers": ("king",), "starts": (4,)} if "king" in context[4:8] else {}
    return QAExample(**{"id": "q", "question": question, "context": context, **answer, **more})


@given(question=TEXT, way=st.sampled_from(list(NOISE)), seed=st.integers(0, 99))
def test_answers_stay_where_they_are(question, way, seed):
    before = one(question)
    after = NOISE[way](before, Random(seed))
    assert (after.id, after.answers, after.title) == (before.id, before.answers, before.title)
    for text, start in zip(after.answers, after.starts, strict=True):
        assert after.context[start : start + len(text)] == text
    assert (after.context == before.context) or (after.question == before.question)


def test_each_way_does_what_it_says():
    random, before = Random(0), one()
    assert NOISE["mark"](before, random).question == "Who won the game in London"
    assert NOISE["mark"](one("?"), random).question == "?"
    assert NOISE["lower"](before, random).question == "who won the game in london?"
    assert NOISE["capitals"](before, random).question == "WHO WON THE GAME IN LONDON?"
    context = NOISE["chatter"](before, random).context
    assert context != before.context and before.context in context


def test_the_one_sentence_that_answers():
    context = "Paris is large. The red king won a game in 1990. He lost in 1991."
    at = context.index("king")
    before = one(context=context, answers=("king", "1991"), starts=(at, context.index("1991")))
    after = NOISE["sentence"](before, Random(0))
    assert after.context == "The red king won a game in 1990."
    assert (after.answers, after.starts) == (("king",), (8,))
    across = one(context=context, answers=("1990. He",), starts=(context.index("1990"),))
    assert NOISE["sentence"](across, Random(0)) == across
    silent = one(context=context, answers=(), starts=(), is_impossible=True)
    seen = {NOISE["sentence"](silent, Random(seed)).context for seed in range(30)}
    assert seen == {"Paris is large.", "The red king won a game in 1990.", "He lost in 1991."}


def test_a_typo_is_one_letter_missing_or_two_swapped_inside_a_word():
    before = one("Why do games matter?")
    seen = {NOISE["typo"](before, Random(seed)).question for seed in range(300)}
    assert "Why do gmaes matter?" in seen and "Why do gams matter?" in seen
    for question in seen:
        same = Counter(before.question.replace(" ", "")) - Counter(question.replace(" ", ""))
        assert sum(same.values()) <= 1
        assert question.startswith("Why do g") and question.split()[3][0] == "m"
    assert NOISE["typo"](one("Who is he?"), Random(0)) == one("Who is he?")


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_examples_is_made_so_and_the_seed_says_which(share):
    context = "The king won. It rained."
    examples = [one(f"Who won game number {i}?", context, id=f"q{i}") for i in range(400)]
    found = add_noise(examples, share, seed=1)
    changed = sum(a != b for a, b in zip(examples, found, strict=True))
    assert changed == pytest.approx(400 * share, abs=40)
    assert found == add_noise(examples, share, seed=1)
    assert found[:50] == add_noise(examples[:50], share, seed=1)  # of each by itself
    assert share == 0 or found != add_noise(examples, share, seed=2)
