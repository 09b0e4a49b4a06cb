"""The article's benchmark: short and long texts through Node, Python, and what else is there.

    python benchmarks/node.py MODEL DATA [-n 100] [--threads 2] [--also MODEL]
        [--transformers-js FOLDER] [--exports FOLDER] [--write]

MODEL is a folder with an ONNX file, or ``default``; DATA is SQuAD JSON. Short texts have 500 to
1,000 characters and are contexts of the data; long ones have 4,000 to 5,000, whole paragraphs of
one article with the question's own among them. Every system runs in a process of its own and is
asked each question in turns, timing its own call:

- Potstill in Node and in Python, on MODEL's file, and in Node on that of ``--also``;
- transformers 4.57.6's pipeline, in the environment that `peers` makes, on made weights of the
  DistilBERT shape, which cost as much time as trained ones and answer nothing, and on the float32
  weights of ``--exports``;
- transformers.js (``--transformers-js``, a folder in which it was installed) on MODEL's file;
- the article's way (``--exports``, what ``potstill export MODEL FOLDER --format all`` wrote): a
  SavedModel in Node, every window padded to 384.

A system that is not given is left out, and that is said. ``--quick`` asks 3 of each. ``--write``
writes the table and the chart of docs/node-benchmark.md.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ask import CODE
from compare import PEER, summary
from made import made_model
from peers import add_peer, peer_python
from worker import Worker

from potstill.bundle.find import find_model
from potstill.bundle.layout import WEIGHTS
from potstill.data.files import read_json
from potstill.evaluation.qa import f1
from potstill.runtime import machine

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "node-benchmark.md"
CHART = ROOT / "docs" / "node-benchmark.svg"
_BEGIN, _END = "<!-- table -->", "<!-- /table -->"
LENGTHS = {"short": (500, 1000), "long": (4000, 5000)}
"""Kind of text → its characters."""
OURS = "Potstill, Node"
DISTILBERT = "transformers 4.57.6, DistilBERT shape"
"""Of made weights: it has a time and no F1."""
PYTHON = """
import json, sys, time
from potstill import QAClient
client = QAClient.from_options(sys.argv[1], threads=int(sys.argv[2]))
print("ready", flush=True)
for line in sys.stdin:
    item = json.loads(line)
    began = time.perf_counter()
    answer = client.predict(item["question"], item["context"])
    took = time.perf_counter() - began
    print(json.dumps({"seconds": took, "answer": answer and answer.text}), flush=True)
