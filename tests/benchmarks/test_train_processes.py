"""Training by two processes against one: what is compared, and with what exit status."""

import json
import subprocess
import sys

import pytest
import train_processes


@pytest.mark.parametrize(("second", "status"), [(5.0, 0), (7.0, 1)])
def test_rates_leave_the_first_step_out(second, status, monkeypatch, capsys, tmp_path):
    """One process takes 10 seconds a step, two take ``second``."""

    def run(command, **_):
        values = json.loads(command[-1])
        each = second if values["devices"] == 2 else 10.0
        assert (values["threads"], values["accumulate"]) == (1, 2)
        steps = [{"tokens": 800, "seconds": 50.0}]  # the first step is slow
        steps += [{"tokens": 800, "seconds": 50.0 + each * n} for n in (1, 2)]
        return subprocess.CompletedProcess(command, 0, "\n".join(map(json.dumps, steps)), "")

    monkeypatch.setattr(train_processes.subprocess, "run", run)
    file = tmp_path / "found.json"
    words = ["x", "base", "train.json", "--steps", "2", "--rounds", "2", "--record", str(file)]
    monkeypatch.setattr(sys, "argv", words)
    assert train_processes.main() == status
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found == json.loads(file.read_text())
    assert found["one"]["median"] == pytest.approx(80.0)
    assert found["ratio"]["median"] == pytest.approx(10 / second)
    assert found["tokens"] == 1600


def test_a_run_that_fails_says_why(monkeypatch, tmp_path):
    failed = subprocess.CompletedProcess([], 1, "", "no such model")
    monkeypatch.setattr(train_processes.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(SystemExit, match="no such model"):
        train_processes.measured({}, tmp_path, 1)
