"""The article's benchmark: short and long texts through Node, Python, and what else is there.

    python benchmarks/node.py MODEL DATA [-n 100] [--threads 2] [--peer-python PEER/bin/python]
        [--float-model FOLDER] [--transformers-js FOLDER] [--exports FOLDER] [--write]

MODEL is a folder with an ONNX file, or ``default``; DATA is SQuAD JSON. Short texts have 500 to
1,000 characters and are contexts of the data; long ones have 4,000 to 5,000, whole paragraphs of
one article with the question's own among them. Every system runs in a process of its own and is
asked each question in turns, timing its own call:

- Potstill in Node and in Python, on MODEL's file;
- transformers 4.57.6's pipeline (``--peer-python``) on ``--float-model``, a Hugging Face folder of
  the DistilBERT shape, or on MODEL where it has weights;
- transformers.js (``--transformers-js``, a folder in which it was installed) on MODEL's file;
- the article's way (``--exports``): a SavedModel in Node, every window padded to 384.

A system that is not given is left out, and that is said. ``--quick`` asks 3 of each. ``--write``
writes the table and the chart of docs/node-benchmark.md.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ask import CODE
from compare import PEER
from worker import Worker

from potstill.bundle.layout import WEIGHTS, find_model
from potstill.evaluation.qa import f1

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "node-benchmark.md"
CHART = ROOT / "docs" / "node-benchmark.svg"
_BEGIN, _END = "<!-- table -->", "<!-- /table -->"
LENGTHS = {"short": (500, 1000), "long": (4000, 5000)}
"""Kind of text → its characters."""
OURS = "Potstill, Node"
_PYTHON = """
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


def texts(data: Path, kind: str, n: int) -> list[Item]:
    """Questions about texts of one kind, with their gold answers."""
    low, high = LENGTHS[kind]
    articles = json.loads(data.read_text(encoding="utf-8"))["data"]
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


def systems(arguments: argparse.Namespace, model: Path) -> dict[str, Worker]:
    """What is there, by name; the rest is named on standard error."""
    node = shutil.which("node")
    if node is None:
        sys.exit("there is no Node: install version 20 or newer")
    here, threads = ROOT / "benchmarks", str(arguments.threads)
    script = str(here / "node_worker.mjs")
    found = {
        OURS: Worker(node, script, str(model), "onnx", threads, flag=None),
        "Potstill, Python": Worker(sys.executable, _PYTHON, str(model), threads),
    }
    weights = arguments.float_model or (model if (model / WEIGHTS).is_file() else None)
    if arguments.peer_python and weights:
        name = "transformers 4.57.6, Python"
        found[name] = Worker(arguments.peer_python, CODE[PEER], str(weights), threads)
    else:
        _left_out("transformers: give --peer-python, and --float-model")
    if arguments.transformers_js:
        other = str(here / "transformers_js_worker.mjs")
        packages = str(arguments.transformers_js)
        found["transformers.js"] = Worker(node, other, packages, str(model), threads, flag=None)
    else:
        _left_out("transformers.js: give --transformers-js")
    saved = arguments.exports and arguments.exports / "savedmodel" / "saved_model.pb"
    if saved and saved.is_file():
        name = "the article's way, SavedModel in Node"
        found[name] = Worker(
            node, script, str(arguments.exports), "saved_model", threads, flag=None
        )
    else:
        _left_out("the article's way: give --exports with a SavedModel")
    return found


def _left_out(what: str) -> None:
    print(f"left out: {what}", file=sys.stderr)


def measure(workers: dict[str, Worker], asked: list[Item]) -> dict[str, dict[str, float]]:
    """Median milliseconds and F1 of each system; who comes first changes with every question."""
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
            times[name].append(said["seconds"] * 1000)
            right[name].append(max(f1(text, gold) for gold in item["gold"]))
    return {
        name: {"ms": statistics.median(times[name]), "f1": 100 * statistics.fmean(right[name])}
        for name in names
    }


def table(results: dict[str, dict[str, dict[str, float]]], threads: int, n: int) -> str:
    """The medians in Markdown."""
    lines = [
        f"Median milliseconds of a question, {threads} threads, {n} texts of each kind, one run.",
        "",
        "| system | short texts | F1 | long texts | F1 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in results["short"]:
        cells = [f"{results[k][name]['ms']:.1f} | {results[k][name]['f1']:.1f}" for k in LENGTHS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def chart(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Bars of the medians, as SVG."""
    longest = max(row["ms"] for kind in results.values() for row in kind.values())
    parts: list[str] = []
    y = 30
    for kind, rows in results.items():
        low, high = LENGTHS[kind]
        title = f"{kind} texts, {low:,} to {high:,} characters: ms a question"
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{title}</text>')
        for name, row in rows.items():
            y += 26
            width = 380 * row["ms"] / longest
            colour = "#0072b2" if name.startswith("Potstill") else "#999999"
            parts.append(f'<text x="260" y="{y}" text-anchor="end">{escape(name)}</text>')
            parts.append(
                f'<rect x="270" y="{y - 13}" width="{width:.1f}" height="17" fill="{colour}"/>'
            )
            parts.append(f'<text x="{276 + width:.1f}" y="{y}">{row["ms"]:.0f}</text>')
        y += 44
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {y}" '
        f'font-family="sans-serif" font-size="13">\n{body}\n</svg>\n'
    )


def main() -> None:
    """Measures, prints, and writes where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=100, help="texts of each kind")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peer-python", help="python of an environment with transformers 4.57.6")
    parser.add_argument("--float-model", type=Path, help="Hugging Face folder for transformers")
    parser.add_argument("--transformers-js", type=Path, help="folder it was installed in")
    parser.add_argument("--exports", type=Path, help="what potstill export wrote")
    parser.add_argument("--quick", action="store_true", help="3 texts of each kind")
    parser.add_argument("--write", action="store_true", help="write docs/node-benchmark")
    arguments = parser.parse_args()
    workers = systems(arguments, find_model(arguments.model))
    n = 3 if arguments.quick else arguments.n
    results = {kind: measure(workers, texts(arguments.data, kind, n)) for kind in LENGTHS}
    for worker in workers.values():
        worker.close()
    text = table(results, arguments.threads, n)
    print(text)
    if arguments.write:
        before, rest = PAGE.read_text(encoding="utf-8").split(_BEGIN)
        after = rest.split(_END)[1]
        PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")
        CHART.write_text(chart(results), encoding="utf-8")


if __name__ == "__main__":
    main()
