"""How quick answers are: potstill, transformers' pipeline, and runtimes used by hand.

    python benchmarks/speed.py [DATA] [--quick] [--json] [--record FILE]

DATA is a file of questions with gold answers (SQuAD JSON and others); without it `QUESTIONS` are
asked, which are as long as SQuAD's. transformers, and onnxruntime and openvino by hand, run in the
environment that `peers` makes; `--optimum-python` is one with optimum. A: one question at a time.
B: many at once. All contenders of a row read the same weights, are asked the same questions in
turns, and time their own calls; starting and loading are left out. Ratios are those of medians, to
transformers in the same run, with the quartiles of the pairs' ratios.

The MiniLM row is the embedded reader. `--bert-tiny` names a trained folder; without it, and for
DistilBERT's shape always, weights are made: their rows say how quick, and nothing of answers.

The exit status is 1 where a row falls short of `TARGETS` or `BY_HAND`, which know processors by the
engine's kernel for them; ``POTSTILL_KERNEL`` makes a better processor a lesser one for all of it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import contenders as field
from compare import summary
from contenders import POTSTILL, TRANSFORMERS, Contender
from made import exported, made_model
from peers import add_peer, peer_python
from records import add_options, finish, verdict

from potstill import load_qa
from potstill.evaluation.qa import score_each
from potstill.records import QAExample
from potstill.runtime.native_session import is_installed, kernels

TARGETS = {
    "distilbert-int8": {"amx": (8.0, 14.0), "avx512vnni": (5.0, 6.0), "avx2": (2.5, 3.5)},
    "distilbert": {"avx2": (2.5, 3.2)},
    "minilm-int8": {"amx": (8.0, 14.0), "avx512vnni": (5.0, 6.0), "avx2": (2.5, 3.5)},
    "bert-tiny": {"avx2": (6.0, 6.0)},
}
"""Row → kernel → least ratio to transformers, one at a time and in throughput: 2 threads."""
QUESTIONS = Path(__file__).with_name("questions.json")
"""43 questions of our own, about ten paragraphs of 115 to 144 words."""
BY_HAND = {
    "distilbert-int8": {"amx": (2.2, 3.0), "avx512vnni": (1.2, 1.5), "avx2": (1.4, 1.4)},
    "distilbert": {"avx2": (0.97, 0.97)},
    "minilm-int8": {"amx": (2.2, 3.0), "avx512vnni": (1.2, 1.5), "avx2": (1.4, 1.4)},
    "bert-tiny": {"avx2": (2.0, 2.0)},
}
"""Row → kernel → least ratios to the best runtime used by hand on the same model."""
OLD_WAY = {"amx": (14.0, 20.0), "avx512vnni": (10.0, 12.0), "avx2": (5.0, 6.0)}
"""Kernel → least ratios of the embedded reader to DistilBERT's shape in transformers."""


