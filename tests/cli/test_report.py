"""``potstill eval --keep`` and ``potstill report`` as typed."""

import json

import pytest
from click.testing import CliRunner

import reported
import tiny
from potstill.cli import main
from potstill.evaluation.runs import read_run

pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'potstill[report]'")


def run(*arguments):
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_from_questions_to_a_page(tmp_path):
    model = tiny.write_model(tmp_path / "model")
    data = tiny.write_squad(tmp_path / "dev.json", copies=3)
    found = run("eval", model, data, "--keep", "--json")
    assert found.exit_code == 0, found.output
    scores = json.loads(found.stdout)
    (kept,) = read_run(model).evaluations
    assert {key: kept.scores[key] for key in ("exact", "f1", "total")} == {
        key: scores[key] for key in ("exact", "f1", "total")
    }
    assert kept.milliseconds["n"] == 12
    assert len(kept.questions) == 12
    assert kept.hardware["cores"] >= 1
    assert kept.command == "potstill eval model dev.json --keep --json"
    out = tmp_path / "deep" / "report.html"
    found = run("report", model, "--out", out, "--data", data, "--title", "One run")
    assert found.exit_code == 0, found.output
    page = out.read_text()
    assert "<title>One run</title>" in page
    assert page.count('class="mistake"') == sum(q.exact < 1 for q in kept.questions)
    assert str(tmp_path) not in page


def test_classifiers_are_kept_too(tmp_path):
    labels = {"head": "classification", "labels": ("bad", "good")}
    model = tiny.write_model(tmp_path / "model", **labels)
    data = tmp_path / "dev.csv"
    data.write_text("text,label\nthe old king,bad\na small book,good\n")
    found = run("eval", model, data, "--keep")
    assert found.exit_code == 0, found.output
    read = read_run(model)
    (kept,) = read.evaluations
    assert (read.metric, kept.task) == ("accuracy", "text-classification")
    assert kept.milliseconds["n"] == 2
    assert run("report", model, "--out", tmp_path / "r.html").exit_code == 0
    assert "accuracy against milliseconds" in (tmp_path / "r.html").read_text()


def test_only_a_folder_of_ones_own_can_keep(tmp_path):
    data = tiny.write_squad(tmp_path / "dev.json")
    found = run("eval", "default", data, "--keep")
    assert found.exit_code == 1
    assert "potstill export" in found.stderr
    assert found.stderr.count("\n") == 1


def test_the_teacher_may_be_named_as_a_folder(tmp_path):
    folders = [reported.evaluated(tmp_path / name, recipe={"epochs": n}, ms=5 + n)
               for n, name in enumerate("ab")]  # fmt: skip
    out = tmp_path / "r.html"
    assert run("report", *folders, "--teacher", folders[1], "--out", out).exit_code == 0
    assert "b, fp32 (teacher)" in out.read_text()
    found = run("report", *folders, "--teacher", "c", "--out", out)
    assert found.exit_code == 1
    assert "no run 'c'" in found.stderr
