"""Every metric gives what scikit-learn's gives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.evaluation import metrics


@st.composite
def scored(draw):
    n = draw(st.integers(2, 40))
    levels = draw(st.integers(1, 6))  # few of them, so that there are ties
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gold = random.integers(0, 2, n)
    gold[:2] = 0, 1
    return random.integers(0, levels, n) / 3 - 1, gold


@settings(max_examples=20)
@given(scored())
def test_areas(pair):
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores, gold = pair
    assert metrics.roc_auc(scores, gold) == pytest.approx(roc_auc_score(gold, scores))
    found = metrics.average_precision(scores, gold)
    assert found == pytest.approx(average_precision_score(gold, scores))


def test_areas_that_do_not_exist_are_not_a_number():
    ones = np.ones(3, int)
    assert np.isnan(metrics.roc_auc(np.arange(3.0), ones))
    assert np.isnan(metrics.roc_auc(np.arange(3.0), 1 - ones))
    assert np.isnan(metrics.average_precision(np.arange(3.0), 1 - ones))
    assert metrics.average_precision(np.arange(3.0), ones) == 1


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_labels(seed, n_labels):
    from sklearn.metrics import f1_score, log_loss, matthews_corrcoef

    random = np.random.default_rng(seed)
    gold, said = random.integers(0, n_labels, (2, 30))
    numbers = np.arange(n_labels)
    found = metrics.f1_by_label(said[:, None] == numbers, gold[:, None] == numbers)
    expected = f1_score(gold, said, labels=numbers, average=None, zero_division=0)
    assert found == pytest.approx(expected)
    assert metrics.matthews(said, gold, n_labels) == pytest.approx(matthews_corrcoef(gold, said))
    shares = metrics.softmax(random.normal(size=(30, n_labels)))
    assert metrics.log_loss(shares, gold) == pytest.approx(log_loss(gold, shares, labels=numbers))


def test_matthews_of_one_label_alone_is_0():
    assert metrics.matthews(np.zeros(4, int), np.array([0, 1, 0, 1]), 2) == 0


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_correlations(seed):
    from scipy.stats import pearsonr, rankdata, spearmanr

    random = np.random.default_rng(seed)
    one, other = random.integers(0, 9, 20) / 4, random.normal(size=20)
    one[:2] = 0, 1
    assert metrics.ranks(one) == pytest.approx(rankdata(one))
    assert metrics.pearson(one, other) == pytest.approx(pearsonr(one, other).statistic)
    assert metrics.spearman(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert metrics.spearman(np.ones(5), np.arange(5.0)) == 0


def test_micro_f1_and_cross_entropy():
    from sklearn.metrics import f1_score, log_loss

    random = np.random.default_rng(0)
    gold, said = random.integers(0, 2, (2, 50, 4))
    assert metrics.micro_f1(said, gold) == pytest.approx(f1_score(gold, said, average="micro"))
    sure = random.uniform(0.01, 0.99, (50, 4))
    expected = np.mean([log_loss(gold[:, i], sure[:, i]) for i in range(4)])
    assert metrics.binary_cross_entropy(sure, gold) == pytest.approx(expected)


def test_what_was_held_to_be_impossible_costs_much_but_not_all():
    most = -np.log(1e-15)
    assert metrics.log_loss(np.array([[0.0, 1.0]]), np.array([0])) == pytest.approx(most)
    assert metrics.log_loss(np.array([[0.0, 1.0]]), np.array([1])) == 0
    sure = np.array([[0.0, 1.0]])
    right = metrics.binary_cross_entropy(sure, np.array([[0, 1]]))
    assert right == pytest.approx(0, abs=1e-12)
    wrong = metrics.binary_cross_entropy(sure, np.array([[1, 0]]))
    assert wrong == pytest.approx(most, rel=0.01)  # 1 - 1e-15 is not exact


def test_a_temperature_for_each_label():
    found = metrics.sigmoid(np.array([[2.5, -4.0]]), np.array([2.0, 3.0]))
    assert found[0] == pytest.approx([1 / (1 + np.exp(-5 / 4)), 1 / (1 + np.exp(4 / 3))])


def test_probabilities_never_overflow():
    huge = np.array([[-1e4, 0.0, 1e4]])
    assert metrics.sigmoid(huge).tolist() == [[0.0, 0.5, 1.0]]
    assert metrics.softmax(huge).tolist() == [[0.0, 0.0, 1.0]]
    assert metrics.sigmoid(np.array([2.0]), 2.0)[0] == pytest.approx(1 / (1 + np.exp(-1)))


def test_a_temperature_softens():
    """e^(ln 4 / 2) is 2: twice as likely, not four times."""
    assert metrics.softmax(np.log([[1.0, 4.0]]), 2.0)[0] == pytest.approx([1 / 3, 2 / 3])
    assert metrics.softmax(np.log([[1.0, 4.0]]))[0] == pytest.approx([1 / 5, 4 / 5])
