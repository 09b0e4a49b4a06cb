"""``potstill eval --keep`` and ``potstill report`` as typed."""

import json

import pytest
from click.testing import CliRunner

import reported
import tiny
from potstill.cli import main
from potstill.reports.runs import read_run

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


def test_unanswerable_questions_leave_their_curve(tmp_path):
    model = tiny.write_model(tmp_path / "model")
    data = json.loads(tiny.write_squad(tmp_path / "dev.json").read_text())
    data["data"][0]["paragraphs"][0]["qas"][0].update(is_impossible=True, answers=[])
    path = tmp_path / "v2.json"
    path.write_text(json.dumps({**data, "version": "v2.0"}))
    found = run("eval", model, path, "--keep", "--no-answer")
    assert found.exit_code == 0, found.output
    (kept,) = read_run(model).evaluations
    assert len(kept.curve["no_answer"]["f1"]) == kept.scores["total"]
    out = tmp_path / "r.html"
    assert run("report", model, "--out", out).exit_code == 0
    assert "When to say there is no answer" in out.read_text()


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "torch"])
def test_classifiers_are_kept_too(tmp_path, runtime):
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="needs OpenVINO: pip install 'potstill[openvino]'")
    labels = {"head": "classification", "labels": ("bad", "good")}
    model = tiny.write_model(tmp_path / "model", **labels)
    data = tmp_path / "dev.csv"
    data.write_text("text,label\nthe old king,bad\nthe old king,good\n")
    found = run("eval", model, data, "--keep", "--runtime", runtime)
    assert found.exit_code == 0, found.output
    read = read_run(model)
    (kept,) = read.evaluations
    assert (read.metric, kept.task, kept.precision) == ("accuracy", "text-classification", "fp32")
    assert kept.tools["runtime"].startswith(runtime)
    assert kept.milliseconds["n"] == 2
    assert kept.said[0].given == kept.said[1].given
    assert kept.said[0].confidence >= 0.5
    out = tmp_path / "r.html"
    assert run("report", model, "--out", out).exit_code == 0
    assert "accuracy against milliseconds" in out.read_text()
    assert "their texts: give the file" in out.read_text()
    assert run("report", model, "--out", out, "--data", data).exit_code == 0
    assert out.read_text().count('class="mistake"') == 1


def test_questions_words_and_choices_in_one_page(tmp_path):
    tags = ("O", "B-PER", "I-PER")
    heads = {"tagger": {"head": "tagging", "labels": tags}, "chooser": {"head": "choice"}}
    files = {"tagger": tmp_path / "dev.conll", "chooser": tmp_path / "dev.jsonl"}
    files["tagger"].write_text("king B-PER\nwon O\n\nqueen B-PER\nlost B-PER\n")
    rows = [{"prompt": "the king", "choices": ["won", "lost"], "label": n} for n in (0, 1)]
    files["chooser"].write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, head in heads.items():
        tiny.write_model(tmp_path / name, **head)
        found = run("eval", tmp_path / name, files[name], "--keep")
        assert found.exit_code == 0, found.output
    models = [tmp_path / name for name in heads]
    options = [word for file in files.values() for word in ("--data", file)]
    out = tmp_path / "r.html"
    found = run("report", *models, "--out", out, *options)
    assert found.exit_code == 0, found.output
    page = out.read_text()
    assert page.count('data-run="chooser, fp32"') == 1  # the two rows differ in the gold alone
    assert page.count('data-run="tagger, fp32"') >= 1
    assert "furthest off" not in page  # all are shown


def test_a_run_that_is_not_finished_is_left_out(tmp_path):
    model = tiny.write_model(tmp_path / "model")
    going = tmp_path / "going"
    going.mkdir()
    (going / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    out = tmp_path / "report.html"
    found = run("report", model, going, "--out", out)
    assert found.exit_code == 0, found.output
    assert f"left out, not finished: {going};" in found.stderr
    assert found.stdout.startswith("1 run in")
    alone = run("report", going, "--out", tmp_path / "none.html")
    assert alone.exit_code == 1
    assert "no run is finished" in alone.stderr
    assert not (tmp_path / "none.html").exists()


def test_what_a_model_by_name_is_worth_is_kept_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    data = tiny.write_squad(tmp_path / "dev.json")
    found = run("eval", "small", data, "--keep", "--json")
    assert found.exit_code == 0, found.output
    assert str(tmp_path / "cache" / "evaluations" / "small-") in found.stderr
    own = reported.evaluated(tmp_path / "own", recipe={"epochs": 1})
    out = tmp_path / "r.html"
    assert run("report", "small", own, "--out", out).exit_code == 0
    assert f"{json.loads(found.stdout)['f1']:.2f}" in out.read_text()


def test_the_teacher_may_be_named_as_a_folder(tmp_path):
    folders = [reported.evaluated(tmp_path / name, recipe={"epochs": n}, ms=5 + n)
               for n, name in enumerate("ab")]  # fmt: skip
    out = tmp_path / "r.html"
    assert run("report", *folders, "--teacher", folders[1], "--out", out).exit_code == 0
    assert "b, fp32 (teacher)" in out.read_text()
    found = run("report", *folders, "--teacher", "c", "--out", out)
    assert found.exit_code == 1
    assert "no run 'c'" in found.stderr
