import numpy as np
import pytest

from potstill.errors import InputError, MissingExtraError
from potstill.evaluation import baselines
from potstill.records import TextExample

WORDS = "the red king built a tower in old london".split()


def texts(n=120, seed=0, pairs=False):
    random = np.random.default_rng(seed)
    found, reds = [], []
    for i in range(n):
        words = random.choice(WORDS, 6)
        pair = " ".join(words if i % 2 else random.choice(WORDS, 6)) if pairs else None
        found.append(TextExample(id=str(i), text=" ".join(words), pair=pair))
        reds.append("red" in words)
    return found, np.array(reds, int)


def test_base_rates_of_every_problem():
    single = baselines.base_rates(np.array([0, 1, 1, 1]), problem="single-label", n_labels=3)
    assert single == [0.25, 0.75, 0]
    gold = np.array([[1, 0], [0, 0], [1, 0], [0, 1]])
    several = baselines.base_rates(gold, problem="multi-label", n_labels=2)
    assert several == [0.5, 0.25]
    assert baselines.base_rates(np.array([1.0, 2.0]), problem="regression", n_labels=1) == [1.5]
    scores = baselines.score_base_rates(several, gold, problem="multi-label", labels=("a", "b"))
    entropy = -np.mean([np.log(0.5), 0.25 * np.log(0.25) + 0.75 * np.log(0.75)])
    assert scores["bce"] == pytest.approx(entropy, abs=1e-5)
    assert scores["roc_auc"] == 0.5
    scores = baselines.score_base_rates(
        single, np.array([1, 0, 1]), problem="single-label", labels=("a", "b", "c")
    )
    assert scores["accuracy"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("problem", ["single-label", "multi-label", "regression"])
def test_tfidf_learns_a_word(problem):
    (train, gold), (dev, wanted) = texts(), texts(60, seed=1)
    shape = {"multi-label": lambda g: np.stack([g, 0 * g], axis=1)}.get(problem, lambda g: g)
    labels = ("score",) if problem == "regression" else ("other", "red")
    scores = baselines.score_tfidf(
        train, shape(gold), dev, shape(wanted), problem=problem, labels=labels
    )
    name = {"single-label": "accuracy", "multi-label": "exact_match", "regression": "pearson"}
    assert scores[name[problem]] > 85


def test_tfidf_compares_the_texts_of_a_pair():
    (train, _), (dev, _) = texts(200, pairs=True), texts(60, seed=1, pairs=True)
    gold, wanted = np.arange(200) % 2, np.arange(60) % 2
    scores = baselines.score_tfidf(
        train, gold, dev, wanted, problem="single-label", labels=("other", "same")
    )
    assert scores["accuracy"] > 90


def test_without_scikit_learn_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(baselines, "has_sklearn", lambda: False)
    (train, gold) = texts(10)
    with pytest.raises(MissingExtraError, match=r"potstill\[train\]"):
        baselines.score_tfidf(train, gold, train, gold, problem="single-label", labels=("a", "b"))


def test_nothing_to_learn_from():
    (train, gold), how = texts(10), {"problem": "single-label", "labels": ("a", "b")}
    with pytest.raises(InputError, match="at least two labels"):
        baselines.score_tfidf(train, 0 * gold, train, gold, **how)
    marks = [TextExample(id="0", text="?!"), TextExample(id="1", text=":-)")]
    with pytest.raises(InputError, match="no words"):
        baselines.score_tfidf(marks, np.array([0, 1]), train, gold, **how)