"""

Item = dict[str, Any]
Rows = dict[str, dict[str, Any]]
"""System → what was measured of it."""


def texts(data: Path, kind: str, n: int) -> list[Item]:
    """Questions about texts of one kind, with their gold answers."""
    low, high = LENGTHS[kind]
    articles = read_json(data)["data"]
    found = [item for article in articles for item in _of_article(article, low, high)]
    return random.Random(0).sample(found, min(n, len(found)))


def _of_article(article: dict[str, Any], low: int, high: int) -> Iterator[Item]:
    paragraphs = article["paragraphs"]
    for first, paragraph in enumerate(paragraphs):
        parts = [paragraph["context"]]
        for following in paragraphs[first + 1 :]:
            if sum(map(len, parts)) + len(parts) >= low:
                break
            parts.append(following["context"])
        # The text that holds the answer stands in the middle of a long one.
        context = "\n".join(
            [*parts[1 : len(parts) // 2 + 1], parts[0], *parts[len(parts) // 2 + 1 :]]
        )
        if low <= len(context) <= high:
            for question in paragraph["qas"][:1]:
                gold = [answer["text"] for answer in question["answers"]]
                yield {"question": question["question"], "context": context, "gold": gold}


def systems(arguments: argparse.Namespace, model: Path, scratch: Path) -> dict[str, Worker]:
    """What is there, by name; the rest is named on standard error."""
    node = shutil.which("node")
    if node is None:
        sys.exit("there is no Node: install version 20 or newer")
    here, threads = ROOT / "benchmarks", str(arguments.threads)
    script = str(here / "node_worker.mjs")
    exports: Path | None = arguments.exports
    found = {
        OURS: Worker(node, script, str(model), "", threads, flag=None),
        "Potstill, Python": Worker(sys.executable, PYTHON, str(model), threads),
    }
    if arguments.also:
        also = find_model(arguments.also)
        name = f"{OURS}, {also.name}"
        found[name] = Worker(node, script, str(also), "", threads, flag=None)
    if arguments.transformers_js:
        other = str(here / "transformers_js_worker.mjs")
        packages = str(arguments.transformers_js)
        found["transformers.js"] = Worker(node, other, packages, str(model), threads, flag=None)
    else:
        _left_out("transformers.js: give --transformers-js")
    if arguments.peer_python:
        if exports and (exports / WEIGHTS).is_file():
            name = "transformers 4.57.6, float32"
            found[name] = Worker(arguments.peer_python, CODE[PEER], str(exports), threads)
        made = made_model("distilbert", scratch / "distilbert")
        found[DISTILBERT] = Worker(arguments.peer_python, CODE[PEER], str(made), threads)
    else:
        _left_out("transformers: --peer-python none")
    if exports and (exports / "savedmodel" / "saved_model.pb").is_file():
        name = "the article's way, SavedModel in Node"
        found[name] = Worker(node, script, str(exports), "saved_model", threads, flag=None)
    else:
        _left_out("the article's way: give --exports with a SavedModel")
    return found


def _left_out(what: str) -> None:
    print(f"left out: {what}", file=sys.stderr)


def measure(workers: dict[str, Worker], asked: list[Item]) -> Rows:
    """Milliseconds, F1 and ratio of each system; who comes first changes with every question."""
    times: dict[str, list[float]] = {name: [] for name in workers}
    right: dict[str, list[float]] = {name: [] for name in workers}
    names = list(workers)
    for number, item in enumerate([asked[0], *asked]):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            said = workers[name].ask({"question": item["question"], "context": item["context"]})
            if number == 0:  # asked once before: the first calls allocate
                continue
            answer = said["answer"]
            text = answer["text"] if isinstance(answer, dict) else answer or ""
            times[name].append(said["seconds"])
            right[name].append(max(f1(text, gold) for gold in item["gold"]))
    rows: Rows = {}
    for name in names:
        found = summary(times, slow=name, fast=OURS)
        rows[name] = {
            "n": len(times[name]),
            **{key: 1000 * found[name][key] for key in ("median", "q1", "q3")},
            "ratio": found["ratio"],
            "f1": None if name == DISTILBERT else 100 * sum(right[name]) / len(right[name]),
        }
    return rows


def table(results: dict[str, Rows], threads: int) -> str:
    """Medians and quartiles in Markdown."""
    lines: list[str] = []
    for kind, rows in results.items():
        low, high = LENGTHS[kind]
        n = rows[OURS]["n"]
        lines += [
            f"{kind.capitalize()} texts, {low:,} to {high:,} characters, {n} questions:",
            "",
            f"| system | ms, median (quartiles) | times that of {OURS} (quartiles of pairs) | F1 |",
            "| --- | --- | --- | --- |",
        ]
        for name, row in rows.items():
            ms = f"{row['median']:.1f} ({row['q1']:.1f} to {row['q3']:.1f})"
            pairs = row["ratio"]
            ratio = f"{pairs['of_medians']:.2f} ({pairs['q1']:.2f} to {pairs['q3']:.2f})"
            right = "made weights" if row["f1"] is None else f"{row['f1']:.1f}"
            lines.append(f"| {name} | {ms} | {ratio} | {right} |")
        lines.append("")
    where = f"{machine.processor()}, {machine.usable_cores()} cores, {threads} threads, one run."
    return "\n".join([*lines, where])


def chart(results: dict[str, Rows]) -> str:
    """Bars of the medians, as SVG; each kind of text has a scale of its own."""
    parts: list[str] = []
    y = 30
    for kind, rows in results.items():
        low, high = LENGTHS[kind]
        longest = max(row["median"] for row in rows.values())
        title = f"{kind} texts, {low:,} to {high:,} characters: ms a question"
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{title}</text>')
        for name, row in rows.items():
            y += 26
            width = 360 * row["median"] / longest
            colour = "#0072b2" if name.startswith("Potstill") else "#999999"
            parts.append(f'<text x="280" y="{y}" text-anchor="end">{escape(name)}</text>')
            parts.append(
                f'<rect x="290" y="{y - 13}" width="{width:.1f}" height="17" fill="{colour}"/>'
            )
            parts.append(f'<text x="{296 + width:.1f}" y="{y}">{row["median"]:.0f}</text>')
        y += 44
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {y - 24}" '
        f'font-family="sans-serif" font-size="13">\n'
        f'<rect width="720" height="{y - 24}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def main() -> None:
    """Measures, prints, and writes where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=100, help="texts of each kind")
    parser.add_argument("--threads", type=int, default=2)
    add_peer(parser)
    parser.add_argument("--also", metavar="MODEL", help="another model, in Node")
    parser.add_argument("--transformers-js", type=Path, help="folder it was installed in")
    parser.add_argument("--exports", type=Path, help="what potstill export wrote")
    parser.add_argument("--quick", action="store_true", help="3 texts of each kind")
    parser.add_argument("--write", action="store_true", help="write docs/node-benchmark")
    arguments = parser.parse_args()
    arguments.peer_python = peer_python(arguments.peer_python)
    n = 3 if arguments.quick else arguments.n
    with tempfile.TemporaryDirectory() as scratch:
        workers = systems(arguments, find_model(arguments.model), Path(scratch))
        results = {kind: measure(workers, texts(arguments.data, kind, n)) for kind in LENGTHS}
        for worker in workers.values():
            worker.close()
    text = table(results, arguments.threads)
    print(text)
    if arguments.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(_BEGIN)
        after = rest.split(_END)[1]
        PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")
        CHART.write_text(chart(results), encoding="utf-8")


if __name__ == "__main__":
    main()
