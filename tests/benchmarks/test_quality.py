"""The benchmarks of what readers are worth where texts are long, silent or untidy."""

from __future__ import annotations

import json

import pytest
from answerability import figures, half_and_half
from answerability import main as answerability
from long_texts import long_examples
from long_texts import main as long_texts
from robustness import main as robustness

import tiny
from potstill.data.qa import load_qa
from potstill.records import Answer, QAExample
from potstill.runtime.reading import Reading


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four articles of three paragraphs."""
    file = tmp_path_factory.mktemp("data") / "dev.json"
    articles = []
    for number, (text, question, answer) in enumerate(tiny.SENTENCES):
        paragraphs = []
        for copy in range(3):
            context = f"In {1900 + copy}, {text}"
            answers = [{"text": answer, "answer_start": context.index(answer)}]
            asked = f"In {1900 + copy}: {question}"
            qas = [{"id": f"{number}-{copy}", "question": asked, "answers": answers}]
            paragraphs.append({"context": context, "qas": qas})
        articles.append({"title": f"article {number}", "paragraphs": paragraphs})
    file.write_text(json.dumps({"version": "1.1", "data": articles}))
    return file


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("model"))


def test_every_other_question_is_asked_of_another_article(data):
    examples = {example.id: example for example in load_qa(data).examples}
    asked = half_and_half(list(examples.values()), 0)
    assert [e.is_impossible for e in asked] == [False, True] * 6
    for one in asked:
        own = examples[one.id]
        assert one.question == own.question
        assert (one.context == own.context) is not one.is_impossible
        assert not one.is_impossible or own.answers[0] not in one.context
        assert one.title == own.title
    assert len(half_and_half(list(examples.values()), 4)) == 4


def reading(text, score, odds, *, is_null):
    return Reading((Answer(text, score, 0, len(text)),), 0.0, odds, is_null, 1, 1)


def test_figures_by_hand():
    def asked(name, *answers):
        starts = (None,) * len(answers)
        return QAExample(
            id=name,
            question="q",
            context="c",
            answers=answers,
            starts=starts,
            is_impossible=not answers,
        )

    examples = [asked("a", "king"), asked("b", "red tower"), asked("c"), asked("d")]
    readings = [
        reading("king", 0.9, -5.0, is_null=False),
        reading("red", 0.5, 1.0, is_null=True),  # half right and refused: F1 of 2/3 is lost
        reading("x", 0.1, 0.0, is_null=False),
        reading("x", 0.4, 3.0, is_null=True),
    ]
    found = figures(examples, readings, trained=True)
    assert (found["questions"], found["unanswerable"]) == (4, 2)
    assert found["auroc"] == pytest.approx(75)  # of four pairs one stands the wrong way round
    assert found["f1"] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert found["f1_kept"] == pytest.approx(100 * 1 / (1 + 2 / 3))
    assert found["refused"] == pytest.approx(50)
    assert figures(examples, readings, trained=False)["auroc"] == pytest.approx(100)


def test_long_texts_hold_the_own_paragraph_where_they_say(data):
    examples = {example.id: example for example in load_qa(data).examples}
    for words, n_paragraphs in ((1, 1), (25, 3), (1000, 3)):
        for one, own in long_examples(list(examples.values()), 12, words=words, seed=1):
            assert one.context[own.start : own.stop] == examples[one.id].context
            assert one.context.count("In 19") == n_paragraphs


@pytest.mark.parametrize(
    ("run", "keys"),
    [
        (answerability, {"auroc", "f1", "f1_kept", "refused", "ece"}),
        (robustness, {"ways", "questions"}),
        (long_texts, {"exact", "f1", "windows", "right_paragraph"}),
    ],
)
def test_each_runs_and_says_what_is_wrong(run, keys, model, data, capsys, tmp_path):
    assert run([str(model), str(data), "-n", "6", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert keys <= found.keys()
    assert run([str(model), str(data), "-n", "6"]) == 0
    assert capsys.readouterr().out
    assert run([str(model), str(tmp_path / "none.json")]) == 1
    assert "none.json" in capsys.readouterr().err
