"""The README's figures are those of the records, and of the files that ship."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EMBEDDED = ROOT / "src" / "potstill" / "embedded"
CONTENDERS = {
    "transformers": "transformers' pipeline, float32",
    "onnxruntime": "onnxruntime by hand, int8",
    "openvino on model.onnx": "OpenVINO by hand, float weights in bf16",
    "openvino on nncf.xml": "OpenVINO by hand, int8 by NNCF",
    "potstill": "Potstill `default`, int8",
}


def record(path: str):
    return json.loads((ROOT / "docs" / path).read_text(encoding="utf-8"))


def row(begin: str) -> list[str]:
    """The cells of the table's row that begins so."""
    (line,) = [line for line in README.splitlines() if line.startswith(f"| {begin}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", CONTENDERS)
def test_speed_beside_what_people_know(name):
    figures: list[str] = []
    for processor in ("vnni", "amx"):
        speed = record(f"performance/speed-{processor}.json")
        (model,) = [one for one in speed["rows"] if one["name"] == "minilm-int8"]
        said = model["contenders"][name]
        figures += [f"{said[key]:.1f}" for key in ("ms", "per_second")]
        assert speed["measured"] in README
    mb, *rest = (cell.strip("*") for cell in row(CONTENDERS[name])[1:])
    assert (mb, rest) == (f"{said['mb']:.1f}", figures)


def test_start_and_memory():
    seconds = record("performance/cold_start.json")["seconds"]
    resident = record("performance/memory.json")["resident"]
    text = " ".join(README.split())
    assert (
        f"From shell to answer {seconds['potstill']['median']:.2f} s, the pipeline "
        f"{seconds['transformers']['median']:.2f} s"
    ) in text
    assert (
        f"{resident['potstill']['mb']:.0f} MB of memory, the pipeline "
        f"{resident['transformers']['mb']:.0f}"
    ) in text


def test_node_beside_transformers_js():
    page = (ROOT / "docs" / "node-benchmark.md").read_text(encoding="utf-8")
    ours, theirs = (
        re.search(rf"^\| {name} \| ([\d.]+) ", page, re.MULTILINE)
        for name in ("Potstill, Node", "transformers.js")
    )
    assert ours and theirs
    assert f"In Node a short text takes {ours[1]} ms, transformers.js {theirs[1]}" in README


def test_what_the_readers_refuse_and_keep():
    kept, refused = [], []
    for name in ("default", "small", "tiny"):
        card = " ".join((EMBEDDED / name / "README.md").read_text(encoding="utf-8").split())
        found = re.search(r"([\d.]+)% of the F1 is kept .*? and ([\d.]+)% of the rest", card)
        assert found
        kept.append(round(float(found[1])))
        refused.append(round(float(found[2])))
    said = (
        f"they refuse {refused[0]}, {refused[1]} and {refused[2]}%, and keep {kept[0]}% of the F1"
    )
    assert said in " ".join(README.split())
    assert len(set(kept)) == 1


@pytest.mark.parametrize(
    ("name", "results"),
    [("default", "09-embedded"), ("small", "11-small"), ("tiny", "13-tiny")],
)
def test_the_embedded_readers(name, results):
    said = record(f"results/{results}.json")
    scores = said["scores"]["int8"]
    file = EMBEDDED / name / "onnx" / "model_quantized.onnx"
    assert file.stat().st_size == said["bytes"]["int8"]
    _, mb, exact, f1, _ = row(f"`{name}`")
    assert mb == f"{file.stat().st_size / 1e6:.1f}"
    assert (exact, f1) == (f"{scores['exact']:.1f}", f"{scores['f1']:.1f}")
    manifest = json.loads((EMBEDDED / name / "potstill.json").read_text(encoding="utf-8"))
    assert manifest["scores"]["f1"] == pytest.approx(scores["f1"], abs=0.01)
