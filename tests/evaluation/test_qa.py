import json
import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.errors import DataError
from potstill.evaluation.qa import (
    exact_match,
    f1,
    normalize_answer,
    read_null_odds,
    read_predictions,
    score,
)
from potstill.records import QAExample

TEXTS = st.one_of(
    st.lists(st.sampled_from(["the", "a", "An", "cat", "Dog", "dog!", ".", "é", "2,000"])).map(
        " ".join
    ),
    st.text(max_size=12),
)


def example(name, *answers):
    return QAExample(
        id=name,
        question="q",
        context="c",
        answers=answers,
        starts=(None,) * len(answers),
        is_impossible=not answers,
    )


# The rules again, written out from their definition and not from the code under test.


def words_of(text):
    kept = "".join(char for char in text.lower() if char not in string.punctuation)
    # An article is a run of word characters that is exactly a, an or the.
    words, run = [], ""
    for char in [*kept, " "]:
        if char.isalnum() or char == "_":
            run += char
        else:
            words.append(" " if run in ("a", "an", "the") else run)
            words.append(char)
            run = ""
    return "".join(words).split()


def plain_f1(predicted, gold):
    rest, common = list(gold), 0
    for word in predicted:
        if word in rest:
            rest.remove(word)
            common += 1
    return 2 * common / (len(predicted) + len(gold)) if common else 0.0


def plain_scores(golds, predicted, no_answer):
    """Exact match and F1 of one question."""
    wanted = [words_of(gold) for gold in golds]
    found = words_of(predicted)
    if no_answer:
        wanted = [gold for gold in wanted if gold] or [[]]
        if not found:
            return (float([] in wanted),) * 2
    return float(found in wanted), max(plain_f1(found, gold) for gold in wanted)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Denver Broncos!", "denver broncos"),
        ("  an  apple\tA day\n", "apple day"),
        ("Athe theory", "athe theory"),
        ("the-end", "theend"),
        ("the – end", "– end"),
        ("24–10", "24–10"),
        ("$2,000.50", "200050"),
        ("“a”", "“ ”"),
        ("the a an", ""),
        ("", ""),
        ("É\u00a0b", "é b"),
    ],
)
def test_normalize(text, expected):
    assert normalize_answer(text) == expected


@given(TEXTS)
def test_normalize_is_stable_once_articles_are_gone(text):
    once = normalize_answer(text)
    assert "  " not in once
    assert once == once.strip()
    assert normalize_answer(once) == once


@given(TEXTS)
def test_normalize_agrees_with_its_definition(text):
    assert normalize_answer(text).split() == words_of(text)


@given(TEXTS, TEXTS, st.booleans())
def test_f1_is_symmetric_and_bounded(a, b, no_answer):
    value = f1(a, b, no_answer=no_answer)
    assert 0 <= value <= 1
    assert math.isclose(value, f1(b, a, no_answer=no_answer), abs_tol=1e-15)
    if exact_match(a, b) and normalize_answer(a):
        assert value == 1


def test_empty_against_empty_depends_on_the_version():
    assert f1("the", "", no_answer=False) == 0
    assert f1("the", "", no_answer=True) == 1
    assert f1("", "cat", no_answer=True) == 0


def test_repeated_words_count_as_often_as_they_occur():
    assert f1("cat cat dog", "cat dog dog") == pytest.approx(2 / 3)


def test_best_gold_answer_counts_for_each_figure():
    scores = score([example("x", "black cat", "cat and dog")], {"x": "the cat"})
    assert scores == {"exact": 0.0, "f1": pytest.approx(100 * 2 / 3), "total": 1}


@given(
    st.lists(st.tuples(st.lists(TEXTS, max_size=3), TEXTS), min_size=1, max_size=6),
    st.booleans(),
)
def test_scores_agree_with_their_definition(rows, no_answer):
    if not no_answer:
        rows = [(golds or ["cat"], text) for golds, text in rows]
    examples = [example(str(i), *golds) for i, (golds, _) in enumerate(rows)]
    predictions = {str(i): text for i, (_, text) in enumerate(rows)}
    expected = [plain_scores(golds, text, no_answer) for golds, text in rows]
    found = score(examples, predictions, no_answer=no_answer)
    assert found["total"] == len(rows)
    for key, column in (("exact", 0), ("f1", 1)):
        values = [pair[column] for pair in expected]
        assert found[key] == pytest.approx(100 * sum(values) / len(rows), abs=1e-10)
        for prefix, group in (("HasAns", True), ("NoAns", False)):
            chosen = [v for v, (golds, _) in zip(values, rows, strict=True) if bool(golds) is group]
            if no_answer and chosen:
                mean = 100 * sum(chosen) / len(chosen)
                assert found[f"{prefix}_{key}"] == pytest.approx(mean, abs=1e-10)
                assert found[f"{prefix}_total"] == len(chosen)
            else:
                assert f"{prefix}_{key}" not in found


V2 = [example("has", "cat"), example("has2", "dog"), example("none"), example("none2")]
GUESSES = {"has": "cat", "has2": "cow", "none": "cat", "none2": ""}


