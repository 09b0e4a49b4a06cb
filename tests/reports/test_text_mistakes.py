"""What was said of labelled texts, words and choices → mistakes in their texts."""

import html
import re
from dataclasses import asdict

import pytest

from potstill.data.classification import TextLayout
from potstill.errors import DataError
from potstill.evaluation.kept import KeptAnswer
from potstill.records import ChoiceExample, TagExample, TextExample
from potstill.reports.mistakes import Mistakes, browser, counted
from potstill.reports.text_mistakes import load_texts_of, mistakes_of


def by_id(*examples):
    return {one.id: one for one in examples}


def page(found, kinds):
    return browser({"m": Mistakes(found, counted(one.kind for one in found))}, kinds)


def words(text):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))


def test_a_label_taken_for_another():
    texts = by_id(*(TextExample(id=str(n), text=f"text {n}", label="good") for n in range(4)))
    said = [KeptAnswer("0", ("good",), 0.9), KeptAnswer("1", ("bad",), 0.6),
            KeptAnswer("2", ("bad",), 0.8), KeptAnswer("elsewhere", ("bad",), 1.0)]  # fmt: skip
    found, kinds = mistakes_of(said, texts)
    assert [one.id for one in found] == ["2", "1"]
    assert kinds == {"good, taken for bad": "good, taken for bad"}
    text = words(page(found, kinds))
    assert "2 mistakes, all are shown; 2 good, taken for bad" in text
    assert "text 2 good, taken for bad, confidence 0.80" in text
    assert "gold good given bad run m id 2" in text


def test_sets_of_labels():
    def one(name, *labels):
        return TextExample(id=name, text="a text", label=labels)

    texts = by_id(one("a", "x", "y"), one("b", "x"), one("c", "x"), one("d"), one("e", "y", "x"))
    said = [KeptAnswer("a", ("x",), 0.5), KeptAnswer("b", ("x", "y"), 0.5),
            KeptAnswer("c", ("y",), 0.5), KeptAnswer("d", (), 0.5),
            KeptAnswer("e", ("x", "y"), 0.5)]  # fmt: skip
    found, kinds = mistakes_of(said, texts)
    assert {one.id: one.kind for one in found} == {"a": "missed", "b": "invented", "c": "wrong"}
    assert set(kinds) == {"missed", "invented", "wrong"}
    empty, _ = mistakes_of([KeptAnswer("a", (), 0.5)], texts)
    assert (empty[0].gold, empty[0].given) == ("x, y", "no label")


def test_numbers_that_are_far_off_the_furthest_first():
    texts = by_id(*(TextExample(id=str(n), text="a", pair="b", label=float(n)) for n in range(4)))
    given = ("0.1", "3", "2.1", "1")  # off by 0.1, 2, 0.1, 2
    found, kinds = mistakes_of([KeptAnswer(str(n), (g,)) for n, g in enumerate(given)], texts)
    assert {one.id: one.kind for one in found} == {"1": "too high", "3": "too low"}
    assert "too high by 2.00; more than the 1.42 of the RMSE" in found[0].note
    assert page(found, kinds).count('class="context"') == 4


def test_spans_of_words():
    told = "Jane Doe went to Paris".split()
    gold = ("B-PER", "I-PER", "O", "O", "B-LOC")
    texts = by_id(*(TagExample(id=n, words=tuple(told), tags=gold) for n in "abcd"))
    said = [KeptAnswer("a", gold), KeptAnswer("b", ("B-PER", "I-PER", "O", "O", "O")),
            KeptAnswer("c", ("B-PER", "O", "O", "O", "B-LOC")),
            KeptAnswer("d", (*gold[:2], "B-LOC", "O", "B-LOC"))]  # fmt: skip
    found, kinds = mistakes_of(said, texts)
    assert {one.id: one.kind for one in found} == {"b": "missed", "c": "wrong", "d": "invented"}
    assert found[0].id == "c"
    assert (found[0].gold, found[0].given) == ("PER: Jane Doe, LOC: Paris", "PER: Jane, LOC: Paris")
    assert '<mark class="gold given">Jane</mark><mark class="gold"> Doe</mark>' in found[0].body
    assert words(page(found, kinds)).count("Jane Doe went to Paris") == 6


def test_tags_that_stand_for_themselves():
    example = TagExample(id="a", words=("the", "king"), tags=("DET", "NOUN"))
    (one,), _ = mistakes_of([KeptAnswer("a", ("DET", "VERB"))], by_id(example))
    assert (one.gold, one.given, one.kind) == ("NOUN: king", "VERB: king", "wrong")
    assert '<mark class="gold given">king</mark>' in one.body


def test_choices():
    example = ChoiceExample(id="a", prompt="I am ill, so I", choices=("rest", "dance"), label=0)
    (one,), _ = mistakes_of([KeptAnswer("a", ("1",), 0.7)], by_id(example))
    assert (one.gold, one.given) == ("rest", "dance")
    assert '<mark class="gold">rest</mark>' in one.body
    assert '<mark class="given">dance</mark>' in one.body
    assert mistakes_of([KeptAnswer("a", ("0",), 0.7)], by_id(example))[0] == []
    assert mistakes_of([KeptAnswer("a", ("7",), 0.7)], by_id(example))[0] == []


def test_nothing_of_a_text_becomes_a_tag():
    nasty = "<img src=x onerror=alert(1)>"
    examples = [TextExample(id="a", text=nasty, label=nasty),
                TagExample(id="b", words=(nasty, "x"), tags=("B-A", "O")),
                ChoiceExample(id="c", prompt=nasty, choices=(nasty, nasty), label=0)]  # fmt: skip
    said = [
        KeptAnswer("a", ("y",), 0.1),
        KeptAnswer("b", ("O", "B-B")),
        KeptAnswer("c", ("1",), 0.1),
    ]
    for one, example in zip(said, examples, strict=True):
        assert "<img" not in page(*mistakes_of([one], by_id(example)))


def test_the_file_is_read_as_it_was_scored(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("sentence,kind\na king,1\na tower,0\n")
    layout = TextLayout(text="sentence", label="kind", names={"0": "bad", "1": "good"},
                        labels=("bad", "good"), problem="single-label")  # fmt: skip
    found = load_texts_of("text-classification", path, asdict(layout))
    assert [one.label for one in found.values()] == ["good", "bad"]
    for wrong in ({}, {"nothing": 1}):
        with pytest.raises(DataError, match="keep it again"):
            load_texts_of("text-classification", path, wrong)
