"""The package as a user has it: built, and installed with its dependencies in a fresh place."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """A virtual environment that holds the wheel and what it depends on, nothing else."""

    wheel: Path
    sdist: Path
    bin: Path
    home: Path

    def run(
        self, *command: str | Path, cwd: Path | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command with this environment first on the path and no caches of the user's."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
        env |= {
            "PATH": f"{self.bin}{os.pathsep}{env['PATH']}",
            "HF_HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home),
            "HF_HUB_OFFLINE": "1",
            "NO_COLOR": "1",
            "COLUMNS": "100",
            "PYTHONUTF8": "1",
        }
        return subprocess.run(
            command, cwd=cwd, env=env, input=stdin, capture_output=True, encoding="utf-8"
        )

    def check(self, *command: str | Path, cwd: Path | None = None, stdin: str = "") -> str:
        """Standard output of a command that must succeed."""
        done = self.run(*command, cwd=cwd, stdin=stdin)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Moves one of the two files that want `installed` to the beginning.

    Side by side, in two processes, one would stand still until the other has made it; and at the
    end the other process would have nothing left to do.
    """
    first = Path(__file__).with_name("test_wheel.py")
    items.sort(key=lambda item: item.path != first)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Installed:
    """The wheel, built from the source distribution, in an environment of its own.

    Every process of a run that has several takes the one that the first of them made.
    """
    own = tmp_path_factory.getbasetemp()
    place = (own if worker_id == "master" else own.parent) / "installed"
    with FileLock(place.with_suffix(".lock")):
        if not (place / "ready").exists():
            _install(place)
            (place / "ready").touch()
    (wheel,) = (place / "dist").glob("*.whl")
    (sdist,) = (place / "dist").glob("*.tar.gz")
    return Installed(wheel=wheel, sdist=sdist, bin=_bin(place), home=place / "home")


def _bin(place: Path) -> Path:
    return place / "venv" / ("Scripts" if os.name == "nt" else "bin")


def _install(place: Path) -> None:
    place.mkdir(exist_ok=True)
    dist = place / "dist"
    steps = [
        # Without --wheel or --sdist, the wheel is made from the unpacked source distribution.
        [sys.executable, "-m", "build", "--outdir", dist, ROOT],
        [sys.executable, "-m", "venv", "--without-pip", place / "venv"],
    ]
    for step in steps:
        subprocess.run(step, check=True, capture_output=True, cwd=place)
    (wheel,) = dist.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", _bin(place) / "python", "install", "-q", wheel]
    subprocess.run(pip, check=True, capture_output=True, cwd=place)
