"""Damaged files of every kind, put to what reads them: an error that is not ours is a fault.

``make fuzz FUZZ_S=3600`` runs it for an hour, ``tests/walls/test_fuzz_limits.py`` for seconds. A
case comes from a seed, which is printed where a reader fails: ``python tests/fuzzing.py --seed N``
runs that one alone.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tiny
from potstill.errors import PotstillError

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 10**7, 10**30, -(10**30), 0.5, 1e308, -0.0, float("nan"),
    float("inf"), "", " ", "x", "0", "1e-12", "\0", "\ud800", "\u0301" * 50, "[", "(?:", "a" * 5000,
    [], [None], [[]], [1, "a"], {}, {"": {}}, {"a": [{}]}, {"content": 1}, {"0": None},
]  # fmt: skip
BYTES = [b"", b"\0", b"\xff\xfe", b"{", b"[[", b"\x80", b"\xef\xbb\xbf", b"NaN", b'"', b"\r", b"\t"]


def mutated(value: Any, draw: random.Random) -> Any:
    """A JSON value with one place changed, taken away, doubled or filled with something odd."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        found = dict(value)
        key = draw.choice(list(found))
        kind = draw.random()
        if kind < 0.15:
            del found[key]
        elif kind < 0.25:
            found[draw.choice([*found, "", "x"])] = found[key]
        elif kind < 0.6:
            found[key] = draw.choice(ODD)
        else:
            found[key] = mutated(found[key], draw)
        return found
    if isinstance(value, list) and value and draw.random() < 0.85:
        found = list(value)
        at = draw.randrange(len(found))
        kind = draw.random()
        if kind < 0.2:
            del found[at]
        elif kind < 0.3:
            found.insert(at, draw.choice(ODD))
        elif kind < 0.5:
            found[at] = draw.choice(ODD)
        else:
            found[at] = mutated(found[at], draw)
        return found
    return draw.choice(ODD)


def damaged(data: bytes, draw: random.Random) -> bytes:
    """Bytes with a few of them flipped, cut, doubled or replaced."""
    found = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 5])):
        at = draw.randrange(len(found) + 1)
        kind = draw.random()
        if kind < 0.35 and at < len(found):
            found[at] = draw.randrange(256)
        elif kind < 0.5:
            del found[at : at + draw.choice([1, 4, 64, len(found)])]
        elif kind < 0.65:
            found[at:at] = draw.choice(BYTES)
        elif kind < 0.8:
            found[at:at] = found[at : at + draw.choice([1, 8, 200])]
        else:
            found[at : at + 8] = draw.randrange(2**64).to_bytes(8, "little")
    return bytes(found)


def change(file: Path, draw: random.Random) -> None:
    """Damages a file: as JSON where it is some, else, and now and then anyway, by its bytes."""
    data = file.read_bytes()
    if file.suffix in (".json", ".jsonl") and draw.random() < 0.8:
        try:
            lines = data.decode().splitlines() if file.suffix == ".jsonl" else [data.decode()]
            at = draw.randrange(len(lines))
            value = json.loads(lines[at])
            for _ in range(draw.choice([1, 1, 2, 3])):
                value = mutated(value, draw)
            lines[at] = json.dumps(value)
            file.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
            return
        except ValueError:
            pass
    file.write_bytes(damaged(data, draw))


class Model:
    """The files of a model folder, and all that opens one."""

    def __init__(self, root: Path, model_type: str) -> None:
        from potstill.export.bundle import export_bundle

        self.source = root / model_type
        export_bundle(
            tiny.write_model(root / f"{model_type}-hf", model_type), self.source, ["int8"]
        )
        self.folder = root / "model"

    def __call__(self, draw: random.Random) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.source, self.folder)
        files = sorted(f for f in self.folder.rglob("*") if f.is_file() and f.suffix != ".md")
        for _ in range(draw.choice([1, 1, 2])):
            change(draw.choice(files), draw)
        if draw.random() < 0.3:
            draw.choice(files).unlink(missing_ok=True)
        self.open(draw)

    def open(self, draw: random.Random) -> None:
        from potstill.bundle.config import read_config
        from potstill.bundle.manifest import head_of_folder, read_manifest
        from potstill.bundle.weights import read_weights
        from potstill.evaluation.describe import describe_model
        from potstill.export.verify import check_bundle
        from potstill.runtime.qa import QAClient
        from potstill.text.tokenizer import Tokenizer

        folder = self.folder
        readers: list[Callable[[], Any]] = [
            lambda: head_of_folder(folder, read_config(folder)),
            lambda: read_manifest(folder),
            lambda: Tokenizer.from_folder(folder).encode("Who won the game in 1066?"),
            lambda: read_weights(folder, read_config(folder)),
            lambda: describe_model(folder),
            lambda: check_bundle(folder),
            lambda: QAClient.from_options(folder, threads=1).predict("Who won?", "Denver won it."),
        ]
        for reader in draw.sample(readers, 3):
            try:
                reader()
            except PotstillError as error:
                assert "\n" not in str(error), f"an error of several lines: {error}"


