"""Scores of tags in other schemes and of types that gold has not; calibration that is worth it."""

import numpy as np
import pytest

import tiny
from potstill.evaluation.classification import fit
from potstill.evaluation.tagging import score_tags, score_types


def test_macro_f1_is_over_the_types_of_either_side():
    # seqeval 1.2.2: classification_report's macro avg of these is 50.
    gold, found = [["B-A", "O", "O"]], [["B-A", "O", "B-B"]]
    assert score_tags(gold, found)["macro_f1"] == 50.0
    assert score_types(gold, found)["B"].support == 0


@pytest.mark.parametrize(
    "found", [["S-x", "O", "B-x", "I-x", "E-x"], ["U-x", "O", "B-x", "I-x", "L-x"]]
)
def test_every_tag_right_in_another_scheme(found):
    scores = score_tags([["B-x", "O", "B-x", "I-x", "I-x"]], [found])
    assert (scores["accuracy"], scores["f1"], scores["macro_f1"]) == (100.0, 100.0, 100.0)
    wrong = score_tags([["B-x", "O"]], [["S-y", "O"]])
    assert (wrong["accuracy"], wrong["f1"]) == (50.0, 0.0)


def test_slips_in_iob2_are_wrong_words_and_right_spans():
    scores = score_tags([["B-x", "O"]], [["I-x", "O"]])
    assert (scores["accuracy"], scores["f1"]) == (50.0, 100.0)


@pytest.mark.parametrize("problem", ["single-label", "multi-label"])
def test_a_calibration_that_is_worse_on_rows_it_was_not_fitted_on_is_not_kept(problem):
    kept = 0
    for seed in range(12):
        random = np.random.default_rng(seed)
        gold = random.integers(0, 2, 10)
        logits = random.normal(size=(10, 2)) + 0.7 * np.eye(2)[gold]
        if problem == "multi-label":
            gold = np.eye(2, dtype=np.int64)[gold]
        found = fit(logits, gold, problem=problem, labels=("a", "b"))
        assert found["ece"] <= found["ece_before"]
        if problem == "single-label":
            assert (found["temperature"] == 1.0) == (found["ece"] == found["ece_before"])
            kept += found["temperature"] != 1.0
        else:
            assert found["bce"] <= found["bce_before"]
            assert found["macro_f1"] >= found["macro_f1_at_half"]
            kept += any(value != 1.0 for value in found["temperatures"].values())
    assert 0 < kept < 12


def test_a_pipeline_names_labels_by_their_place(tmp_path):
    from potstill import pipeline

    folder = tiny.write_model(tmp_path / "m", head="classification", labels=("x", "y", "x"))
    found = pipeline("text-classification", model=str(folder))("the king", top_k=None)
    from potstill.runtime.classification import Classifier

    said = Classifier.from_options(folder, threads=1).classify("the king")
    assert [one["label"] for one in found] == [one.label for one in said.labels]
    np.testing.assert_allclose([one["score"] for one in found], [one.score for one in said.labels])
    assert sum(one["score"] for one in found) == pytest.approx(1.0)


def test_an_empty_text_in_a_list_leaves_the_others_their_answers(tmp_path):
    import transformers

    from potstill import pipeline
    from potstill.errors import EmptyInputError

    folder = tiny.write_model(tmp_path / "m", head="classification", labels=("x", "y"))
    texts = ["the king", "", "a red tower", " "]
    ours = pipeline("text-classification", model=str(folder))
    theirs = transformers.pipeline("text-classification", model=str(folder))
    for mine, his in zip(ours(texts), theirs(texts), strict=True):
        assert mine["label"] == his["label"]
        assert mine["score"] == pytest.approx(his["score"], abs=1e-4)
    with pytest.raises(EmptyInputError):
        ours("")


@pytest.mark.parametrize(
    ("head", "task", "old", "new"),
    [
        ("tagging", "token-classification", "grouped_entities", "aggregation_strategy"),
        ("classification", "text-classification", "return_all_scores", "top_k=None"),
        ("qa", "question-answering", "max_seq_length", "max_seq_len"),
    ],
)
def test_old_spellings_are_answered_with_the_new_one(tmp_path, head, task, old, new):
    from potstill import pipeline
    from potstill.errors import InputError

    labels = {} if head == "qa" else {"labels": ("O", "B-x", "I-x")}
    found = pipeline(task, model=str(tiny.write_model(tmp_path, head=head, **labels)))
    inputs = {"question": "Who?", "context": "the king"} if head == "qa" else "the king"
    with pytest.raises(InputError, match=f"no parameter '{old}' any more: give {new}"):
        found(inputs, **{old: True})
