"""The benchmarks of folders, of pruning and of indexes."""

from __future__ import annotations

import json

import pytest
from folder import main as folder
from index import main as index
from prune import golds_in
from prune import main as prune

import tiny
from potstill.records import QAExample


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three articles of two paragraphs, with words of their own."""
    file = tmp_path_factory.mktemp("data") / "dev.json"
    articles = []
    for number, (text, question, answer) in enumerate(tiny.SENTENCES[:3]):
        paragraphs = []
        for copy in range(2):
            context = f"In {1900 + 10 * number + copy} it began. {text}"
            answers = [{"text": answer, "answer_start": context.index(answer)}]
            asked = f"In {1900 + 10 * number + copy}: {question}"
            qas = [{"id": f"{number}-{copy}", "question": asked, "answers": answers}]
            paragraphs.append({"context": context, "qas": qas})
        articles.append({"title": f"article/{number}", "paragraphs": paragraphs})
    file.write_text(json.dumps({"version": "1.1", "data": articles}))
    return str(file)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.write_model(tmp_path_factory.mktemp("model")))


def test_a_folder(data, model, tmp_path, capsys):
    (tmp_path / "noise.txt").write_text("An elephant. " * 200)
    given = [data, "-n", "0", "--model", model, "--noise", str(tmp_path), "--json"]
    assert folder(given) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["questions"], found["files"]) == ("folder", 6, 4)
    assert found["among_read"] == 100
    assert 0 <= found["exact"] <= found["f1"] <= 100
    assert folder([*given[:-1], "--odd"]) == 0
    assert "2 questions, 4 files" in capsys.readouterr().out


def test_pruning(data, model, capsys):
    assert prune([data, "-n", "4", "--model", model, "--share", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["questions"], found["kept_budget"], found["dropped_budget"]) == (4, 100, 0)
    assert 0 <= found["dropped"] < 100
    assert prune([data, "-n", "1", "--model", model]) == 0
    assert "answering sentence first" in capsys.readouterr().out


def test_the_sentences_with_a_gold_answer():
    example = QAExample(
        id="1", question="?", context="One. Two. One two.", answers=("Two",), starts=(5,)
    )
    assert golds_in(example) == [(5, 9)]


def test_an_index(tmp_path, capsys):
    corpus = tmp_path / "corpus.txt"
    articles = [f"= Article {i} =\n\nThe king built tower {i}. " * 3 for i in range(30)]
    corpus.write_text("\n\n".join(articles))
    assert index([str(corpus), "--changed", "5", "--kills", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["files"], found["changed"], found["whole"]) == (found["files"], 5, 1)
    assert found["passages"] >= found["files"] > 5


@pytest.mark.parametrize("main", [folder, prune, index])
def test_what_cannot_be_run_says_so(main, tmp_path, capsys):
    assert main([str(tmp_path / "nowhere.json")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
