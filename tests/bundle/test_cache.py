from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny
from potstill.bundle.cache import cache_folder, ensure_onnx
from potstill.errors import OutputError, WeightsError
from potstill.runtime.session import OnnxSession


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_is_made_once(tmp_path, cache) -> None:
    folder = tiny.write_model(tmp_path / "model")
    file = ensure_onnx(folder)
    assert cache in file.parents
    OnnxSession(file)
    written = file.stat().st_mtime_ns
    assert ensure_onnx(folder) == file
    assert file.stat().st_mtime_ns == written


def test_other_weights_make_another_file(tmp_path) -> None:
    one = ensure_onnx(tiny.write_model(tmp_path / "one"))
    assert ensure_onnx(tiny.write_model(tmp_path / "copy")) == one
    assert ensure_onnx(tiny.write_model(tmp_path / "two", seed=1)) != one
    assert ensure_onnx(tiny.write_model(tmp_path / "one", seed=2)) != one


def test_the_folders_own_file_is_preferred(tmp_path, cache) -> None:
    folder = tiny.write_model(tmp_path / "model")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model_quantized.onnx").write_bytes(b"")
    assert ensure_onnx(folder) == folder / "onnx" / "model_quantized.onnx"
    assert not cache.exists()


def test_damaged_weights_leave_nothing(tmp_path, cache) -> None:
    folder = tiny.write_model(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"short")
    with pytest.raises(WeightsError):
        ensure_onnx(folder)
    assert not (cache / "onnx").exists()


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch) -> None:
    folder = tiny.write_model(tmp_path / "model")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="set POTSTILL_CACHE"):
        ensure_onnx(folder)


def test_several_processes_at_once(tmp_path, cache) -> None:
    folder = tiny.write_model(tmp_path / "model")
    code = (
        "import sys, pathlib; from potstill.bundle.cache import ensure_onnx;"
        "print(ensure_onnx(pathlib.Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(folder)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate(timeout=120)[0].strip() for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(said) == 1
    assert os.listdir(cache / "onnx") == [Path(said.pop()).name]


def test_where_the_cache_is(monkeypatch) -> None:
    monkeypatch.delenv("POTSTILL_CACHE")
    for platform, variable, value in (
        ("linux", "XDG_CACHE_HOME", "/xdg"),
        ("win32", "LOCALAPPDATA", "/local"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setenv(variable, value)
        assert cache_folder() == Path(value) / "potstill"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == Path.home() / "Library" / "Caches" / "potstill"


def test_answering_from_an_onnx_file_does_not_import_onnx(tmp_path) -> None:
    folder = tiny.write_model(tmp_path / "model")
    code = """
import sys
from potstill.runtime.qa import QAClient
reader = QAClient.from_options(sys.argv[1])
assert reader.predict("who won the game?", "denver won the game in paris.") is not None
print("onnx" in sys.modules, "huggingface_hub" in sys.modules)
"""
    command = [sys.executable, "-c", code, str(folder)]
    for expected in ("True False", "False False"):  # the first run writes the file
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.stdout.strip() == expected, done.stderr
