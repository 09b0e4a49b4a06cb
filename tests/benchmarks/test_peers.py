"""benchmarks/peers.py: an environment is made once, and another can be named."""

import sys

import peers
import pytest


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """Installs nothing, and says what was asked for."""
    asked = []

    class Done:
        returncode = 0

    def run(command, **_):
        asked.append(command)
        return Done

    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path))
    monkeypatch.setattr(peers.venv, "create", lambda folder, **_: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(peers.subprocess, "run", run)
    return Done, asked


def test_an_environment_is_made_once(pip, tmp_path):
    _, asked = pip
    first = peers.peer_python(None)
    assert first.startswith(str(tmp_path))
    assert peers.peer_python(None) == first
    torch, rest = asked
    assert torch[0] == rest[0] == first
    assert torch[-1].startswith("torch==")
    assert "transformers==4.57.6" in rest


def test_one_that_could_not_be_made_is_made_again(pip):
    done, asked = pip
    done.returncode = 1
    for _ in range(2):
        with pytest.raises(SystemExit, match="name a --peer-python"):
            peers.peer_python(None)
    done.returncode = 0
    peers.peer_python(None)
    assert len(asked) == 1 + 1 + 2


def test_another_or_none():
    assert peers.peer_python(sys.executable) == sys.executable
    assert peers.peer_python("none") is None