def test_v2_without_odds():
    assert score(V2, GUESSES) == {
        "exact": 50.0,
        "f1": 50.0,
        "total": 4,
        "HasAns_exact": 50.0,
        "HasAns_f1": 50.0,
        "HasAns_total": 2,
        "NoAns_exact": 50.0,
        "NoAns_f1": 50.0,
        "NoAns_total": 2,
    }


def test_null_threshold_is_strict_and_tuned_figures_stand_beside_untuned_ones():
    odds = {"has": -3.0, "has2": -2.0, "none": 0.5, "none2": 4.0}
    at = score(V2, GUESSES, null_odds=odds, null_threshold=0.5)
    assert (at["exact"], at["NoAns_exact"]) == (50.0, 50.0)
    below = score(V2, GUESSES, null_odds=odds, null_threshold=0.4)
    assert (below["exact"], below["NoAns_exact"]) == (75.0, 100.0)
    for scores in (at, below):
        assert (scores["best_exact"], scores["best_exact_thresh"]) == (75.0, -3.0)
        assert (scores["best_f1"], scores["best_f1_thresh"]) == (75.0, -3.0)


def test_default_threshold_is_the_official_one():
    odds = {"has": 1.0, "has2": 0.0, "none": 1.0001, "none2": 0.0}
    scores = score(V2, GUESSES, null_odds=odds)
    assert (scores["HasAns_exact"], scores["NoAns_exact"]) == (50.0, 100.0)


def test_a_dropped_prediction_is_right_only_where_there_is_no_gold_answer():
    # Its gold answer normalises to nothing, yet the question counts as answerable.
    odd = [example("x", "the"), example("y")]
    odds = {"x": 2.0, "y": 2.0}
    assert score(odd, {"x": "", "y": "z"}, null_odds=odds)["exact"] == 50.0
    assert score(odd, {"x": "", "y": "z"})["exact"] == 50.0


@pytest.mark.parametrize(
    ("odds", "says"),
    [
        ({"has": 0.0}, "lack 3 predicted questions and hold 0 foreign ids"),
        ({}, "lack 4 predicted"),
        (dict.fromkeys([*GUESSES, "other"], 0.0), "hold 1 foreign ids \\(first: 'other'\\)"),
    ],
)
def test_null_odds_must_fit(odds, says):
    with pytest.raises(DataError, match=says):
        score(V2, GUESSES, null_odds=odds)


def test_null_odds_mean_nothing_to_v1():
    with pytest.raises(DataError, match="v1.1"):
        score([example("x", "cat")], {"x": "cat"}, null_odds={"x": 0.0})


def test_missing_and_foreign_ids_are_refused_with_their_counts():
    with pytest.raises(DataError) as caught:
        score(V2, {"has": "cat", "other": "x"})
    assert "lack 3 of 4 questions and hold 1 foreign ids (first: 'has2')" in str(caught.value)
    assert "--allow-missing" in str(caught.value)
    with pytest.raises(DataError, match="lack 0 of 4 questions and hold 1 foreign"):
        score(V2, {**GUESSES, "other": "x"})


def test_allow_missing_scores_them_as_zero_for_both_versions():
    v1 = [example("x", "cat"), example("y", "dog")]
    assert score(v1, {"x": "cat", "z": "dog"}, allow_missing=True) == {
        "exact": 50.0,
        "f1": 50.0,
        "total": 2,
        "missing": 1,
        "foreign": 1,
    }
    v2 = score(V2, {"has": "cat"}, null_odds={"has": 0.0}, allow_missing=True)
    assert (v2["exact"], v2["HasAns_exact"], v2["NoAns_exact"]) == (25.0, 50.0, 0.0)
    # A missing answer is not a right "no answer", not even when tuning.
    assert (v2["best_exact"], v2["missing"]) == (25.0, 3)


def test_questions_without_gold_answers_cannot_be_scored_by_v1():
    unlabelled = QAExample(id="x", question="q", context="c")
    with pytest.raises(DataError, match="'x' has no gold answer"):
        score([unlabelled], {"x": "cat"})
    with pytest.raises(DataError, match="no questions"):
        score([], {})


def test_odd_text_is_scored_like_any_other():
    assert score([example("x", "a\0b \ud800")], {"x": "A\0B \ud800"})["exact"] == 100.0


def test_reads_predictions_and_odds(tmp_path):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"a": "x", "b": ""}))
    assert read_predictions(path) == {"a": "x", "b": ""}
    path.write_text(json.dumps({"a": 1, "b": -2.5}))
    assert read_null_odds(path) == {"a": 1, "b": -2.5}


@pytest.mark.parametrize(
    ("reader", "text", "says"),
    [
        (read_predictions, "[]", "holds a list, not a JSON object"),
        (read_predictions, '{"a": 1}', "prediction of 'a' is not a string"),
        (read_null_odds, "3", "holds a int"),
        (read_null_odds, '{"a": "1"}', "null odds of 'a' are no finite number"),
        (read_null_odds, '{"a": NaN}', "no finite number"),
        (read_null_odds, '{"a": -Infinity}', "no finite number"),
        (read_null_odds, '{"a": true}', "no finite number"),
        (read_null_odds, '{"a": 1%s}' % ("0" * 400), "no finite number"),
    ],
)
def test_bad_files(tmp_path, reader, text, says):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        reader(path)
