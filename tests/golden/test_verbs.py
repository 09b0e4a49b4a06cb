"""What every verb prints for tiny models is what it printed before: `verbs.json`, to 1e-4.

``POTSTILL_GOLDEN=write pytest tests/golden`` writes the file anew, where a change is meant.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import labelled
import tiny
from potstill.bundle.atomic import write_json
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.cli import main
from potstill.serving.options import ServeOptions
from running import Running, question

FILE = Path(__file__).parent / "verbs.json"
CONTEXT = tiny.SENTENCES[0][0] + " " + tiny.SENTENCES[1][0]
TAGGED = "Denver\tB-team\nBroncos\tI-team\nwon\tO\n\nParis\tB-place\nis\tO\nlarge\tO\n"
CHOICES = (
    "prompt,choice0,choice1,label\nThe king,won the game.,built a tower.,1\n"
    "The queen,lost.,wrote a book.,1\nThe team,won the game.,is red.,0\n"
)
TINY = ("threads=1", "precision=fp32", "max_steps=2", "seq_len=64", "log_steps=1")


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("golden")
    two, tags = ("other", labelled.RED), ("O", "B-team", "I-team", "B-place")
    made = {
        "reader": tiny.write_model(root / "reader"),
        "classifier": tiny.write_model(root / "classifier", head="classification", labels=two),
        "several": tiny.write_model(
            root / "several",
            head="classification",
            labels=(labelled.RED, labelled.KING),
            problem="multi-label",
        ),
        "tagger": tiny.write_model(root / "tagger", "distilbert", head="tagging", labels=tags),
        "chooser": tiny.write_model(root / "chooser", "electra", head="choice"),
        "filler": tiny.write_model(root / "filler", "roberta", head="mlm"),
        "bare": tiny.write_model(root / "bare", head=None),
    }
    write_manifest(made["filler"], Manifest(task="masked-lm", seq_len=64))
    tiny.write_squad(root / "squad.json")
    labelled.write_single(root / "single.csv", 24)
    labelled.write_several(root / "several.csv", 24)
    tiny.write_corpus(root / "corpus.txt")
    (root / "tags.conll").write_text(TAGGED, encoding="utf-8")
    (root / "choices.csv").write_text(CHOICES, encoding="utf-8")
    return {**made, "root": root}


def cases(folders: dict[str, Path]) -> dict[str, list[Any]]:
    """Name → words of the command; a `Path` is a folder or file of the test."""
    root = folders["root"]
    reader, tagger, chooser = (folders[name] for name in ("reader", "tagger", "chooser"))
    classifier, several, filler = (folders[name] for name in ("classifier", "several", "filler"))
    several_labels = ["--label", labelled.RED, "--label", labelled.KING]
    found: dict[str, list[Any]] = {
        "ask": ["ask", "Who won the game?", "--context", CONTEXT, "--model", reader, "--top-k", 3],
        "ask no answer": ["ask", "Who?", "--context", CONTEXT, "--model", reader, "--no-answer"],
        "classify": ["classify", "the red king", "old town", "--model", classifier],
        "classify pair": ["classify", "the red king", "--pair", "a queen", "--model", classifier],
        "classify several": ["classify", "the red king", "--model", several],
        "tag": ["tag", CONTEXT, "--model", tagger],
        "tag none": ["tag", CONTEXT, "--model", tagger, "--aggregation", "none"],
        "tag words": ["tag", "Denver Broncos won", "--words", "--model", tagger],
        "choose": ["choose", "The king", "won the game.", "built a tower.", "--model", chooser],
        "fill": ["fill", "The <mask> won the <mask>.", "--model", filler, "--top-k", 2],
        "fill targets": ["fill", "The <mask>", "--model", filler, "--target", "a", "--target", "t"],
        "eval questions": ["eval", reader, root / "squad.json", "--calibration"],
        "eval texts": ["eval", classifier, root / "single.csv"],
        "eval several": ["eval", several, root / "several.csv", *several_labels],
        "eval tags": ["eval", tagger, root / "tags.conll", "--train", root / "tags.conll"],
        "eval choices": ["eval", chooser, root / "choices.csv", "--train", root / "choices.csv"],
        "info questions": ["info", root / "squad.json", "--model", reader],
        "info texts": ["info", root / "single.csv", "--task", "text-classification"],
        "info tags": ["info", root / "tags.conll", "--task", "token-classification"],
        "info choices": ["info", root / "choices.csv", "--task", "multiple-choice"],
    }
    for name in ("reader", "several", "tagger", "chooser", "filler"):
        found[f"info {name}"] = ["info", folders[name]]
        found[f"bench {name}"] = ["bench", folders[name], "--seconds", 0]
    gates = {
        "reader": "squad.json",
        "classifier": "single.csv",
        "tagger": "tags.conll",
        "chooser": "choices.csv",
        "filler": "corpus.txt",
    }
    for name, data in gates.items():
        out = root / f"exported-{name}"
        gate = ["--gate", root / data, "--max-drop", 100]
        found[f"export {name}"] = [
            "export",
            folders[name],
            out,
            "--format",
            "onnx",
            "--format",
            "int8",
            *gate,
        ]
    bare, teacher = f"base={folders['bare']}", f"cache={root / 'cache'}"
    trained = {
        "question-answering": ("squad.json", ()),
        "text-classification": ("single.csv", ()),
        "token-classification": ("tags.conll", ()),
        "multiple-choice": ("choices.csv", ()),
        "masked-lm": ("corpus.txt", ("holdout=0.2",)),
    }
    for task, (data, more) in trained.items():
        recipe = root / f"{task}.toml"
        recipe.write_text(f'task = "{task}"\n' if task != "question-answering" else "")
        key = "corpus" if task == "masked-lm" else "train"
        dev = () if task == "masked-lm" else (f"dev={root / data}",)
        out = f"out={root / f'tuned-{task}'}"
        keys = (out, f"{key}={root / data}", *dev, *more, *TINY)
        found[f"finetune {task}"] = ["finetune", recipe, bare, *keys]
        if task == "masked-lm":
            keys = (*keys, f"teacher={root / f'tuned-{task}'}")
        base = f"base={root / f'tuned-{task}'}"
        keys = (f"out={root / f'small-{task}'}", *keys[1:], "n_layers=1")
        found[f"distil {task}"] = ["distil", recipe, base, *keys, teacher]
    return found


LEFT_OUT = (
    "seconds", "file", "files", "path", "weights", "sha256", "size_mb", "folder", "model", "base",
    "tools", "hardware", "resident_mb", "texts_per_second", "tokens_per_second", "p50_ms", "p99_ms",
    "n", "workers", "threads", "cores", "out", "date", "processor", "abilities", "versions",
)  # fmt: skip
"""Keys whose values are those of a machine or a moment."""

OF_A_MACHINE = ("kB", "MB", "CPU", "potstill ", "onnx", "value:")
"""Signs of lines of a card that differ between machines."""


def plain(value: Any) -> Any:
    """A value without what differs between machines."""
    if isinstance(value, dict):
        return {key: plain(own) for key, own in value.items() if key not in LEFT_OUT}
    if isinstance(value, list):
        return [plain(own) for own in value]
    if isinstance(value, str) and os.sep in value:
        return Path(value).name
    return value


def said(words: list[Any]) -> Any:
    """What a command prints, as JSON where it has that."""
    is_export = words[0] == "export"
    done = CliRunner().invoke(main, [*map(str, words), *([] if is_export else ["--json"])])
    assert done.exit_code == 0, done.output
    if not is_export:
        return plain(json.loads(done.stdout))
    manifest = json.loads((words[2] / "potstill.json").read_text(encoding="utf-8"))
    card = (words[2] / "README.md").read_text(encoding="utf-8").splitlines()
    return {
        "task": manifest["task"],
        "scores": [plain(record["info"].get("scores")) for record in manifest["files"].values()],
        "card": [line for line in card if not any(sign in line for sign in OF_A_MACHINE)],
    }


def served(folders: dict[str, Path]) -> dict[str, Any]:
    """What the server answers."""
    models = {name: str(folders[name]) for name in ("reader", "classifier", "several", "tagger")}
    calls = {
        "reader": question("Who won the game?", CONTEXT, top_k=2),
        "classifier": {"inputs": ["the red king", {"text": "old", "text_pair": "new"}]},
        "several": {"inputs": "the red king", "parameters": {"top_k": 1}},
        "tagger": {"inputs": CONTEXT},
    }
    found: dict[str, Any] = {}
    with Running(ServeOptions(models=models, workers=1)) as running:
        for name, call in calls.items():
            status, _, body = running.ask("/predict", {**call, "model": name})
            assert status == 200, body
            found[f"serve {name}"] = body
        found["serve info"] = plain(running.ask("/info")[2]["models"])
    return found


def close(found: Any, expected: Any, where: str) -> None:
    """Compares two values: numbers to 1e-4 (of int8 to 0.05), all else exactly."""
    if isinstance(expected, dict):
        assert isinstance(found, dict) and list(found) == list(expected), where
        for key, own in expected.items():
            close(found[key], own, f"{where}.{key}")
    elif isinstance(expected, list):
        assert isinstance(found, list) and len(found) == len(expected), where
        for number, own in enumerate(expected):
            close(found[number], own, f"{where}.{number}")
    elif isinstance(expected, float):
        allowed = 0.05 if where.startswith("export") else 1e-4
        assert found == pytest.approx(expected, rel=1e-4, abs=allowed), where
    else:
        assert found == expected, where


def test_every_verb_says_what_it_said(folders, monkeypatch, tmp_path):
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    found = {name: said(words) for name, words in cases(folders).items()}
    found |= served(folders)
    if os.environ.get("POTSTILL_GOLDEN") == "write":
        write_json(FILE, found)
    expected = json.loads(FILE.read_text(encoding="utf-8"))
    assert found.keys() == expected.keys()
    for name, own in expected.items():
        close(found[name], own, name)
