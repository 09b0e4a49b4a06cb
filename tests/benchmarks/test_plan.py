"""The comparison of simulation and server runs, and judges."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

import tiny

pytest.importorskip("fastapi", reason="needs the server: pip install 'potstill[serve]'")
FILE = Path(__file__).parents[2] / "benchmarks" / "plan.py"


@pytest.fixture
def benchmark():
    spec = importlib.util.spec_from_file_location("plan_benchmark", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_three_loads_are_compared(benchmark, tmp_path, monkeypatch, capsys):
    model = tiny.write_model(tmp_path / "m")
    words = ["--model", str(model), "--context-tokens", "60", "--seconds", "0.5"]
    words += ["--measure", "0.3", "--slices", "1", "-n", "500", "--workers", "1"]
    monkeypatch.setattr(sys, "argv", ["plan.py", *words])
    status = benchmark.main()
    lines = capsys.readouterr().out.splitlines()
    result = json.loads(lines[-1])
    assert [row["share"] for row in result["loads"]] == [0.25, 0.45, 0.65]
    assert all(row["measured"]["statuses"]["200"] > 0 for row in result["loads"])
    assert status == (1 if "off by" in "".join(lines[:-1]) else 0)


def row(p50, p99):
    measured = {"p50_ms": 10.0, "p99_ms": 20.0, "client_cpu_share": 0.1}
    said = {"p50_simulated_ms": 10 * (1 + p50), "p99_simulated_ms": 20 * (1 + p99)}
    return {"share": 0.3, "rate": 5, "measured": measured, "p50_off": p50, "p99_off": p99, **said}


def test_what_is_off_is_named(benchmark):
    assert benchmark.show({"loads": [row(0.14, -0.29), row(-0.14, 0.29)]}) == []
    assert benchmark.show({"loads": [row(0.16, 0.0), row(0.0, -0.31)]}) == [
        "p50 at 30% is off by +16%",
        "p99 at 30% is off by -31%",
    ]
