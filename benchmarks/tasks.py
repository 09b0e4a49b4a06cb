"""Every task's table: MiniLM-L6, three taught layers, BERT-Tiny and a plain baseline on real sets.

    python benchmarks/tasks.py DATA OUT --base DIR --tiny DIR [--sets SST-2 RTE …] [--seeds 0 1 2]

DATA is a folder with the published files, in the folders and under the names of ``SETS`` below; OUT
keeps the runs: a benchmark that was stopped goes on where it was when it is started again. BASE is
MiniLM-L6, TINY a BERT-Tiny (published, or a run of the recipe bert-tiny).

For each set, model and seed: the recipe's own run (``potstill finetune`` or ``distil``), its export
as float32 and int8, both scored by ``potstill eval`` through the light runtime. When all models of
a set are there, the int8 files are asked the same texts one at a time, in turns. What was measured
goes to docs/results/tasks/SET.json (``--record``), which ``scripts/write_results.py`` draws on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import write_json
from potstill.bundle.layout import ONNX_FILES
from potstill.bundle.machine import describe_machine
from potstill.bundle.manifest import read_manifest
from potstill.errors import PotstillError

ROOT = Path(__file__).parent.parent
MODELS = ("minilm", "3l", "tiny")
_TIMED = 300
"""Texts that every model of a set is asked, one at a time."""


@dataclass(frozen=True, slots=True)
class TaskSet:
    """One published set: its recipes, its files, its score."""

    recipe: str
    """Beginning of the recipes' names: ``RECIPE-minilm`` and so on."""
    metrics: tuple[str, ...]
    """Scores to show, the main one first."""
    train: str
    dev: str = ""
    """Given to the run; calibration and thresholds are fitted on it. Empty: nothing is fitted."""
    scored: str = ""
    """Scored in the end; empty for what the recipe kept out of ``train``."""
    format: str = ""
    folds: int = 0
    """A run for each fold, in place of seeds."""


def _glue(task: str, *metrics: str, recipe: str = "glue") -> TaskSet:
    train, dev = f"glue/{task}/train.tsv.xz", f"glue/{task}/dev.tsv.xz"
    return TaskSet(recipe, metrics, train, dev, dev, format=task)


_SEVERAL = "roc_auc", "bce", "bce_cross_fitted", "average_precision", "macro_f1_cross_fitted"
SETS = {
    "SST-2": _glue("SST-2", "accuracy", recipe="sst2"),
    "MRPC": _glue("MRPC", "f1", "accuracy"),
    "RTE": _glue("RTE", "accuracy"),
    "CoLA": _glue("CoLA", "matthews"),
    "STS-B": _glue("STS-B", "spearman", "pearson"),
    "GoEmotions": TaskSet(
        "goemotions",
        ("macro_f1", "roc_auc"),
        "goemotions/train.tsv.xz",
        "goemotions/dev.tsv.xz",
        "goemotions/test.tsv.xz",
    ),
    "IMDB": TaskSet("imdb", ("accuracy",), "imdb/train.jsonl.xz", scored="imdb/test.jsonl.xz"),
    "WNUT-17": TaskSet(
        "wnut",
        ("f1",),
        "ner_open/wnut17/train.conll.xz",
        "ner_open/wnut17/dev.conll.xz",
        "ner_open/wnut17/test.conll.xz",
    ),
    "CODAH": TaskSet("codah", ("accuracy",), "multiple_choice/codah_full.tsv.xz", folds=5),
    "Jigsaw": TaskSet("jigsaw", _SEVERAL, "jigsaw/train_rows_00000_19999.csv.xz"),
}
"""Name → set. Jigsaw is the first 20,000 rows of the challenge's training file, split 80/20."""


