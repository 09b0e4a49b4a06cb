"""The light border: without torch the package imports, answers, exports and prints its help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.cli import VERBS

BLOCK = """
import sys

HEAVY = {
    "torch", "transformers", "lightning", "lightning_fabric", "tensorflow", "tensorboard",
    "pyarrow", "ray",
}

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY:
            raise ModuleNotFoundError(f"{name} lies beyond the light border", name=name)

sys.meta_path.insert(0, Wall())
"""

LIGHT_ROOMS = (
    "bundle",
    "text",
    "data",
    "documents",
    "runtime",
    "evaluation",
    "retrieval",
    "compression",
    "export",
    "scale",
    "serving",
    "cli",
    "embedded",
)


def run_without_torch(code: str, *args: str) -> str:
    """Standard output of ``code`` in a fresh interpreter that cannot import torch."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCK + code, *args],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wall_stands() -> None:
    code = "\ntry:\n    import torch\nexcept ImportError as error:\n    print(error)"
    assert "beyond the light border" in run_without_torch(code)


def test_every_light_module_imports() -> None:
    code = """
import importlib, pkgutil
import potstill
seen = ["potstill.errors", "potstill.records"]
for room in sys.argv[1:]:
    package = importlib.import_module(f"potstill.{room}")
    seen += [m.name for m in pkgutil.walk_packages(package.__path__, f"potstill.{room}.")]
for name in seen:
    importlib.import_module(name)
print(len(seen))
"""
    assert int(run_without_torch(code, *LIGHT_ROOMS)) > 20


def test_every_verb_prints_its_help() -> None:
    code = """
from potstill.cli import VERBS, main
for words in [[], *([verb] for verb in VERBS)]:
    main([*words, "--help"], prog_name="potstill", standalone_mode=False)
"""
    assert run_without_torch(code).count("Usage: potstill") == 1 + len(VERBS)


def test_it_answers() -> None:
    code = """
import potstill
context = "The Denver Broncos defeated the Carolina Panthers 24–10."
answer = potstill.QAClient.from_options().predict("Who defeated the Carolina Panthers?", context)
assert context[answer.start:answer.end] == answer.text
print(answer.text)
"""
    assert "Denver Broncos" in run_without_torch(code)


def test_every_task_answers(tmp_path: Path) -> None:
    """Each verb and pipeline, from a folder that still has to be exported."""
    folders = [
        tiny.write_model(tmp_path / "classification", head="classification", labels=("a", "b")),
        tiny.write_model(tmp_path / "tagging", head="tagging", labels=("O", "B-X", "I-X")),
        tiny.write_model(tmp_path / "choice", head="choice"),
        tiny.write_model(tmp_path / "mlm", head="mlm"),
    ]
    write_manifest(folders[-1], Manifest(task="masked-lm"))
    code = """
import os
os.environ["POTSTILL_CACHE"] = sys.argv[5]
import potstill
from potstill.cli import main
for folder, words in zip(
    sys.argv[1:5],
    (["classify", "the king"], ["tag", "the king"], ["choose", "the king", "won.", "lost."],
     ["fill", "the [MASK]"]),
):
    main([*words, "--model", folder, "--json"], standalone_mode=False)
tasks = ("text-classification", "token-classification", "multiple-choice", "fill-mask")
for folder, task in zip(sys.argv[1:5], tasks):
    potstill.pipeline(task, folder)
    main(["export", folder, folder + "-out", "--format", "int8"], standalone_mode=False)
print("done")
"""
    said = run_without_torch(code, *map(str, folders), str(tmp_path / "cache"))
    assert said.endswith("done\n")


def test_it_builds_the_server_app() -> None:
    code = """
from potstill.serving.app import create_app
from potstill.serving.options import ServeOptions
from potstill.serving.service import Service
print(len(create_app(Service(ServeOptions())).api.openapi()["paths"]))
"""
    assert int(run_without_torch(code)) > 15


def test_it_exports(tmp_path: Path) -> None:
    code = """
from potstill.cli import main
main(["export", "default", sys.argv[1], "--format", "onnx"], standalone_mode=False)
"""
    run_without_torch(code, str(tmp_path / "out"))
    assert (tmp_path / "out" / "onnx" / "model.onnx").stat().st_size > 1_000_000


def test_what_needs_torch_says_how_to_get_it() -> None:
    code = """
import potstill
try:
    potstill.BertForQuestionAnswering
except potstill.errors.MissingExtraError as error:
    print(error)
"""
    assert "pip install 'potstill[train]'" in run_without_torch(code)


@pytest.mark.parametrize("module", ["potstill", "potstill.cli"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    libraries = "numpy onnx onnxruntime tokenizers safetensors huggingface_hub rich bm25s torch"
    code = f"""
import sys, time
began = time.process_time()  # of this process: a busy machine must not decide
import {module}
seconds = time.process_time() - began
assert seconds < 0.15, seconds
print(*sorted(set({libraries.split()!r}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
