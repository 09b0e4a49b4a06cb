import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from potstill.text.spans import WindowLogits, search, search_many, start_scores
from potstill.text.windows import split

logit = st.floats(-20, 20, width=32)


@st.composite
def questions(draw):
    """Windows of one question over one to three contexts, with any logits."""
    found = []
    for context in range(draw(st.integers(1, 3))):
        slices = split(
            1,
            draw(st.integers(1, 14)),
            seq_len=draw(st.integers(5, 20)),
            stride=draw(st.integers(0, 4)),
        )
        for start, stop in slices:
            rows = draw(arrays(np.float32, (2, stop - start), elements=logit))
            bare = draw(arrays(np.bool_, stop - start) | st.none())
            found.append(WindowLogits(context, start, rows[0], rows[1], draw(logit), bare))
    return found


def brute_force(windows, max_answer_tokens):
    """Every allowed span with the logit of the window that shows most of what is around it."""
    spans = {}
    length = {c: max(w.at + len(w.start) for w in windows if w.context == c)
              for c in {w.context for w in windows}}  # fmt: skip
    for w in windows:
        n = len(w.start)
        for i in range(n):
            for j in range(i, min(n, i + max_answer_tokens)):
                before = i if w.at else math.inf
                after = n - 1 - j if w.at + n < length[w.context] else math.inf
                value = float(np.float32(w.start[i]) + np.float32(w.end[j]))
                if w.bare is not None and w.bare[i : j + 1].all():
                    value = -math.inf
                key = w.context, w.at + i, w.at + j + 1
                spans[key] = max((min(before, after), value), spans.get(key, (-1, 0)))
    found = {key: value for key, (_, value) in spans.items()}
    return {key: value for key, value in found.items() if value > -math.inf}


widths = st.integers(1, 16)
THRESHOLDS = st.none() | st.floats(-5, 5)


@given(windows=questions(), width=widths, threshold=THRESHOLDS)
def test_the_best_span_and_its_probability_are_those_of_brute_force(windows, width, threshold):
    result = search(windows, max_answer_tokens=width, null_threshold=threshold)
    spans = brute_force(windows, width)
    null = min(w.null for w in windows)
    if not spans:
        assert result.spans == []
        return
    worth = -math.inf if threshold is None else null - threshold
    top = max(*spans.values(), worth)
    total = sum(math.exp(v - top) for v in spans.values()) + math.exp(worth - top)
    best = min(spans, key=lambda key: (-spans[key], key))
    (span,) = result.spans
    assert (span.context, span.start, span.stop) == best
    assert span.logit == pytest.approx(spans[best])
    assert span.score == pytest.approx(math.exp(spans[best] - top) / total, rel=1e-4)
    assert result.null_logit == null
    expected = math.exp(worth - top) / total
    assert result.null_score == pytest.approx(expected, rel=1e-4, abs=1e-12)


@given(windows=questions(), width=widths, top_k=st.integers(1, 30))
def test_more_spans_are_taken_greedily_and_never_overlap(windows, width, top_k):
    result = search(windows, top_k=top_k, max_answer_tokens=width)
    left = brute_force(windows, width)
    for span in result.spans:
        key = min(left, key=lambda k: (-left[k], k))
        assert (span.context, span.start, span.stop) == key
        left = {k: v for k, v in left.items()
                if k[0] != key[0] or k[1] >= key[2] or k[2] <= key[1]}  # fmt: skip
    assert len(result.spans) == top_k or not left


@given(windows=questions(), top_k=st.integers(1, 5), threshold=THRESHOLDS)
def test_probabilities_sum_to_one_at_most_and_fall(windows, top_k, threshold):
    result = search(windows, top_k=top_k, null_threshold=threshold)
    scores = [span.score for span in result.spans]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert sum(scores) + result.null_score <= 1 + 1e-6


@given(
    windows=questions(),
    top_k=st.integers(1, 5),
    threshold=THRESHOLDS,
    temperature=st.floats(0.05, 20),
)
def test_a_temperature_changes_the_scores_alone(windows, top_k, threshold, temperature):
    plain = search(windows, top_k=top_k, null_threshold=threshold)
    found = search(windows, top_k=top_k, null_threshold=threshold, temperature=temperature)

    def places(result):
        return [(s.context, s.start, s.stop, s.logit) for s in result.spans]

    assert places(found) == places(plain)
    assert found.null_logit == plain.null_logit
    logits = [
        *brute_force(windows, 30).values(),
        *([] if threshold is None else [found.null_logit - threshold]),
    ]
    if not logits:
        assert found.spans == []
        return
    total = sum(math.exp((v - max(logits)) / temperature) for v in logits)
    for span in found.spans:
        mass = math.exp((span.logit - max(logits)) / temperature)
        assert span.score == pytest.approx(mass / total, rel=1e-4, abs=1e-12)
    if threshold is not None:
        mass = math.exp((found.null_logit - threshold - max(logits)) / temperature)
        assert found.null_score == pytest.approx(mass / total, rel=1e-4, abs=1e-12)


