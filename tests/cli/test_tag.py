import json

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli.choose import command as choose
from potstill.cli.tag import command as tag

LABELS = ("O", "B-per", "I-per", "B-loc", "I-loc")
TEXT = "The old king built a tower by the river Thames."


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagger")
    return str(tiny.write_model(folder, "distilbert", head="tagging", labels=LABELS))


@pytest.fixture(scope="module")
def chooser(tmp_path_factory):
    return str(tiny.write_model(tmp_path_factory.mktemp("chooser"), head="choice"))


def run(command, *arguments, stdin=None):
    return CliRunner().invoke(command, arguments, input=stdin)


def test_tag_json(tagger):
    result = run(tag, TEXT, "--model", tagger, "--json")
    assert result.exit_code == 0
    rows = json.loads(result.output)
    assert rows and all(TEXT[row["start"] : row["end"]] == row["text"] for row in rows)
    assert list(rows[0]) == ["text", "label", "score", "start", "end"]


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_tag_standard_input(tagger, arguments):
    asked = run(tag, TEXT, "--model", tagger, "--json").output
    assert run(tag, *arguments, "--model", tagger, "--json", stdin=TEXT).output == asked


def test_tag_a_span_a_line(tagger):
    rows = json.loads(run(tag, TEXT, "--model", tagger, "--json").output)
    lines = run(tag, TEXT, "--model", tagger).output.splitlines()
    assert len(lines) == len(rows)
    first = rows[0]
    assert lines[0].startswith(f"{first['score']:.2f}  {first['label']}  {first['text']}")
    assert lines[0].endswith(f"{first['start']}:{first['end']}")


def test_tag_by_word(tagger):
    text = "the king\n\nwon a game\n"
    lines = run(tag, "--words", "--model", tagger, stdin=text).output.splitlines()
    assert [line.partition("\t")[0] for line in lines] == ["the", "king", "", "won", "a", "game"]
    assert all(line.partition("\t")[2] in LABELS for line in lines if line)
    rows = json.loads(run(tag, "--words", "--json", "--model", tagger, stdin=text).output)
    assert [[row["word"] for row in own] for own in rows] == [["the", "king"], ["won", "a", "game"]]


def test_tag_by_token(tagger):
    rows = json.loads(run(tag, TEXT, "--aggregation=none", "--model", tagger, "--json").output)
    assert {row["label"] for row in rows} <= set(LABELS)


def test_choose(chooser):
    asked = ("The king", "won", "lost", "wrote", "--model", chooser)
    rows = json.loads(run(choose, *asked, "--json").output)
    assert sorted(row["index"] for row in rows) == [0, 1, 2]
    assert list(rows[0]) == ["index", "text", "score", "truncated"]
    lines = run(choose, *asked).output.splitlines()
    assert lines == [f"{row['score']:.2f}  {row['text']}" for row in rows]
    same = run(choose, "-", *asked[1:], "--json", stdin="The king\n").output
    assert json.loads(same) == rows


def test_choose_says_what_was_left_out(chooser):
    result = run(choose, "the king " * 99, "won", "lost", "--model", chooser, "--json")
    assert "2 of 2 choices are longer, with their prompt, than the 128 tokens" in result.stderr
    assert all(row["truncated"] for row in json.loads(result.stdout))


def test_one_choice_is_none(chooser):
    result = run(choose, "p", "a", "--model", chooser)
    assert result.exit_code == 2
    assert "Give at least two choices" in result.output
