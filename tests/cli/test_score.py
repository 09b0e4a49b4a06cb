import json
import lzma

import pytest
from click.testing import CliRunner

from potstill.cli import main

ROWS = [
    {"id": "a", "question": "q", "context": "the black cat", "answer": "black cat"},
    {"id": "b", "question": "q", "context": "the white dog", "answer": "dog"},
]


@pytest.fixture
def files(tmp_path):
    data = tmp_path / "data.jsonl.xz"
    data.write_bytes(lzma.compress("\n".join(map(json.dumps, ROWS)).encode()))
    predictions = tmp_path / "p.json"
    predictions.write_text(json.dumps({"a": "the black cat", "b": "white dog"}))
    return str(data), str(predictions)


def run(*arguments):
    return CliRunner().invoke(main, ["score", *map(str, arguments)])


def add_unanswerable(tmp_path):
    data = tmp_path / "v2.jsonl"
    rows = [*ROWS, {"id": "c", "question": "q", "context": "x", "answer": ""}]
    data.write_text("\n".join(map(json.dumps, rows)))
    predictions = tmp_path / "p2.json"
    predictions.write_text(json.dumps({"a": "black cat", "b": "dog", "c": "x"}))
    odds = tmp_path / "odds.json"
    odds.write_text(json.dumps({"a": -2, "b": -1, "c": 0.5}))
    return data, predictions, odds


def test_json(files):
    result = run(*files, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "exact": 50.0,
        "f1": pytest.approx((100 + 100 * 2 / 3) / 2),
        "total": 2,
    }
    assert result.stderr == ""


def test_table(files):
    result = run(*files)
    assert result.exit_code == 0
    assert "50.00" in result.stdout
    assert "83.33" in result.stdout


def test_null_odds(tmp_path):
    data, predictions, odds = add_unanswerable(tmp_path)
    plain = json.loads(run(data, predictions, "--json").stdout)
    assert plain["exact"] == pytest.approx(200 / 3)
    assert "best_exact" not in plain
    tuned = json.loads(
        run(data, predictions, "--null-odds", odds, "--null-threshold", "0", "--json").stdout
    )
    assert (tuned["exact"], tuned["best_exact"], tuned["best_exact_thresh"]) == (100, 100, -1)
    table = run(data, predictions, "--null-odds", odds).stdout
    assert "without" in table
    assert "tuned" in table


def test_allow_missing(files, tmp_path):
    data, _ = files
    some = tmp_path / "some.json"
    some.write_text(json.dumps({"a": "black cat", "z": "x"}))
    refused = run(data, some)
    assert refused.exit_code == 1
    assert "lack 1 of 2 questions and hold 1 foreign ids" in refused.stderr
    result = run(data, some, "--allow-missing", "--json")
    assert json.loads(result.stdout) == {
        "exact": 50.0,
        "f1": 50.0,
        "total": 2,
        "missing": 1,
        "foreign": 1,
    }
    assert "without a prediction" in run(data, some, "--allow-missing").stdout


def test_wrong_offsets_are_one_line_on_stderr(files, tmp_path):
    data = tmp_path / "wrong.jsonl"
    data.write_text("\n".join(json.dumps({**row, "answer_start": 0}) for row in ROWS))
    result = run(data, files[1], "--json")
    assert json.loads(result.stdout)["exact"] == 50.0
    assert result.stderr.count("\n") == 1
    assert "2 answers are not in their context where the file says" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothere.json", "p.json"),
        (".", "p.json"),
        ("{data}", "nothere.json"),
        ("{data}", "{data}"),
        ("{predictions}", "{predictions}"),
    ],
)
def test_bad_files_are_one_line(files, arguments):
    names = dict(zip(("data", "predictions"), files, strict=True))
    result = run(*(a.format(**names) for a in arguments))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("potstill: error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [("--null-threshold", "1"), ("--null-odds", "x", "--null-threshold", "nan"), ("--what",)],
)
def test_usage(files, options):
    assert run(*files, *options).exit_code == 2