@given(windows=questions(), temperature=st.floats(0.05, 20))
def test_all_spans_and_null_sum_to_one_at_any_temperature(windows, temperature):
    result = search(  # spans of one token: none rules out another
        windows, top_k=100, max_answer_tokens=1, null_threshold=0.0, temperature=temperature
    )
    assert sum(s.score for s in result.spans) + result.null_score == pytest.approx(1, abs=1e-5)


@given(windows=questions(), random=st.randoms(), top_k=st.integers(1, 4))
def test_the_order_of_windows_makes_no_difference(windows, random, top_k):
    mixed = list(windows)
    random.shuffle(mixed)
    assert search(mixed, top_k=top_k) == search(windows, top_k=top_k)


def test_every_span_takes_part_in_one_distribution():
    flat = np.zeros(4, np.float32)
    windows = [WindowLogits(0, 0, flat, flat), WindowLogits(1, 0, flat, flat)]
    result = search(windows, top_k=20)
    assert result.spans[0].score == pytest.approx(1 / 20)
    assert [(s.context, s.start, s.stop) for s in result.spans] == [
        (context, i, i + 1) for context in (0, 1) for i in range(4)
    ]


def test_a_span_that_two_windows_see_counts_once():
    a = np.array([0, 0, 5], np.float32)
    b = np.array([4, 0, 0], np.float32)
    result = search([WindowLogits(0, 0, a, a), WindowLogits(0, 2, b, b)], top_k=1)
    assert (result.spans[0].start, result.spans[0].stop, result.spans[0].logit) == (2, 3, 10.0)


def test_the_window_that_shows_more_around_a_span_speaks_for_it():
    """The first window ends within the answer and is sure of the piece; the next sees it whole."""
    sure = np.array([-9, -9, 9], np.float32)
    first = WindowLogits(0, 0, sure, sure)
    whole = np.array([0, 3, 0, 0, 0], np.float32), np.array([0, 0, 3, 0, 0], np.float32)
    result = search([first, WindowLogits(0, 1, *whole)])
    assert (result.spans[0].start, result.spans[0].stop, result.spans[0].logit) == (2, 4, 6.0)


def test_nothing_is_missing_where_the_text_itself_begins_or_ends():
    sure, flat = np.array([9, 0, 0], np.float32), np.zeros(3, np.float32)
    assert (
        search([WindowLogits(0, 0, sure, sure), WindowLogits(0, 1, flat, flat)]).spans[0]
        == (search([WindowLogits(0, 0, sure, sure), WindowLogits(0, 1, flat, flat)][::-1]).spans[0])
    )
    start, end = (0, 0, 0), (0, 0, 9)
    last = WindowLogits(0, 1, np.array(start, np.float32), np.array(end, np.float32))
    best = search([WindowLogits(0, 0, flat, flat), last]).spans[0]
    assert (best.stop, best.logit) == (4, 9.0)


def test_punctuation_alone_is_no_answer():
    start = end = np.array([0, 9, 8, 1], np.float32)
    bare = np.array([False, True, True, False])
    result = search([WindowLogits(0, 0, start, end, bare=bare)], top_k=9)
    assert (result.spans[0].start, result.spans[0].stop) == (1, 4)
    assert search([WindowLogits(0, 0, start, end, bare=np.ones(4, np.bool_))]).spans == []


@pytest.mark.parametrize("longest", [4, 9], ids=["several at once", "one by one"])
def test_no_span_goes_beyond_a_paragraph(longest):
    start = np.array([0, 9, 0, 0, 0], np.float32)
    end = np.array([0, 0, 1, 9, 0], np.float32)
    apart = np.array([0, 0, 0, 1, 1], np.int32)
    (free,) = search_many([[WindowLogits(0, 0, start, end)]], max_answer_tokens=longest)
    assert (free.spans[0].start, free.spans[0].stop) == (1, 4)
    window = WindowLogits(0, 0, start, end, paragraphs=apart)
    (found,) = search_many([[window]], max_answer_tokens=longest)
    assert (found.spans[0].start, found.spans[0].stop, found.spans[0].logit) == (1, 3, 10.0)


