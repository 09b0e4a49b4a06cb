"""The C++ and Go programs, built against what pip installed, answer as Python does."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tiny
from logits import expected
from potstill.bundle.config import read_config
from potstill.bundle.weights import read_weights
from potstill.export.bundle import export_bundle
from potstill.text.windows import Batch

NATIVE = Path(__file__).parents[2] / "examples" / "native"
IDS = [2, 9, 17, 3, 21, 30, 8, 3]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None:
        extra = {"tensorflow": "tf"}.get(name, name)
        pytest.skip(f"needs pip install 'potstill[{extra}]'")
    return Path(spec.submodule_search_locations[0])


def tool(name: str) -> str:
    return shutil.which(name) or pytest.skip(f"needs {name}")


def answers_alike(tmp_path: Path, program: Path, file: str, form: str) -> None:
    folder = tiny.write_model(tmp_path / "model", "distilbert")
    export_bundle(folder, tmp_path / "out", [form])
    words = [str(program), str(tmp_path / "out" / file), *map(str, IDS)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found = np.array([line.split() for line in done.stdout.splitlines()], np.float64)
    ids = np.array([IDS])
    rows = Batch(ids, np.ones_like(ids), np.zeros_like(ids))
    config = read_config(folder)
    starts, ends = expected(config, read_weights(folder, config), rows)
    np.testing.assert_allclose(found, np.stack([starts[0], ends[0]], axis=1), atol=1e-4)
    missing = subprocess.run([str(program), "nothing", "1"], capture_output=True, text=True)
    assert missing.returncode == 1 and "nothing" in missing.stderr


def test_openvino(tmp_path) -> None:
    root, program = package("openvino"), tmp_path / "program"
    library = next((root / "libs").glob("libopenvino_c.so.*"))
    linked = [f"-Wl,-rpath,{root / 'libs'}", f"-Wl,-rpath-link,{root / 'libs'}"]
    subprocess.run(
        [tool("g++"), f"-I{root / 'include'}", str(NATIVE / "openvino.cc"), str(library), *linked,
         "-o", str(program)], check=True,
    )  # fmt: skip
    answers_alike(tmp_path, program, "openvino/model.xml", "openvino")


@pytest.mark.parametrize("language", ["c++", "go"])
def test_savedmodel(tmp_path, language) -> None:
    root, program = package("tensorflow"), tmp_path / "program"
    libraries = [str(root / f"libtensorflow_{name}.so.2") for name in ("cc", "framework")]
    linked = [*libraries, f"-Wl,-rpath,{root}"]
    if language == "go":
        flags = {"CGO_CFLAGS": f"-I{root / 'include'}", "CGO_LDFLAGS": " ".join(linked)}
        home = {"GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
        subprocess.run(
            [tool("go"), "build", "-o", str(program), str(NATIVE / "savedmodel.go")],
            env={**os.environ, **flags, **home}, check=True,
        )  # fmt: skip
    else:
        subprocess.run(
            [tool("g++"), f"-I{root / 'include'}", str(NATIVE / "savedmodel.cc"), *linked,
             "-o", str(program)], check=True,
        )  # fmt: skip
    answers_alike(tmp_path, program, "savedmodel", "savedmodel")
