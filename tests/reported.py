"""Folders of runs as training and evaluation leave them, made in milliseconds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.data.qa import load_qa
from potstill.evaluation.kept import Kept, KeptQuestion, write_kept

RECIPE = {"base": "owner/base", "train": "train.json", "teacher": "teacher"}
COLUMNS = {"coverage": [0.5, 1.0], "risk": [0.1, 0.3], "threshold": [0.8, 0.2]}
ROWS = [
    {"low": 0.2, "high": 0.4, "count": 2, "confidence": 0.3, "accuracy": 0.5},
    {"low": 0.8, "high": 1.0, "count": 2, "confidence": 0.9, "accuracy": 1.0},
]


def run(folder: Path, *, seed: int = 0, recipe: dict | None = None, **shape) -> Path:
    """A finished run, not yet evaluated."""
    tiny.write_model(folder, seed=seed, **shape)
    lines = [{"step": n, "loss": 4 / n} for n in range(1, 30)]
    lines += [{"step": n, "f1": 50.0 + n, "exact": 40.0, "total": 4} for n in (10, 20)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "commands.jsonl").write_text(
        json.dumps({"date": "2026-01-01", "command": f"potstill distil r.toml seed={seed}"}) + "\n"
    )
    manifest = Manifest(
        name=folder.name,
        recipe={**(RECIPE if recipe is None else recipe), "seed": seed},
        data={"train": "train.json", "examples": 4},
        hardware={"device": "a processor", "training_seconds": 7200},
        scores={"f1": 70.0, "exact": 60.0, "total": 4, "data": "its own"},
    )
    write_manifest(folder, manifest)
    return folder


def evaluation(*, f1: float = 70.0, ms: float = 10.0, **more) -> Kept:
    """An evaluation of the questions of `tiny.write_squad`."""
    found = Kept(
        task="question-answering",
        data="dev.json",
        sha256="ab" * 32,
        scores={"exact": f1 - 10, "f1": f1, "total": 4, "ece": 0.1},
        milliseconds={
            "median": ms, "q1": 0.9 * ms, "q3": 1.1 * ms, "p99": 2 * ms, "n": 4, "threads": 1,
        },
        curve={"risk_coverage": COLUMNS, "reliability": ROWS},
        questions=[KeptQuestion("q0-0", "Denver Broncos", 9, 0.9, 1.0, 1.0),
                   KeptQuestion("q0-1", "built a tower", 22, 0.8, 0.0, 0.5),
                   KeptQuestion("q0-2", "", -1, 0.7, 0.0, 0.0)],
        hardware={"processor": "a processor", "cores": 2},
        date="2026-01-02",
        command="potstill eval RUN dev.json --keep",
    )  # fmt: skip
    return replace(found, **more)


def evaluated(folder: Path, *, f1: float = 70.0, ms: float = 10.0, **shape) -> Path:
    """A finished run with an evaluation."""
    write_kept(run(folder, **shape) / "evaluations", evaluation(f1=f1, ms=ms))
    return folder


def examples(path: Path) -> dict:
    """The questions that the evaluations are of."""
    return {one.id: one for one in load_qa(tiny.write_squad(path)).examples}
