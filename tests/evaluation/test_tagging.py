import pytest

from potstill.errors import DataError
from potstill.evaluation.tagging import MostFrequentTag, score_tags, score_types, spans
from potstill.records import TagExample


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [
        ("B-x I-x O B-y", [("x", 0, 2), ("y", 3, 4)]),
        ("B-x B-x", [("x", 0, 1), ("x", 1, 2)]),
        ("I-x I-x I-y", [("x", 0, 2), ("y", 2, 3)]),  # begins without a B-, as conlleval has it
        ("B-x I-y", [("x", 0, 1), ("y", 1, 2)]),
        ("S-x B-x E-x", [("x", 0, 1), ("x", 1, 3)]),
        ("B I O I", [("", 0, 2), ("", 3, 4)]),
        ("O O", []),
        ("", []),
    ],
)
def test_spans(tags, wanted):
    assert spans(tags.split()) == wanted


def test_scores_are_those_of_seqeval():
    # The example of seqeval's README, with the figures that it prints.
    gold = ["O O O B-MISC I-MISC I-MISC O".split(), "B-PER I-PER O".split()]
    said = ["O O B-MISC I-MISC I-MISC I-MISC O".split(), "B-PER I-PER O".split()]
    scores = score_tags(gold, said)
    assert scores["f1"] == scores["precision"] == scores["recall"] == 50.0
    assert scores["accuracy"] == 80.0
    assert scores["macro_f1"] == 50.0
    assert scores["total"] == 2
    types = score_types(gold, said)
    assert (types["MISC"].f1, types["PER"].f1, types["PER"].support) == (0.0, 100.0, 1)


def test_a_type_must_be_right_too():
    scores = score_tags([["B-x", "O", "B-y"]], [["B-y", "O", "B-y"]])
    assert (scores["precision"], scores["recall"]) == (50.0, 50.0)


def test_nothing_predicted_and_nothing_to_find():
    assert score_tags([["B-x"]], [["O"]])["f1"] == 0.0
    assert score_tags([["O"]], [["O"]]) == {
        "f1": 0.0, "precision": 0.0, "recall": 0.0, "macro_f1": 0.0, "accuracy": 100.0, "total": 0,
    }  # fmt: skip


def test_plain_tags_have_no_spans():
    scores = score_tags([["NN", "NN", "VB"]], [["NN", "VB", "VB"]], "plain")
    assert scores["accuracy"] == pytest.approx(200 / 3)
    assert scores["macro_f1"] == pytest.approx(200 / 3)
    assert scores["total"] == 3


@pytest.mark.parametrize(
    ("golds", "predictions", "says"),
    [
        ([["O"]], [], "1 tagged sentences and 0 predictions"),
        ([["O", "O"]], [["O"]], "sentence 0 has 2 tags and 1 predictions"),
        ([], [], "no tags to score against"),
        ([[]], [[]], "no tags to score against"),
    ],
)
def test_what_cannot_be_scored(golds, predictions, says):
    with pytest.raises(DataError, match=says):
        score_tags(golds, predictions)


def test_the_most_frequent_tag():
    examples = [
        TagExample(id="1", words=("Paris", "is", "Paris"), tags=("B-x", "O", "B-x")),
        TagExample(id="2", words=("Paris", "fell"), tags=("O", "O")),
    ]
    usual = MostFrequentTag(examples)
    assert usual.tag_words(["Paris", "is", "new"]) == ["B-x", "O", "O"]
    assert MostFrequentTag(reversed(examples)).tag_words(["Paris"]) == ["B-x"]
    with pytest.raises(DataError, match="no tagged words"):
        MostFrequentTag([])
