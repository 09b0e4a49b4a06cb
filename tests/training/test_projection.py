"""A teacher's starts and ends on another tokenizer's tokens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.text.tokenizer import Encoded
from potstill.text.windows import split
from potstill.training.qa.projection import project
from potstill.training.qa.teacher_cache import WindowOutput


def encoded(offsets):
    n = len(offsets)
    return Encoded(
        np.arange(n, dtype=np.int32),
        np.array(offsets, np.int32).reshape(n, 2),
        np.arange(n, dtype=np.int32),
    )


@st.composite
def texts(draw):
    """Offsets of the tokens of some text: they follow one another, with gaps between words."""
    offsets, at = [], draw(st.integers(0, 2))
    for width, gap in draw(
        st.lists(st.tuples(st.integers(1, 5), st.integers(0, 2)), min_size=1, max_size=40)
    ):
        offsets.append((at, at + width))
        at += width + gap
    return encoded(offsets)


def outputs(context, seed, *, n_question=3, seq_len=64, stride=8):
    random = np.random.default_rng(seed)
    found = []
    for start, stop in split(n_question, len(context), seq_len=seq_len, stride=stride):
        logits = random.normal(0, 3, (2, n_question + 3 + stop - start)).astype(np.float16)
        found.append(WindowOutput(start, stop, n_question + 2, *logits))
    return found


def softmax(scores, temperature):
    mass = np.exp((scores - scores.max()) / temperature)
    return mass / mass.sum()


@settings(max_examples=60)
@given(texts(), st.integers(0, 99), st.sampled_from([0.5, 1.0, 4.0]))
def test_equal_tokens_and_windows_give_the_masked_softmax(context, seed, temperature):
    for window in outputs(context, seed, seq_len=20):
        found = project(
            context,
            outputs(context, seed, seq_len=20),
            context,
            window.start,
            window.stop,
            temperature,
        )
        at, n = window.context_at, window.stop - window.start
        for logits, null, mass in (
            (window.start_logits, found.null_start, found.start),
            (window.end_logits, found.null_end, found.end),
        ):
            wanted = softmax(np.r_[logits[:1], logits[at : at + n]].astype(np.float64), temperature)
            np.testing.assert_allclose(np.r_[null, mass], wanted, rtol=1e-5, atol=1e-7)


@settings(max_examples=60)
@given(texts(), texts(), st.integers(0, 99), st.integers(12, 40))
def test_no_probability_is_lost_between_any_two_tokenizers(theirs, ours, seed, seq_len):
    for start, stop in split(3, len(ours), seq_len=seq_len, stride=4):
        found = project(theirs, outputs(theirs, seed), ours, start, stop, 2.0)
        if found is None:
            continue
        assert found.null_start + found.start.sum() == pytest.approx(1, abs=1e-5)
        assert found.null_end + found.end.sum() == pytest.approx(1, abs=1e-5)
        assert len(found.start) == len(found.end) == stop - start


def test_a_start_goes_to_the_first_character_and_an_end_to_the_last():
    theirs = encoded([(0, 10)])  # one token: "New York  "
    ours = encoded([(0, 3), (4, 8), (8, 10)])
    said = [WindowOutput(0, 1, 2, *np.array([[-50, 0, 9, 0], [-50, 0, 9, 0]], np.float16))]
    found = project(theirs, said, ours, 0, 3, 1.0)
    np.testing.assert_allclose(found.start, [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(found.end, [0, 0, 1], atol=1e-6)


def test_many_teacher_tokens_in_one_of_the_students_add_up():
    theirs = encoded([(0, 1), (1, 2), (2, 3), (4, 7)])
    ours = encoded([(0, 3), (4, 7)])
    logits = np.array([0, 0, 1, 2, 3, 4, 0], np.float16)
    said = [WindowOutput(0, 4, 2, logits, logits)]
    mass = softmax(np.array([0.0, 1, 2, 3, 4]), 1.0)
    found = project(theirs, said, ours, 0, 2, 1.0)
    np.testing.assert_allclose(found.start, [mass[1:4].sum(), mass[4]], rtol=1e-5)


def test_a_token_seen_twice_is_read_where_the_window_is_nearest():
    context = encoded([(i, i + 1) for i in range(10)])
    first, second = np.zeros((2, 9), np.float16), np.full((2, 9), 5, np.float16)
    said = [WindowOutput(0, 6, 2, *first), WindowOutput(4, 10, 2, *second)]
    found = project(context, said, context, 4, 10, 1.0)
    np.testing.assert_allclose(found.start, 1 / 7, rtol=1e-5)
    found = project(context, said, context, 0, 6, 1.0)
    np.testing.assert_allclose(found.start, 1 / 7, rtol=1e-5)


def test_a_teacher_that_reads_nothing_there_gives_nothing():
    theirs, ours = encoded([(0, 2)]), encoded([(0, 2), (5, 6)])
    assert project(theirs, outputs(theirs, 0), ours, 1, 2, 1.0) is None