def test_a_span_across_the_edge_of_both_windows_is_not_made_up():
    start, end = np.array([9, 0], np.float32), np.array([0, 0], np.float32)
    first = WindowLogits(0, 0, start, end)
    second = WindowLogits(0, 2, np.zeros(2, np.float32), np.array([9, 0], np.float32))
    best = search([first, second]).spans[0]
    assert best.stop - best.start == 1


def test_null_takes_its_share_and_its_least_logit():
    flat = np.zeros(1, np.float32)
    windows = [WindowLogits(0, 0, flat, flat, 3.0), WindowLogits(0, 0, flat, flat, 0.0)]
    result = search(windows, null_threshold=0.0)
    assert result.null_logit == 0.0
    assert result.null_score == result.spans[0].score == pytest.approx(0.5)
    assert search(windows).null_score == 0.0
    shifted = search(windows, null_threshold=math.log(3))
    assert shifted.null_score == pytest.approx(0.25)
    assert shifted.null_logit == 0.0


def test_extreme_logits_do_not_overflow():
    start = np.array([3e4, -3e4], np.float32)
    result = search([WindowLogits(0, 0, start, start, -6e4)], null_threshold=0.0)
    assert result.spans[0].score == 1.0


@given(questions(), widths, THRESHOLDS, st.sampled_from([0.5, 1.0, 3.0]))
def test_the_chance_that_the_answer_begins_at_a_token(windows, width, threshold, temperature):
    """The sum of all spans that begin there, in the one distribution of spans and null."""
    options = {"max_answer_tokens": width, "null_threshold": threshold, "temperature": temperature}
    found = start_scores(windows, **options)
    spans = brute_force(windows, width)
    worth = -math.inf if threshold is None else min(w.null for w in windows) - threshold
    top = max([*spans.values(), worth])
    masses = {key: math.exp((value - top) / temperature) for key, value in spans.items()}
    total = sum(masses.values()) + (math.exp((worth - top) / temperature) if spans else 1)
    for context, scores in found.items():
        expected = np.zeros(len(scores))
        for (own, start, _), mass in masses.items():
            if own == context:
                expected[start] += mass / total
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-12)


def test_nothing_to_begin_with():
    empty = np.zeros(0, np.float32)
    assert start_scores([]) == {}
    assert [len(one) for one in start_scores([WindowLogits(0, 0, empty, empty)]).values()] == [0]
    bare = WindowLogits(0, 0, np.ones(2, np.float32), np.ones(2, np.float32), 0.0, np.ones(2, bool))
    assert start_scores([bare])[0].tolist() == [0, 0]


def test_nothing_to_search():
    empty = np.zeros(0, np.float32)
    assert search([]).spans == []
    result = search([WindowLogits(0, 0, empty, empty, 1.0)], null_threshold=0.0)
    assert (result.spans, result.null_score, result.null_logit) == ([], 1.0, 1.0)
    assert search([WindowLogits(0, 0, empty, empty, 1.0)]).spans == []


@st.composite
def several_questions(draw):
    def window():
        n = draw(st.integers(1, 12))
        values = st.one_of(st.floats(-9, 9, width=32), st.just(-np.inf))
        start, end = (np.array(draw(st.lists(values, min_size=n, max_size=n)), np.float32)
                      for _ in range(2))  # fmt: skip
        bare = draw(arrays(np.bool_, n) | st.none())
        return WindowLogits(0, draw(st.integers(0, 2)), start, end, draw(st.floats(-9, 9)), bare)

    sizes = draw(st.lists(st.integers(1, 2), min_size=1, max_size=7))
    return [[window() for _ in range(size)] for size in sizes]


@given(several_questions(), st.integers(1, 2), st.integers(1, 6), THRESHOLDS, st.floats(0.3, 3))
def test_many_are_searched_as_one_is(questions, top_k, longest, threshold, temperature):
    how = {
        "top_k": top_k,
        "max_answer_tokens": longest,
        "null_threshold": threshold,
        "temperature": temperature,
    }
    found = search_many(questions, **how)
    for own, one in zip(questions, found, strict=True):
        alone, lone = search(own, **how), search_many([own], **how)[0]
        assert one == lone  # to the last digit, whatever else is searched
        assert [(s.context, s.start, s.stop, s.logit) for s in one.spans] == [
            (s.context, s.start, s.stop, s.logit) for s in alone.spans
        ]
        assert [s.score for s in one.spans] == pytest.approx([s.score for s in alone.spans])
        assert one.null_score == pytest.approx(alone.null_score)
        assert one.null_logit == alone.null_logit


def test_nothing_is_searched():
    assert search_many([]) == []
