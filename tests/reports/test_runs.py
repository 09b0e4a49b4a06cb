"""Folders of runs → what a report shows of them."""

import json

import pytest

import reported
import tiny
from potstill.bundle.manifest import Manifest, read_manifest, write_manifest
from potstill.errors import DataError, ModelNotFoundError
from potstill.evaluation.kept import Kept, KeptAnswer, read_kept, thin_curve, timing, write_kept
from potstill.reports.runs import curve, data_name, in_series, read_run


def test_a_run_says_all_it_knows(tmp_path):
    found = read_run(reported.evaluated(tmp_path / "student", seed=3))
    assert (found.name, found.task, found.metric) == ("student", "question-answering", "f1")
    assert (found.seed, found.teachers) == (3, ["teacher"])
    assert found.sizes["fp32"] == (tmp_path / "student" / "model.safetensors").stat().st_size
    assert found.commands == [
        "potstill distil r.toml seed=3",
        "potstill eval RUN dev.json --keep",
    ]
    (kept,) = found.evaluations
    assert kept == reported.evaluation()
    assert data_name(kept) == "dev.json (abababab)"


def test_what_is_kept_is_read_back(tmp_path):
    kept = reported.evaluation(limit=3, precision="int8", data="a/b c?.json")
    path = write_kept(tmp_path / "evaluations", kept)
    assert path.parent == tmp_path / "evaluations"
    assert path.name == "a-b-c-.json-3-int8.json"
    assert read_kept(path) == kept
    said = (KeptAnswer("a", ("x", "y"), 0.5), KeptAnswer("b", (), None))
    texts = reported.evaluation(questions=[], said=said, layout={"text": "sentence"})
    assert read_kept(write_kept(tmp_path / "evaluations", texts)) == texts
    odd = reported.evaluation(scores={"pearson": float("nan"), "f1": 1.0})
    assert read_kept(write_kept(tmp_path / "evaluations", odd)).scores == {
        "pearson": None,
        "f1": 1.0,
    }


@pytest.mark.parametrize(
    "change",
    [
        {"questions": [["only an id"]]},
        {"questions": [["id", 5, 0, 0.5, 0, 0]]},
        {"questions": [["id", "text", "0", 0.5, 0, 0]]},
        {"said": [["id", ["x"], "sure"]]},
        {"said": [["id", [5], 0.5]]},
        {"said": [["id"]]},
        {"layout": []},
        {"curve": {"reliability": []}},
        {"curve": {"risk_coverage": {"coverage": [1], "risk": ["x"]}, "reliability": []}},
        {"milliseconds": {"median": 0, "q1": 1, "q3": 1}},
        {"milliseconds": {"median": 1}},
        {"scores": [1]},
    ],
)
def test_a_damaged_evaluation_is_refused(tmp_path, change):
    path = write_kept(tmp_path / "evaluations", reported.evaluation())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=r"potstill eval --keep"):
        read_kept(path)
    path.write_text("[]")
    with pytest.raises(DataError, match="is not an evaluation"):
        read_kept(path)


def test_a_run_that_was_not_evaluated_has_its_own_last_scores(tmp_path):
    (kept,) = read_run(reported.run(tmp_path / "run")).evaluations
    assert (kept.data, kept.scores["f1"], kept.milliseconds, kept.date) == ("its own", 70.0, {}, "")
    bare = read_run(tiny.write_model(tmp_path / "bare"))
    assert (bare.evaluations, bare.lines, bare.commands, bare.seed) == ([], [], [], None)


def test_runs_that_differ_in_their_seed_are_one_series(tmp_path):
    runs = [read_run(reported.evaluated(tmp_path / f"small-seed{n}", seed=n)) for n in (1, 2)]
    other = reported.run(tmp_path / "other", recipe={"epochs": 2})
    plain = [read_run(tiny.write_model(tmp_path / "a" / "x")),
             read_run(tiny.write_model(tmp_path / "b" / "x"))]  # fmt: skip
    found = in_series([*runs, read_run(other), *plain])
    assert [one.name for one in found] == ["small", "other", "x (3)", "x (4)"]
    assert [run.seed for run in found[0].runs] == [1, 2]


def test_an_export_belongs_to_its_run(tmp_path):
    source = reported.run(tmp_path / "runs" / "m", seed=1)
    export = tiny.write_model(tmp_path / "out" / "m", seed=1)
    (export / "onnx").mkdir()
    (export / "onnx" / "model_quantized.onnx").write_bytes(b"x" * 99)
    manifest = read_manifest(source)
    write_manifest(export, manifest)
    write_kept(export / "evaluations", reported.evaluation(precision="int8"))
    for order in ((source, export), (export, source)):
        (one,) = in_series([read_run(folder) for folder in order])
        (run,) = one.runs
        assert run.sizes["int8"] == 99
        assert [kept.precision for kept in run.evaluations] == ["int8"]
        assert run.lines


def test_curves_and_times():
    lines = [{"step": n, "loss": float(n)} for n in range(1, 251)]
    points = curve(lines, "loss")
    assert (len(points), points[0], points[-1]) == (84, [3, 2.0], [250, 250.0])
    with pytest.raises(DataError, match="no number"):
        curve([{"step": 1, "loss": "low"}], "loss")
    with pytest.raises(DataError, match="has f1"):
        curve(lines, "f1")
    found = timing([0.001, 0.002, 0.003], threads=2)
    assert (found["median"], found["q1"], found["n"], found["threads"]) == (2.0, 1.5, 3, 2)
    long = {name: list(range(1000)) for name in ("coverage", "risk", "threshold")}
    thin = thin_curve({"risk_coverage": long, "reliability": []})["risk_coverage"]
    assert {len(column) for column in thin.values()} == {200}
    assert (thin["risk"][0], thin["risk"][-1]) == (0, 999)


def test_what_is_no_run(tmp_path):
    with pytest.raises(ModelNotFoundError):
        read_run(tmp_path / "nothing")
    run = reported.run(tmp_path / "run")
    for text in ("{", "[1]\n"):
        (run / "metrics.jsonl").write_text(text)
        with pytest.raises(DataError, match=r"metrics\.jsonl holds a line"):
            read_run(run)


def test_a_manifest_of_odd_scores_is_no_evaluation(tmp_path):
    folder = tiny.write_model(tmp_path / "m")
    write_manifest(folder, Manifest(scores={"f1": "high"}))
    assert read_run(folder).evaluations == []
    assert Kept(task="t", data="d").questions == ()
