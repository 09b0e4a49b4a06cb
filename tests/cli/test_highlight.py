import json

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import highlight as module
from potstill.cli import main

TEXT = "# Towers\n\nThe king built a tower. The queen wrote a book.\n\nParis is old."


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture
def run(model):
    def call(*arguments):
        return CliRunner().invoke(main, ["highlight", "--model", model, *arguments])

    return call


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.md"
    path.write_text(TEXT)
    return path


def test_sentences_with_their_places(run, file):
    rows = json.loads(run("Who built it?", str(file), "--json").output)
    assert len(rows) == 3
    for row in rows:
        assert TEXT[row["start"] : row["end"]] == row["text"]
        assert row["source"] == str(file)
        assert row["heading"] == "Towers"
    assert len(json.loads(run("Who?", str(file), "--top-k", "1", "--json").output)) == 1
    shown = run("Who built it?", str(file)).output
    assert shown.count(rows[0]["text"]) == 1  # a whole sentence is not shown in itself again
    assert f"{file}:{rows[0]['line']}, Towers" in shown


def test_a_sentence_that_does_not_answer_is_not_shown(run, file, monkeypatch):
    monkeypatch.setattr(module, "_LEAST", 1.1)
    assert run("Who built it?", str(file)).output == "No sentence answers.\n"
    assert len(json.loads(run("Who built it?", str(file), "--json").output)) == 3


def test_a_budget_of_tokens(run, file):
    rows = json.loads(run("Who built it?", str(file), "--tokens", "16", "--json").output)
    assert rows
    assert rows == sorted(rows, key=lambda row: row["start"])


def test_claims(run, file, tmp_path):
    said = "The queen wrote a book. Elephants came."
    first, second = json.loads(run(said, str(file), "--cite", "--json").output)
    assert said[first["start"] : first["end"]] == first["text"]
    assert first["sources"][0]["text"] == "The queen wrote a book."
    assert first["sources"][0]["line"] == 3
    assert second == {"text": "Elephants came.", "start": 24, "end": 39, "sources": []}
    assert "Elephants came.  (nothing supports it)" in run(said, str(file), "--cite").output


def test_of_an_index(run, file, tmp_path):
    assert CliRunner().invoke(main, ["index", str(tmp_path)]).exit_code == 0
    rows = json.loads(run("Who built the tower?", "--index", str(tmp_path), "--json").output)
    assert rows[0]["source"] == str(file)
    nothing = run("zebras", "--index", str(tmp_path))
    assert nothing.output == "Nothing has the question's words.\n"
    assert run("zebras", "--index", str(tmp_path), "--cite").exit_code == 0
