import builtins

import pytest

from potstill.errors import DataError, MissingExtraError
from potstill.evaluation.choice import chance, commonest_position, score_choices, tfidf_endings
from potstill.records import ChoiceExample


def example(label, choices=("a", "b", "c")):
    return ChoiceExample(id="7", prompt="p", choices=choices, label=label)


def test_accuracy():
    assert score_choices([example(0), example(2)], [0, 1]) == {"accuracy": 50.0, "total": 2}


def test_baselines():
    assert chance([example(0), example(0, ("a", "b"))]) == pytest.approx(100 * (1 / 3 + 1 / 2) / 2)
    train = [example(1), example(2), example(2)]
    assert commonest_position(train, [example(2), example(0)])["accuracy"] == 50.0


def test_a_linear_model_of_the_endings():
    pytest.importorskip("sklearn")
    right, wrong = "a fine thing to say", "purple egg"
    train = [example(i % 2, (right, wrong) if i % 2 == 0 else (wrong, right)) for i in range(8)]
    scores = tfidf_endings(train, [example(1, (wrong, right)), example(0, (right, "..."))])
    assert scores == {"accuracy": 100.0, "total": 2}


def test_without_scikit_learn(monkeypatch):
    plain = builtins.__import__

    def without(name, *rest):
        if name.startswith("sklearn"):
            raise ModuleNotFoundError(name=name)
        return plain(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="scikit-learn"):
        tfidf_endings([example(0)], [example(0)])


@pytest.mark.parametrize(
    ("examples", "made", "says"),
    [
        ([], [], "no rows to score"),
        ([example(0)], [], "1 rows and 0 predictions"),
        ([example(None)], [0], "row '7' has no label"),
    ],
)
def test_what_cannot_be_scored(examples, made, says):
    with pytest.raises(DataError, match=says):
        score_choices(examples, made)