class Bench:
    """The runs of one set."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name, self.set = name, SETS[name]
        self._options = options
        self._data = Path(options.data)
        self.out = Path(options.out) / name
        self.seeds = list(range(self.set.folds)) or options.seeds
        self.commands: dict[str, list[str]] = {}

    def run(self, models: list[str]) -> dict[str, Any]:
        """Everything that is missing, and then the set's record."""
        scores: dict[str, Any] = {}
        for model in models:
            for seed in self.seeds:
                self._train(model, seed)
                self._export(model, seed)
            scores[model] = [self._score(model, seed) for seed in self.seeds]
        first = read_manifest(self._folder(models[0], self.seeds[0]))
        assert first is not None
        return {
            "set": self.name,
            "task": first.task,
            "metrics": list(self.set.metrics),
            "runs": "folds" if self.set.folds else "seeds",
            "baselines": self._baselines(models[-1]),
            "models": {model: self._row(model, scores[model]) for model in models},
            "milliseconds": self._timed(models),
            "hardware": {k: v for k, v in first.hardware.items() if k != "training_seconds"},
            "timed_on": describe_machine()["processor"],
            "data": {k: v for k, v in first.data.items() if k in ("train", "sha256", "examples")},
        }

    def _folder(self, model: str, seed: int) -> Path:
        return self.out / f"{model}-{seed}"

    def _train(self, model: str, seed: int) -> None:
        folder = self._folder(model, seed)
        teaches = model == "3l"
        recipe = f"{self.set.recipe}-{model}"
        base = {
            "minilm": self._options.base,
            "tiny": self._options.tiny,
            "3l": str(self._folder("minilm", seed)),
        }[model]
        keys = {"base": base, "train": str(self._data / self.set.train), "out": str(folder)}
        if not self.set.folds:
            keys["dev"] = str(self._data / self.set.dev) if self.set.dev else ""
        if self.set.format and self.set.recipe == "glue":
            keys["format"] = self.set.format
        keys["fold" if self.set.folds else "seed"] = str(seed)
        keys |= dict(given.split("=", 1) for given in self._options.set_key)
        verb = "distil" if teaches else "finetune"
        command = ["potstill", verb, recipe, *(f"{k}={v}" for k, v in keys.items())]
        shown = {k: v for k, v in keys.items() if k not in ("base", "train", "dev", "out")}
        self.commands.setdefault(model, []).append(
            f"potstill {verb} {recipe} " + " ".join(f"{k}={v}" for k, v in shown.items())
        )
        if not (folder / "potstill.json").is_file():
            _call([*command, "--resume"])

    def _export(self, model: str, seed: int) -> None:
        source, out = self._folder(model, seed), self._bundle(model, seed)
        if not (out / "potstill.json").is_file():
            formats = ["--format", "onnx", "--format", "int8"]
            _call(["potstill", "export", str(source), str(out), *formats])

    def _bundle(self, model: str, seed: int) -> Path:
        return self.out / f"{model}-{seed}-onnx"

    def _score(self, model: str, seed: int) -> dict[str, Any]:
        """Scores of both files, as ``potstill eval --json`` prints them."""
        return {p: self._eval(model, seed, p) for p in ("fp32", "int8")}

    def _eval(self, model: str, seed: int, precision: str, *more: str) -> dict[str, Any]:
        kept = self.out / f"{model}-{seed}-{precision}{'-train' if more else ''}.json"
        if not kept.is_file():
            data = self._data / (self.set.scored or self.set.train)
            command = ["potstill", "eval", str(self._bundle(model, seed)), str(data), "--json"]
            command += [] if self.set.scored else ["--held-out"]
            printed = _call([*command, "--precision", precision, "--workers", "2", *more])
            write_json(kept, json.loads(printed.splitlines()[-1]))
        return json.loads(kept.read_text(encoding="utf-8"))

    def _baselines(self, model: str) -> dict[str, Any]:
        """Scores of the baselines, means over the folds; the model is only asked in passing."""
        train = str(self._data / self.set.train)
        seeds = self.seeds if self.set.folds else self.seeds[:1]
        every = [self._eval(model, seed, "fp32", "--train", train)["baselines"] for seed in seeds]
        return {
            name: {
                metric: statistics.fmean(one[name][metric] for one in every)
                for metric in self.set.metrics
                if scores.get(metric) is not None
            }
            for name, scores in every[0].items()
        }

    def _row(self, model: str, scores: list[dict[str, Any]]) -> dict[str, Any]:
        bundle = self._bundle(model, self.seeds[0])
        seconds = [
            manifest.hardware.get("training_seconds", 0)
            for seed in self.seeds
            if (manifest := read_manifest(self._folder(model, seed))) is not None
        ]
        return {
            "scores": {
                precision: {
                    metric: [one[precision][metric] for one in scores]
                    for metric in self.set.metrics
                }
                for precision in ("fp32", "int8")
            },
            "bytes": {p: (bundle / ONNX_FILES[p]).stat().st_size for p in ("fp32", "int8")},
            "training_seconds": statistics.fmean(seconds),
            "commands": self.commands[model],
        }

    def _timed(self, models: list[str]) -> dict[str, Any]:
        """Milliseconds of one text, int8, two threads: median and quartiles of each model."""
        asks = {model: self._asker(model) for model in models}
        inputs = self._inputs()
        times: dict[str, list[float]] = {model: [] for model in models}
        for number, one in enumerate([*inputs[:5], *inputs]):
            for model in models if number % 2 else reversed(models):
                began = time.perf_counter()
                asks[model](one)
                if number >= 5:  # the first calls allocate
                    times[model].append(1e3 * (time.perf_counter() - began))
        return {
            model: dict(zip(("q1", "median", "q3"), statistics.quantiles(found, n=4), strict=True))
            | {"n": len(found)}
            for model, found in times.items()
        }

    def _asker(self, model: str) -> Callable[[Any], Any]:
        from potstill import Chooser, Classifier, Tagger

        how: dict[str, Any] = {"precision": "int8", "threads": 2}
        folder = self._bundle(model, self.seeds[0])
        if self.set.folds:
            chooser = Chooser.from_options(folder, **how)
            return lambda one: chooser.choose(one.prompt, one.choices)
        if self.set.recipe == "wnut":
            tagger = Tagger.from_options(folder, **how)
            return lambda one: tagger.tag_words(one.words)
        classifier = Classifier.from_options(folder, **how)
        return lambda one: classifier.classify(one.text, one.pair)

    def _inputs(self) -> list[Any]:
        from potstill.data.choice import load_choices
        from potstill.data.classification import load_texts
        from potstill.data.glue import layout_of
        from potstill.data.tagging import load_tags

        path = self._data / (self.set.scored or self.set.train)
        if self.set.folds:
            return list(load_choices(path))[:_TIMED]
        if self.set.recipe == "wnut":
            return list(load_tags(path).examples)[:_TIMED]
        layout = layout_of(self.set.format or self.set.recipe)
        return load_texts(path, layout).examples[:_TIMED]


def _call(command: list[str]) -> str:
    """Runs this very potstill; what it printed.

    Raises:
        PotstillError: it failed.
    """
    print("$", " ".join(command), file=sys.stderr, flush=True)
    arguments = [sys.executable, "-m", *command]
    found = subprocess.run(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode:
        raise PotstillError(f"{' '.join(command[:3])} failed with status {found.returncode}")
    return found.stdout


def main() -> int:
    """The benchmark's command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--base", required=True, help="MiniLM-L6: a folder or hub id")
    parser.add_argument("--tiny", required=True, help="BERT-Tiny: a folder or hub id")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--set-key", nargs="+", default=[], metavar="KEY=VALUE", help="for every recipe"
    )
    parser.add_argument("--record", type=Path, help="folder for SET.json")
    options = parser.parse_args()
    try:
        for name in options.sets:
            record = Bench(name, options).run(options.models)
            if options.record:
                write_json(options.record / f"{name}.json", record)
            print(json.dumps(record))
    except PotstillError as error:
        print(f"tasks: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