class Data:
    """A data file of a task, and what reads it."""

    def __init__(self, root: Path, name: str, text: str, read: Callable[[Path], Any]) -> None:
        self.data, self.file, self.read = text.encode(), root / name, read

    def __call__(self, draw: random.Random) -> None:
        self.file.write_bytes(self.data)
        for _ in range(draw.choice([1, 1, 2])):
            change(self.file, draw)
        try:
            self.read(self.file)
        except PotstillError as error:
            assert "\n" not in str(error), f"an error of several lines: {error}"


def targets(root: Path) -> list[Callable[[random.Random], None]]:
    """Everything that reads files of strangers."""
    from potstill.data.choice import load_choices
    from potstill.data.classification import TextLayout, load_texts
    from potstill.data.qa import load_qa
    from potstill.data.tagging import TagLayout, load_tags

    row = {
        "question": "Who?",
        "context": "Ida did.",
        "answers": [{"text": "Ida", "answer_start": 0}],
    }
    squad = {"version": "v2.0", "data": [{"paragraphs": [{"context": "Ida did.", "qas": [
        {**row, "id": "a", "is_impossible": False}]}]}]}  # fmt: skip
    flat = {**row, "answers": {"text": ["Ida"], "answer_start": [0]}}
    texts = [{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": ["y"]}]
    tags = {"tokens": ["Ida", "left"], "ner_tags": [1, 0]}
    swag = {"sent1": "a", "sent2": "b", "ending0": "c", "ending1": "d", "label": 1}
    hella = {"ctx_a": "a", "ctx_b": "b", "endings": ["c", "d"], "label": "1"}
    keyed = {"question": "a", "choices": {"text": ["b"], "label": ["A"]}, "answerKey": "A"}
    race = {"article": "a", "question": "b _", "options": ["c", "d"], "answer": "B"}
    published = "\n".join(map(json.dumps, [hella, keyed, race]))
    printed = "question,context,answers\nWho?,Ida did.,\"{'text': ['Ida'], 'answer_start': [0]}\"\n"
    named = TagLayout(labels=("O", "B-x"))
    lines = "\n".join(map(json.dumps, [flat, row]))
    return [
        *(Model(root, kind) for kind in ("bert", "roberta", "distilbert")),
        Data(root, "squad.json", json.dumps(squad), load_qa),
        Data(root, "rows.jsonl", lines, load_qa),
        Data(root, "rows.json", json.dumps([row]), load_qa),
        Data(root, "printed.csv", printed, load_qa),
        Data(root, "texts.jsonl", "\n".join(map(json.dumps, texts)), load_texts),
        Data(root, "texts.csv", "text,label\na,1\nb,0\nc,1\n", load_texts),
        Data(root, "flags.csv", "text,p,q\na,True,0\nb,0,1\n",
             lambda file: load_texts(file, TextLayout(label=("p", "q")))),
        Data(root, "tags.conll", "# id 1\n1\tIda\tB-x\n2\tleft\tO\n\n1\tRome\tB-y\n",
             lambda file: load_tags(file, TagLayout(word="2"))),
        Data(root, "tags.jsonl", json.dumps(tags), lambda file: load_tags(file, named)),
        Data(root, "choices.jsonl", json.dumps(swag), load_choices),
        Data(root, "published.jsonl", published, load_choices),
        Data(root, "choices.csv", "prompt,choice0,choice1,label\np,a,b,1\n", load_choices),
    ]  # fmt: skip


def cases(seed: int) -> Iterator[int]:
    """Seeds of cases, without end."""
    while True:
        yield seed
        seed += 1


def fuzz(seconds: float, seed: int, most: int | None = None) -> tuple[int, list[str]]:
    """Runs cases for a while.

    Returns:
        How many there were, and what went wrong: the seed of each case with its traceback, the
        first of every kind.
    """
    faults: dict[str, str] = {}
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = targets(Path(folder))
        ends, done = time.monotonic() + seconds, 0
        for number in cases(seed):
            if time.monotonic() > ends or (most is not None and done >= most):
                break
            draw = random.Random(number)
            try:
                draw.choice(every)(draw)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is a fault
                place = traceback.extract_tb(error.__traceback__)[-1]
                kind = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
                counts[kind] += 1
                faults.setdefault(kind, f"seed {number}: {traceback.format_exc(limit=-6)}")
            done += 1
    return done, [f"{counts[kind]} times {kind}\n{text}" for kind, text in faults.items()]


def main() -> int:
    """Fuzzes for as long as is asked; 1 where something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=None, help="run this one case alone")
    parser.add_argument("--from", dest="first", type=int, default=0, help="seed of the first case")
    asked = parser.parse_args()
    if asked.seed is not None:
        asked.seconds, asked.first = 60, asked.seed
    done, faults = fuzz(asked.seconds, asked.first, 1 if asked.seed is not None else None)
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    print(f"{done:,} cases, {len(faults)} kinds of fault")  # noqa: T201
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
