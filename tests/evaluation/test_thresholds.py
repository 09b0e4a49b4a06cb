import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.evaluation.qa import score
from potstill.evaluation.thresholds import best_threshold
from potstill.records import QAExample

ROWS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(["", "cat", "dog", "cat dog"])),
    min_size=1,
    max_size=8,
)


@given(ROWS, st.data())
def test_no_threshold_scores_better_and_the_found_one_scores_as_told(rows, data):
    odds_list = data.draw(
        st.lists(st.integers(-20, 20), min_size=len(rows), max_size=len(rows), unique=True)
    )
    examples = [
        QAExample(
            id=str(i),
            question="q",
            context="c",
            answers=("cat",) if has else (),
            starts=(None,) if has else (),
            is_impossible=not has,
        )
        for i, (has, _) in enumerate(rows)
    ]
    predictions = {str(i): text for i, (_, text) in enumerate(rows)}
    odds = {str(i): float(value) for i, value in enumerate(odds_list)}

    def at(threshold):
        return score(
            examples, predictions, null_odds=odds, null_threshold=threshold, no_answer=True
        )

    found = at(0.0)
    for key in ("exact", "f1"):
        tried = {t: at(t)[key] for t in [-21.0, *odds.values()]}
        assert found[f"best_{key}"] == pytest.approx(max(tried.values()))
        threshold = found[f"best_{key}_thresh"]
        if threshold in odds.values() and found[f"best_{key}"] > tried[-21.0]:
            assert tried[threshold] == pytest.approx(found[f"best_{key}"])


def test_answering_nothing_is_best_at_zero():
    assert best_threshold(
        {"a": 1.0}, {"a": -1.0}, answered={"a": True}, answerable={"a": False}
    ) == (100.0, 0.0)


def test_the_first_of_equally_good_thresholds_is_taken():
    names = ["a", "b", "c"]
    best = best_threshold(
        {"a": 1.0, "b": 0.0, "c": 0.0},
        {"a": 1.0, "b": 2.0, "c": 3.0},
        answered=dict.fromkeys(names, True),
        answerable=dict.fromkeys(names, True),
    )
    assert best == (pytest.approx(100 / 3), 1.0)


def test_odds_of_unscored_questions_are_left_out():
    assert best_threshold(
        {"a": 1.0},
        {"a": 2.0, "b": 1.0},
        answered={"a": True},
        answerable={"a": True, "b": True},
        total=4,
    ) == (25.0, 2.0)
