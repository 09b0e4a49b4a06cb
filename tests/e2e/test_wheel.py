"""The wheel: complete, light, and able to answer as soon as it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BUNDLE = (
    "README.md",
    "config.json",
    "potstill.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "onnx/model_quantized.onnx",
)
CONTEXT = "The Denver Broncos defeated the Carolina Panthers 24–10."


def test_wheel_carries_the_embedded_models(installed) -> None:
    names = set(zipfile.ZipFile(installed.wheel).namelist())
    for model in ("default", "small", "tiny"):
        assert {f"potstill/embedded/{model}/{name}" for name in BUNDLE} <= names
    assert "potstill/py.typed" in names
    assert {Path(n).name for n in names if ".dist-info/licenses/" in n} == {"LICENSE", "NOTICE"}
    assert not [n for n in names if not n.startswith(("potstill/", "potstill-"))]
    assert installed.wheel.stat().st_size < 60_000_000


def test_source_distribution_carries_all_it_takes(installed) -> None:
    with tarfile.open(installed.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for model in ("default", "small", "tiny"):
        assert {f"src/potstill/embedded/{model}/{name}" for name in BUNDLE} <= names
    assert {"Makefile", "LICENSE", "README.md", "tests/conftest.py", "docs/help.md"} <= names


@pytest.mark.parametrize("model", ["default", "small", "tiny"])
def test_it_answers_from_the_shell(installed, tmp_path: Path, model: str) -> None:
    out = installed.check(
        "potstill",
        "ask",
        "Who defeated the Carolina Panthers?",
        "--context",
        CONTEXT,
        "--model",
        model,
        "--json",
        cwd=tmp_path,
    )
    (answer, *_) = json.loads(out)
    assert answer.keys() == {"answer", "score", "start", "end", "source"}
    assert CONTEXT[answer["start"] : answer["end"]] == answer["answer"]
    assert "Denver Broncos" in answer["answer"]
    assert 0 < answer["score"] <= 1


def test_an_index_takes_both(installed) -> None:
    pytest.importorskip("twine", reason="twine is not installed: the extra test")
    command = [sys.executable, "-m", "twine", "check", "--strict", installed.wheel, installed.sdist]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_recipes_travel_with_it(installed, tmp_path: Path) -> None:
    shown = installed.check("potstill", "recipes", "show", "squad-minilm", cwd=tmp_path)
    assert shown == (ROOT / "src/potstill/recipes/squad-minilm.toml").read_text(encoding="utf-8")
    assert "Passes over the training data" in installed.check(
        "potstill", "recipes", "keys", "squad-minilm", cwd=tmp_path
    )


def test_it_answers_from_standard_input(installed, tmp_path: Path) -> None:
    out = installed.check(
        "python",
        "-m",
        "potstill",
        "ask",
        "Who defeated the Carolina Panthers?",
        "--json",
        cwd=tmp_path,
        stdin=CONTEXT,
    )
    assert "Denver Broncos" in json.loads(out)[0]["answer"]


def test_no_torch_came_along(installed, tmp_path: Path) -> None:
    for heavy in ("torch", "transformers", "lightning_fabric", "scipy"):
        done = installed.run("python", "-c", f"import {heavy}", cwd=tmp_path)
        assert f"No module named '{heavy}'" in done.stderr


def test_version_is_the_one_in_the_file_name(installed, tmp_path: Path) -> None:
    assert (
        installed.check("potstill", "--version", cwd=tmp_path).split()[-1] in installed.wheel.name
    )


def test_an_error_is_one_line_and_status_1(installed, tmp_path: Path) -> None:
    done = installed.run("potstill", "ask", "Who?", "no-such-file.txt", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("potstill: error: ")
    assert "no-such-file.txt" in line


def test_it_adds_at_most_220_mb(installed, tmp_path: Path) -> None:
    """Beside numpy and onnxruntime, with the compiled files that pip writes.

    The two readers are 45 of them, the readers of documents and the index 65, onnx 31.
    """
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(installed.check("python", "-c", code, cwd=tmp_path).strip())
    beside = ("numpy", "onnxruntime", "pip", "setuptools", "pkg_resources", "_distutils_hack")
    size = sum(
        file.stat().st_size
        for file in packages.rglob("*")
        if file.is_file() and not file.relative_to(packages).parts[0].startswith(beside)
    )
    assert 20_000_000 < size <= 220_000_000
