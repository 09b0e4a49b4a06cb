"""``potstill bench`` and ``potstill info --tuning``."""

import json

import pytest
from click.testing import CliRunner

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.cli import main
from potstill.reports.plot import shown
from potstill.runtime import opening


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))

    def call(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    return call


@pytest.mark.parametrize("head", ["qa", "classification", "tagging", "choice", "mlm"])
def test_every_task(run, tmp_path, head):
    labels = ("a", "b") if head in ("classification", "tagging") else ()
    folder = tiny.write_model(tmp_path / "model", head=head, labels=labels)
    if head == "mlm":  # an old folder does not say so itself
        write_manifest(folder, Manifest(task="masked-lm"))
    result = run("bench", folder, "--seconds", 0, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert [row["tokens"] for row in found["one"]["by_length"]] == [48, 96, 128]
    for row in found["one"]["by_length"]:
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert found["one"]["runtime"] == "onnxruntime"
    assert found["many"]["texts_per_second"] > 0
    assert found["resident_mb"] > 10
    assert found["one"]["candidates"] == []  # the environment names a runtime


def test_the_candidates_are_shown_and_kept(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(opening, "candidates", lambda model: ["onnxruntime", "torch"])
    folder = tiny.write_model(tmp_path / "model")
    assert "Nothing has been measured" in run("info", "--tuning").output
    result = run("bench", folder, "--seconds", 0, "--runtime", "auto")
    assert result.exit_code == 0, result.output
    for word in ("median ms", "texts a second", "memory:", "onnxruntime", "torch", "1 × "):
        assert word in result.output
    shown = run("info", "--tuning", folder)
    assert shown.exit_code == 0, shown.output
    assert "this machine" in shown.output
    for said in (result.output, shown.output):
        assert max(map(len, said.splitlines())) <= 80
        assert "same: share of the decisions" in " ".join(said.split())
    listed = json.loads(run("info", "--tuning", "--json").output)
    assert {c["runtime"] for one in listed for c in one["candidates"]} == {"onnxruntime", "torch"}
    assert all(one["of_this_machine"] for one in listed)
    other = tiny.write_model(tmp_path / "other", seed=1)
    assert "Nothing" in run("info", "--tuning", other).output


def test_the_plot_is_one_of_the_reports(run, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: pip install 'potstill[report]'")
    folder = tiny.write_model(tmp_path / "model")
    file = tmp_path / "plots" / "bench.svg"
    result = run("bench", folder, "--seconds", 0, "--plot", file, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.output)["one"]["by_length"]
    drawn = shown(file.read_text())
    assert drawn["x"] == "tokens"
    medians, tails = (line["points"] for line in drawn["lines"])
    assert [x for x, _ in medians] == [row["tokens"] for row in rows]
    assert [y for _, y in medians] == pytest.approx([row["p50_ms"] for row in rows], rel=1e-4)
    assert [y for _, y in tails] == pytest.approx([row["p99_ms"] for row in rows], rel=1e-4)


def test_info_wants_something_to_describe(run):
    result = run("info")
    assert result.exit_code == 2
    assert "Name a model or a data file" in result.output


def test_a_warning_is_one_line(run, tmp_path, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setattr("warnings.filters", [])
    folder = tiny.write_model(tmp_path / "model")
    asked = ("Who won?", "--context", "Denver won.", "--model", folder)
    result = run("ask", *asked, "--runtime", "onnxruntime:cuda")
    assert result.exit_code == 0, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("potstill: warning: onnxruntime has no CUDAExecutionProvider here")
