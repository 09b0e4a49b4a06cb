"""The parity benchmark counts what differs, and says so by its exit status."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest

import tiny

ROOT = Path(__file__).parents[2]
FILE = ROOT / "benchmarks" / "parity.py"
PACKAGES = ROOT / "clients" / "js" / "node_modules"


def answer(text, start, score):
    return {"text": text, "start": start, "end": start + len(text), "score": score}


@pytest.fixture(scope="module")
def parity():
    return runpy.run_path(str(FILE))


def test_what_counts_as_another_answer(parity):
    row = parity["Row"]("a system", "fp32", False)
    assert row.take(answer("king", 8, 0.5), [answer("king", 8, 0.5004)])
    assert row.take(None, [])
    assert row.take([answer("king", 8, 0.5)], [answer("king", 8, 0.5)])
    assert (row.asked, row.other) == (3, [])
    assert row.apart == pytest.approx(0.0004)
    assert row.kept
    # A tie may fall either way; the same words elsewhere are another answer.
    assert not row.take(answer("king", 20, 0.5001), [answer("king", 8, 0.5)])
    assert row.kept
    assert not row.take(None, [answer("king", 8, 0.5)])
    assert row.other == pytest.approx([0.0001, 0.5])
    assert not row.kept
    exact = parity["Row"]("onnxruntime", "fp32", True)
    exact.take(answer("king", 20, 0.5), [answer("king", 8, 0.5)])
    assert not exact.kept
    lines = parity["table"]([row, exact], 2).splitlines()
    assert "| a system | fp32 | 5 | 2 | 4.0e-04 |" in lines
    assert lines[-1].endswith("differ by 5.0e-01 at most.")


@pytest.mark.skipif(
    not (shutil.which("node") and PACKAGES.is_dir()), reason="needs Node 20 and make test-js"
)
def test_node_answers_as_python_does(tmp_path, monkeypatch, capsys):
    model = tiny.write_model(tmp_path / "model", "bert")
    data = tiny.write_squad(tmp_path / "dev.json")
    words = [str(model), str(data), "--only", "onnxruntime-node"]
    words += ["--keep", str(tmp_path / "rows.json")]
    monkeypatch.setattr(sys, "argv", ["parity.py", *words])
    from potstill.export.bundle import export_bundle

    export_bundle(model, tmp_path / "out", ["onnx"])
    words[0] = str(tmp_path / "out")
    monkeypatch.setattr(sys, "argv", ["parity.py", *words])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(FILE), run_name="__main__")
    assert stopped.value.code == 0
    said = capsys.readouterr()
    assert "| Node, onnxruntime-node | fp32 | 17 | 0 |" in said.out
    assert "left out: Node, TensorFlow.js (wasm)" in said.err
    assert (tmp_path / "rows.json").is_file()
