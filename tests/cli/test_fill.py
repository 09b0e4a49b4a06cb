from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import main

pytestmark = pytest.mark.usefixtures("own_cache")

TEXT = "The old king built a [MASK] by the river."


@pytest.fixture
def model(tmp_path):
    return tiny.write_model(tmp_path / "model", head="mlm")


def run(*words: object, text: str | None = None):
    return CliRunner().invoke(main, ["fill", *map(str, words)], input=text)


def test_words_with_their_scores(model) -> None:
    done = run(TEXT, "--model", model, "--top-k", 3)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    scores = [float(line.split()[0]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    assert all(line.endswith("by the river.") for line in lines)


def test_json(model) -> None:
    (fills,) = json.loads(run(TEXT, "--model", model, "--json").stdout)
    assert len(fills) == 5
    assert set(fills[0]) == {"score", "token", "token_str", "sequence"}
    two = json.loads(run("[MASK] won [MASK]", "--model", model, "--json").stdout)
    assert len(two) == 2


def test_several_masks_and_standard_input(model) -> None:
    for words in ([], ["-"]):
        done = run(*words, "--model", model, "--top-k", 1, text="the [MASK] won the [MASK].\n")
        assert done.exit_code == 0, done.output
        lines = done.stdout.splitlines()
        assert [lines[0], lines[2]] == ["[MASK] 1 of 2", "[MASK] 2 of 2"]


def test_targets(model) -> None:
    done = run(TEXT, "--model", model, "--target", "tower", "--target", "bridge", "--json")
    (fills,) = json.loads(done.stdout)
    assert {fill["token_str"] for fill in fills} == {"tower", "bridge"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no mask here"], "write [MASK] where a word is missing"),
        ([""], "the text is empty"),
        ([TEXT, "--target", "zebra"], "'zebra' is 5 tokens"),
    ],
)
def test_bad_input_is_one_line(model, words, message) -> None:
    done = run(*words, "--model", model)
    assert done.exit_code == 1
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_other_models_and_usage(tmp_path, model) -> None:
    done = run(TEXT, "--model", tiny.write_model(tmp_path / "qa"))
    assert done.exit_code == 1 and "has no masked-LM head" in done.stderr
    assert run(TEXT).exit_code == 2
    assert run(TEXT, "--model", model, "--top-k", 0).exit_code == 2


def test_a_word_cannot_move_the_cursor(model) -> None:
    done = run("the \x1b[31m[MASK] won", "--model", model, "--top-k", 1)
    assert "\x1b" not in done.stdout
