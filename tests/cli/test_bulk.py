"""``potstill bulk``: what it prints, and what it refuses."""

import json

import pytest
from click.testing import CliRunner

from potstill.cli import main


def run(*words):
    return CliRunner().invoke(main, ["bulk", *map(str, words)])


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.jsonl"
    rows = [
        {"id": 1, "question": "Who defeated the Panthers?",
         "context": "The Denver Broncos defeated the Carolina Panthers 24–10."},
        {"id": 2, "question": "", "context": "x"},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_it_answers_and_says_what_it_could_not_read(source, tmp_path):
    out = tmp_path / "out.jsonl"
    done = run(source, out, "--workers", 1)
    assert done.exit_code == 0
    assert f"1 rows are in {out}" in done.stdout
    assert f"1 row could not be read: {out}.bad.jsonl" in done.stderr
    assert "Denver Broncos" in json.loads(out.read_text(encoding="utf-8"))["answer"]
    again = run(source, out, "--workers", 1)
    assert again.exit_code == 0
    assert "there was nothing to do" in again.stdout
    counts = json.loads(run(source, out, "--workers", 1, "--json").stdout)
    assert counts == {"rows": 1, "bad": 1, "resumed": 2, "was_done": True}


def test_errors_are_one_line(source, tmp_path):
    failed = run(tmp_path / "none.jsonl", tmp_path / "out.jsonl")
    assert failed.exit_code == 1
    assert failed.stderr.startswith("potstill: error: there is no file")
    assert failed.stderr.count("\n") == 1
    assert run(source, tmp_path / "out.jsonl", "--column", "question").exit_code == 2
    assert run(source, tmp_path / "out.jsonl", "--engine", "spark").exit_code == 2
