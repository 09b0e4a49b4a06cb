import numpy as np
import pytest

from potstill.errors import DataError, InputError
from potstill.evaluation.classification import fit, score
from potstill.evaluation.multilabel import (
    best_cut,
    by_label,
    fit_multilabel,
    fold_rows,
    score_multilabel,
)

LABELS = ("a", "b", "c")


def overconfident(n=600, seed=0, factor=4.0):
    """Logits of three labels whose probabilities would be right at temperature ``factor``."""
    random = np.random.default_rng(seed)
    true = random.normal(size=(n, 3))
    shares = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    gold = np.array([random.choice(3, p=share) for share in shares])
    return factor * true, gold


def several(n=800, seed=0, factor=3.0):
    random = np.random.default_rng(seed)
    true = random.normal(size=(n, 3)) * 2 - np.array([0.0, 2.0, 4.0])
    gold = (random.uniform(size=true.shape) < 1 / (1 + np.exp(-true))).astype(int)
    return factor * true, gold


def test_a_single_label():
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [5.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    found = score(logits, np.array([0, 1, 1, 1]), problem="single-label", labels=LABELS)
    assert found["accuracy"] == 75
    assert found["macro_f1"] == pytest.approx(100 * (2 / 3 + 4 / 5) / 2)  # c is on neither side
    assert found["total"] == 4
    assert "f1" not in found
    two = score(logits[:, :2], np.array([0, 1, 1, 1]), problem="single-label", labels=LABELS[:2])
    assert two["f1"] == pytest.approx(80)


def test_temperature_changes_confidence_alone():
    logits, gold = overconfident()
    how = {"problem": "single-label", "labels": LABELS}
    fitted = fit(logits, gold, **how)
    assert fitted["temperature"] == pytest.approx(4, rel=0.15)
    assert fitted["ece"] < 0.5 * fitted["ece_before"]
    before, after = score(logits, gold, **how), score(logits, gold, calibration=fitted, **how)
    assert after["accuracy"] == before["accuracy"]
    assert after["log_loss"] < before["log_loss"]
    assert after["ece"] < before["ece"]


def test_a_regression():
    gold = np.array([0.0, 1.0, 2.0, 5.0])
    logits = np.array([[1.0], [2.0], [3.0], [6.0]])
    found = score(logits, gold, problem="regression", labels=("score",))
    assert (found["pearson"], found["spearman"], found["rmse"]) == pytest.approx((100, 100, 1))
    assert fit(logits, gold, problem="regression", labels=("score",)) == {}


def test_nothing_to_score_and_broken_logits():
    with pytest.raises(DataError, match="nothing to score"):
        score(np.empty((0, 2)), np.empty(0), problem="single-label", labels=LABELS[:2])
    with pytest.raises(DataError, match="NaN or infinite logits"):
        score(np.array([[np.nan, 0]]), np.array([0]), problem="single-label", labels=LABELS[:2])


def test_thresholds_and_temperatures_are_worth_something_on_new_rows():
    logits, gold = several()
    fitted = fit_multilabel(logits, gold, labels=LABELS)
    assert list(fitted["temperatures"].values()) == pytest.approx([3, 3, 3], rel=0.35)
    assert fitted["ece"] < fitted["ece_before"]
    assert fitted["bce"] < fitted["bce_before"]
    assert fitted["bce_before"] == score_multilabel(logits, gold, labels=LABELS)["bce"]
    assert fitted["macro_f1"] > fitted["macro_f1_at_half"]
    assert all(0 < t < 0.5 for t in fitted["thresholds"].values())
    fresh = several(seed=1)
    plain = score_multilabel(*fresh, labels=LABELS)
    tuned = score_multilabel(*fresh, labels=LABELS, calibration=fitted)
    assert tuned["macro_f1"] > plain["macro_f1"] == tuned["macro_f1_at_half"]
    assert tuned["bce_calibrated"] < plain["bce"] == tuned["bce"]
    assert tuned["roc_auc"] == pytest.approx(plain["roc_auc"])
    # Cross-fitted figures foretell those of new rows; figures on the fitted rows flatter.
    assert fitted["macro_f1"] == pytest.approx(tuned["macro_f1"], abs=6)


def test_cross_fitting_does_not_flatter_a_model_that_knows_nothing():
    random = np.random.default_rng(0)
    gold = (random.uniform(size=(100, 3)) < 0.1).astype(int)
    logits = random.normal(size=gold.shape)
    fitted = fit_multilabel(logits, gold, labels=LABELS)
    flattered = [
        100 * 2 * ((logits[:, i] > best_cut(logits[:, i], gold[:, i])) & (gold[:, i] == 1)).sum()
        / ((logits[:, i] > best_cut(logits[:, i], gold[:, i])).sum() + gold[:, i].sum())
        for i in range(3)
    ]  # fmt: skip
    assert fitted["macro_f1"] < np.mean(flattered)


def test_a_label_without_both_kinds_of_rows_stays_untuned():
    logits, gold = several(60)
    gold[:, 2] = 0
    fitted = fit_multilabel(logits, gold, labels=LABELS)
    assert fitted["untuned"] == ["c"]
    assert (fitted["thresholds"]["c"], fitted["temperatures"]["c"]) == (0.5, 1.0)
    rows = by_label(logits, gold, labels=LABELS, calibration=fitted)
    assert rows["c"]["roc_auc"] is None
    assert rows["a"]["rows"] == gold[:, 0].sum()
    assert rows["a"]["threshold"] == fitted["thresholds"]["a"]
    assert "roc_auc" not in score_multilabel(logits, 0 * gold, labels=LABELS)


def test_best_cut_tells_no_equal_logits_apart():
    assert best_cut(np.array([3.0, 2.0, 1.0, 0.0]), np.array([1, 1, 0, 0])) == 1.5
    assert best_cut(np.array([1.0, 1.0, 0.0]), np.array([1, 0, 0])) == 0.5
    assert best_cut(np.array([1.0, 2.0]), np.array([1, 1])) < 1


def test_folds_part_the_rows_and_spread_the_rare_ones():
    has = np.zeros(50, int)
    has[:5] = 1
    folds = fold_rows(50, 5, spread=has)
    assert sorted(np.concatenate([out for _, out in folds]).tolist()) == list(range(50))
    for inside, outside in folds:
        assert not set(inside.tolist()) & set(outside.tolist())
        assert has[outside].sum() == 1
    assert len(fold_rows(3, 5)) == 3
    with pytest.raises(InputError, match="fewer than 2 rows"):
        fold_rows(1, 5)
