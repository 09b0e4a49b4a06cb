import json

import pytest
from click.testing import CliRunner

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.cli import main
from potstill.data.qa import load_qa
from potstill.evaluation.qa import score
from potstill.runtime.qa import QAClient


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny.write_squad(tmp_path_factory.mktemp("data") / "dev.json", copies=20)


def run(*arguments):
    return CliRunner().invoke(main, ["eval", *map(str, arguments)])


def test_scores_are_those_of_the_predictions(model, data, tmp_path):
    out = tmp_path / "deep" / "predictions.json"
    result = run(model, data, "--json", "--predictions", out)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert list(found) == ["exact", "f1", "total", "seconds"]
    predictions = json.loads(out.read_text())
    examples = load_qa(data).examples
    client = QAClient.from_options(model)
    assert predictions == {e.id: client.predict(e.question, e.context).text for e in examples}
    scores = score(examples, predictions)
    assert {key: found[key] for key in scores} == scores
    assert found["total"] == 80
    assert found["seconds"] > 0


@pytest.mark.parametrize(
    "options", [("--workers", 3), ("--batch-tokens", 1), ("--threads", 2, "--workers", 1)]
)
def test_how_it_is_computed_makes_no_difference(model, data, options, tmp_path):
    outs = [tmp_path / "a.json", tmp_path / "b.json"]
    run(model, data, "--predictions", outs[0])
    run(model, data, "--predictions", outs[1], *options)
    assert json.loads(outs[0].read_text()) == json.loads(outs[1].read_text())


def test_limit_and_the_table_for_people(model, data):
    result = run(model, data, "--limit", 3)
    assert result.exit_code == 0
    assert "exact" in result.output
    assert ["total", "3"] in [line.split() for line in result.output.splitlines()]


@pytest.fixture
def unanswerable(tmp_path):
    path = tmp_path / "v2.jsonl"
    rows = [
        {"id": "a", "question": "who", "context": "the king won", "answer": "the king"},
        {"id": "b", "question": "who", "context": "the king won", "answer": ""},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_no_answer(model, unanswerable, tmp_path):
    odds, predictions = tmp_path / "odds.json", tmp_path / "predictions.json"
    options = ("--json", "--no-answer", "--null-odds", odds, "--predictions", predictions)
    found = json.loads(run(model, unanswerable, *options).output)
    assert {"HasAns_f1", "NoAns_f1", "best_f1", "best_f1_thresh", "seconds"} <= found.keys()
    scored = CliRunner().invoke(
        main,
        ["score", *map(str, (unanswerable, predictions)), "--null-odds", str(odds)]
        + ["--null-threshold", "0", "--json"],
    )
    scores = json.loads(scored.output)
    assert {key: found[key] for key in scores} == scores
    assert set(json.loads(odds.read_text())) == {"a", "b"}


def test_predictions_are_empty_where_no_answer_wins(tmp_path, unanswerable):
    model = tiny.write_model(tmp_path / "model")
    write_manifest(model, Manifest(no_answer=True, null_threshold=-1e6))
    out = tmp_path / "p.json"
    found = json.loads(run(model, unanswerable, "--json", "--predictions", out).output)
    assert json.loads(out.read_text()) == {"a": "", "b": ""}
    assert (found["HasAns_exact"], found["NoAns_exact"]) == (0, 100)
    assert "best_f1" in found


def test_a_model_that_always_answers(model, unanswerable):
    found = json.loads(run(model, unanswerable, "--json").output)
    assert found["NoAns_exact"] == 0
    assert "best_f1" not in found


def test_calibration_figures_and_curves(unanswerable, data, tmp_path):
    model, curve = tiny.write_model(tmp_path / "model"), tmp_path / "curve.json"
    plain = json.loads(run(model, data, "--json", "--calibration").output)
    write_manifest(model, Manifest(calibration={"temperature": 3.0}))
    result = run(model, data, "--json", "--calibration", "--curve", curve)
    found = json.loads(result.output)
    figures = ["ece", "aurc", "f1_at_25", "f1_at_50", "f1_at_75", "f1_at_100"]
    assert list(found)[3:] == ["seconds", *figures, "ece_before", "temperature"]
    assert found["f1_at_100"] == pytest.approx(found["f1"]) == pytest.approx(plain["f1"])
    assert (plain["temperature"], found["temperature"]) == (1, 3)
    assert plain["ece"] == plain["ece_before"] == pytest.approx(found["ece_before"])
    assert found["ece"] != pytest.approx(found["ece_before"])
    curves = json.loads(curve.read_text())
    assert len(curves["risk_coverage"]["risk"]) == 80
    assert curves["risk_coverage"]["risk"][-1] == pytest.approx(1 - found["f1"] / 100, abs=1e-6)
    assert sum(row["count"] for row in curves["reliability"]) == 80
    two = json.loads(run(model, unanswerable, "--json", "--calibration", "--no-answer").output)
    assert {"HasAns_f1", "NoAns_f1", "best_f1", "ece", "aurc"} <= two.keys()


def test_a_curve_alone_adds_no_figures(model, data, tmp_path):
    curve = tmp_path / "curve.json"
    found = json.loads(run(model, data, "--json", "--curve", curve, "--limit", 5).output)
    assert list(found) == ["exact", "f1", "total", "seconds"]
    assert list(json.loads(curve.read_text())) == ["risk_coverage", "reliability"]


def test_bad_input_is_one_line_and_writes_nothing(model, data, tmp_path):
    for arguments in ((model, tmp_path / "none.json"), (tmp_path / "none", data)):
        result = run(*arguments, "--predictions", tmp_path / "p.json")
        assert result.exit_code == 1
        assert result.stderr.startswith("potstill: error: ")
        assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    assert run(model, data, "--predictions", tmp_path).exit_code == 2