def of_this_processor(by_kernel: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """What holds for the best kernel that this processor has, and that a table knows."""
    found = kernels() if is_installed() else []
    named = os.environ.get("POTSTILL_KERNEL")
    here = [name for name in ([named] if named else found) if name in by_kernel]
    return by_kernel[here[0] if here else "avx2"]


@dataclass(frozen=True, slots=True)
class Row:
    """One model, and who races over it."""

    name: str
    folder: Path
    precision: str
    trained: bool
    model: str | None = None
    """What potstill reads, where it is not ``folder``."""

    @property
    def file(self) -> Path:
        """The ONNX file that all read but transformers."""
        name = {"fp32": "model.onnx", "int8": "model_quantized.onnx"}[self.precision]
        return self.folder / "onnx" / name


def rows(wanted: Sequence[str], bert_tiny: Path | None, folder: Path) -> list[Row]:
    """The rows that were asked for, their models exported."""
    found: list[Row] = []
    if any(name.startswith("distilbert") for name in wanted):
        made = made_model("distilbert", folder / "distilbert-made")
        shape = exported(made, folder / "distilbert")
        found += [
            Row("distilbert-int8", shape, "int8", trained=False),
            Row("distilbert", shape, "fp32", trained=False),
        ]
    if "minilm-int8" in wanted:
        reader = exported("default", folder / "minilm")
        found.append(Row("minilm-int8", reader, "int8", trained=True, model="default"))
    if "bert-tiny" in wanted:
        source = bert_tiny or made_model("bert-tiny", folder / "tiny-made")
        tiny = exported(source, folder / "bert-tiny")
        found.append(Row("bert-tiny", tiny, "int8", trained=bert_tiny is not None))
    return [row for row in found if row.name in wanted]


def race(row: Row, racers: Sequence[Contender], asked: Sequence[QAExample], rounds: int) -> dict:
    """Times of all contenders of a row, and what they answered."""
    workers = {one.name: one.start() for one in racers}
    try:
        items = [{"question": e.question, "context": e.context} for e in asked]
        for worker in workers.values():
            for item in items[:3]:
                worker.ask(item)
            worker.ask({"items": items[:8]})
        one: dict[str, list[float]] = {name: [] for name in workers}
        answers: dict[str, list[str]] = {name: [] for name in workers}
        for number, item in enumerate(items):
            for name in _turns(workers, number):
                found = workers[name].ask(item)
                one[name].append(found["seconds"])
                answers[name] += found["answers"]
        many: dict[str, list[float]] = {name: [] for name in workers}
        for number in range(rounds):
            for name in _turns(workers, number):
                many[name].append(workers[name].ask({"items": items})["seconds"])
        opened = {}
        if POTSTILL in workers:
            (told,) = workers[POTSTILL].ask({"question": "?", "context": ""})["answers"]
            opened = json.loads(told)
    finally:
        for worker in workers.values():
            worker.close()
    return _judged(row, racers, asked, one, many, answers, opened)


def _turns(names: Any, number: int) -> list[str]:
    """Who goes first alternates, so that what slows the machine slows all."""
    return list(names) if number % 2 else list(names)[::-1]


def _judged(
    row: Row,
    racers: Sequence[Contender],
    asked: Sequence[QAExample],
    one: dict[str, list[float]],
    many: dict[str, list[float]],
    answers: dict[str, list[str]],
    opened: dict[str, Any],
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for racer in racers:
        name = racer.name
        per_second = [len(asked) / seconds for seconds in many[name]]
        found[name] = {
            "mb": racer.megabytes,
            "ms": 1000 * statistics.median(one[name]),
            "per_second": statistics.median(per_second),
        }
        if row.trained:
            found[name] |= _quality(asked, answers[name], answers.get(TRANSFORMERS))
        if TRANSFORMERS in one and name != TRANSFORMERS:
            found[name]["ratio_one"] = summary(one, fast=name)["ratio"]
            found[name]["ratio_many"] = summary(many, fast=name)["ratio"]
    hands = [racer.name for racer in racers if racer.name not in (TRANSFORMERS, POTSTILL)]
    return {
        "name": row.name,
        "precision": row.precision,
        "trained": row.trained,
        "opened": opened,
        "contenders": found,
        "to_best_by_hand": _to_best(found, hands),
        "targets": of_this_processor(TARGETS[row.name]),
        "checks": _checks(row.name, found, hands),
    }


def _quality(
    asked: Sequence[QAExample], own: list[str], theirs: list[str] | None
) -> dict[str, float]:
    predictions = {e.id: text for e, text in zip(asked, own, strict=True)}
    _, f1s = score_each(asked, predictions, no_answer=False)
    found = {"f1": 100 * statistics.fmean(f1s.values())}
    if theirs is not None:
        found["same"] = statistics.fmean(a == b for a, b in zip(own, theirs, strict=True))
    return found


def _to_best(found: dict[str, Any], hands: list[str]) -> dict[str, float] | None:
    if not hands or POTSTILL not in found:
        return None
    ours = found[POTSTILL]
    return {
        "one": min(found[name]["ms"] for name in hands) / ours["ms"],
        "many": ours["per_second"] / max(found[name]["per_second"] for name in hands),
    }


def _checks(name: str, found: dict[str, Any], hands: list[str]) -> dict[str, bool | None]:
    """What was reached; ``None`` where whom it is measured by did not race."""
    ours = found.get(POTSTILL, {})
    checks: dict[str, bool | None] = {}
    for way, least in zip(("one", "many"), of_this_processor(TARGETS[name]), strict=True):
        ratio = ours.get(f"ratio_{way}")
        checks[f"{way} ≥ {least}"] = None if ratio is None else ratio["of_medians"] >= least
    best = _to_best(found, hands)
    for way, least in zip(("one", "many"), of_this_processor(BY_HAND[name]), strict=True):
        passed = None if best is None else best[way] >= least
        checks[f"{way} ≥ {least} of the best by hand"] = passed
    return checks


def old_way(found: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The embedded reader against DistilBERT's shape in transformers, measured in the same run."""
    by_name = {row["name"]: row["contenders"] for row in found}
    old = by_name.get("distilbert", by_name.get("distilbert-int8", {})).get(TRANSFORMERS)
    new = by_name.get("minilm-int8", {}).get(POTSTILL)
    if old is None or new is None:
        return None
    one, many = old["ms"] / new["ms"], new["per_second"] / old["per_second"]
    least = of_this_processor(OLD_WAY)
    checks = {f"one ≥ {least[0]}": one >= least[0], f"many ≥ {least[1]}": many >= least[1]}
    return {"one": one, "many": many, "f1": new.get("f1"), "checks": checks}


def _report(row: dict[str, Any]) -> None:
    trained = "" if row["trained"] else ", made weights: for speed only"
    print(f"\n{row['name']} ({row['precision']}{trained})")
    print(f"{'':24}{'ms':>9}{'ratio':>8}{'a second':>10}{'ratio':>8}{'F1':>8}{'same':>8}{'MB':>9}")
    for name, one in row["contenders"].items():
        ratios = [one.get(f"ratio_{way}", {}).get("of_medians") for way in ("one", "many")]
        print(
            f"{name:24}{one['ms']:9.1f}{_number(ratios[0], '8.2f')}{one['per_second']:10.1f}"
            f"{_number(ratios[1], '8.2f')}{_number(one.get('f1'), '8.2f')}"
            f"{_number(one.get('same'), '8.1%')}{_number(one['mb'], '9.1f')}"
        )
    for name, passed in row["checks"].items():
        print(f"  {'not measured' if passed is None else 'yes' if passed else 'NO'}: {name}")


def _number(value: float | None, form: str) -> str:
    width = int(form.partition(".")[0])
    return f"{'–':>{width}}" if value is None else f"{value:{form}}"


def parsed(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", default=QUESTIONS)
    add_peer(parser)
    parser.add_argument("--optimum-python", help="python with optimum and onnxruntime")
    parser.add_argument(
        "--hand-python", help="python with onnxruntime, openvino and tokenizers (the peer's)"
    )
    parser.add_argument("--by-hand", nargs="*", default=["onnxruntime", "openvino"])
    parser.add_argument(
        "--extra",
        action="append",
        default=[],
        metavar="ROW=KIND:FILE",
        help="a further file by hand, such as minilm-int8=openvino:nncf.xml",
    )
    parser.add_argument("--bert-tiny", type=Path, help="a trained BERT-Tiny's folder")
    parser.add_argument("--models", type=Path, help="folder to keep exported models in")
    parser.add_argument("--rows", nargs="*", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--runtime", default="auto", help="of potstill")
    parser.add_argument("-n", type=int, default=300, help="questions")
    parser.add_argument("--rounds", type=int, default=5, help="of throughput")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="25 questions, 2 rounds")
    add_options(parser)
    arguments = parser.parse_args(words)
    if arguments.quick:
        arguments.n, arguments.rounds = 25, 2
    return arguments


def main() -> int:
    """Measures, prints and records."""
    arguments = parsed()
    examples = load_qa(arguments.data).examples
    chosen = random.Random(arguments.seed)
    asked = chosen.sample(examples, min(arguments.n, len(examples)))
    peer = peer_python(arguments.peer_python)
    hand = arguments.hand_python or peer or sys.executable
    pythons = {POTSTILL: sys.executable, **dict.fromkeys(arguments.by_hand, hand)}
    if peer:
        pythons = {TRANSFORMERS: peer, **pythons}
    if arguments.optimum_python:
        pythons["optimum"] = arguments.optimum_python
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for row in rows(arguments.rows, arguments.bert_tiny, arguments.models or Path(scratch)):
            racers = field.contenders(
                row.folder,
                row.file,
                pythons=pythons,
                threads=arguments.threads,
                runtime=arguments.runtime,
                precision="" if row.model else row.precision,
                model=row.model,
                extra=[*_floats(row), *_extra(arguments.extra, row.name)],
            )
            found.append(race(row, racers, asked, arguments.rounds))
            if not arguments.json:
                _report(found[-1])
    versus = old_way(found)
    checks = {f"{row['name']}: {k}": v for row in found for k, v in row["checks"].items()}
    if versus is not None:
        checks |= {f"the 2020 way: {k}": v for k, v in versus["checks"].items()}
        if not arguments.json:
            print(f"\nthe embedded reader against the 2020 way: {versus}")
    shown = {
        "data": arguments.data.name,
        "questions": len(asked),
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "seed": arguments.seed,
        "rows": found,
        "old_way": versus,
    }
    finish("speed", shown, arguments)
    return verdict(checks)


def _floats(row: Row) -> list[tuple[str, Path]]:
    """OpenVINO's best on an int8 model: its float weights, in bf16 where the processor has that."""
    return [("openvino", row.folder / "onnx" / "model.onnx")] if row.precision == "int8" else []


def _extra(words: Sequence[str], row: str) -> list[tuple[str, Path]]:
    """``ROW=KIND:FILE`` of this row."""
    found: list[tuple[str, Path]] = []
    for word in words:
        name, _, what = word.partition("=")
        kind, _, file = what.partition(":")
        if name == row:
            found.append((kind, Path(file)))
    return found


if __name__ == "__main__":
    sys.exit(main())
