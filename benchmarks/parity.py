"""The same questions to Python, Node and a page: the same answers at the same places?

    python benchmarks/parity.py MODEL DATA [-n 1000] [--exports FOLDER] [--write]

MODEL is a model folder or ``default``; DATA a file of questions (SQuAD JSON and others). A random
choice of its questions, and the hostile set of scripts/write_js_fixtures.py (emoji, CJK, combining
marks, right-to-left, a context of 5,000 words, no answer), go to Python first, then to each other
system that is there: Node (onnxruntime-node), a page in headless Chromium, and, where FOLDER holds
what ``potstill export`` wrote, TensorFlow.js and a SavedModel in Node. What is missing is named.
``--write`` puts the table into docs/parity.md; ``--quick`` asks 20 questions. Exit status 1 where
an ONNX system answers otherwise than Python.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker import Worker

from potstill import QAClient, load_qa
from potstill.bundle.layout import find_model
from potstill.records import Answer

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "parity.md"
_BEGIN, _END = "<!-- table -->", "<!-- /table -->"
_OPTIONS = {
    "topK": "top_k",
    "maxAnswerLength": "max_answer_tokens",
    "noAnswer": "no_answer",
    "alignToWords": "align_to_words",
}

Item = dict[str, Any]


def items(data: Path, n: int) -> tuple[list[Item], list[Item]]:
    """A random choice of a file's questions, and the hostile ones."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from write_js_fixtures import ASKED

    examples = load_qa(data).examples
    chosen = random.Random(0).sample(examples, min(n, len(examples)))
    plain = [{"question": e.question, "context": e.context, "options": {}} for e in chosen]
    hostile = [{"question": q, "context": c, "options": o} for q, c, o in ASKED]
    return plain, hostile


def python_answers(client: QAClient, item: Item) -> list[dict[str, Any]]:
    """Answers with their places in UTF-16 units."""
    options = {_OPTIONS[name]: value for name, value in item["options"].items()}
    said = client.predict(item["question"], item["context"], **options)
    found = said if isinstance(said, list) else [said]
    return [_row(answer, item["context"]) for answer in found if answer is not None]


def _row(answer: Answer, context: str | list[str]) -> dict[str, Any]:
    text = context[answer.source] if isinstance(context, list) else context
    start, end = (_units(text[:at]) for at in (answer.start, answer.end))
    return {"text": answer.text, "score": answer.score, "start": start, "end": end}


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(slots=True)
class Row:
    """What a system did in comparison with Python."""

    system: str
    exact: bool
    """Whether any other answer is a fault: it runs the same file."""
    asked: int = 0
    other: int = 0
    """Questions answered otherwise, or elsewhere."""
    apart: float = 0.0
    """Largest difference of a score, where the answers agree."""

    def take(self, said: Any, wanted: list[dict[str, Any]]) -> None:
        """Counts one question."""
        found = [answer for answer in (said if isinstance(said, list) else [said]) if answer]
        self.asked += 1
        keys = ("text", "start", "end")
        if [[a[k] for k in keys] for a in found] != [[a[k] for k in keys] for a in wanted]:
            self.other += 1
            return
        for one, other in zip(found, wanted, strict=True):
            self.apart = max(self.apart, abs(one["score"] - other["score"]))


def workers(model: Path, exports: Path | None, threads: int) -> dict[str, Worker]:
    """The systems that are there, by name; the others are named on standard error."""
    script = str(ROOT / "benchmarks" / "node_worker.mjs")
    found: dict[str, Worker] = {}
    node = shutil.which("node")
    if node is None:
        sys.exit("there is no Node: install version 20 or newer")
    found["Node, onnxruntime-node"] = Worker(
        node, script, str(model), "onnx", str(threads), flag=None
    )
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium:
        page = str(ROOT / "benchmarks" / "page_worker.mjs")
        found["page in Chromium, onnxruntime-web"] = Worker(
            node, page, str(model), chromium, flag=None
        )
    else:
        print("left out: the page, for there is no Chromium", file=sys.stderr)
    for name, runtime, file in (
        ("Node, TensorFlow.js (wasm)", "tfjs", "tfjs/model.json"),
        ("Node, SavedModel (tfjs-node)", "saved_model", "savedmodel/saved_model.pb"),
    ):
        if exports is None or not (exports / file).is_file():
            print(f"left out: {name}, for there is no {file}", file=sys.stderr)
        elif runtime == "saved_model" and not _has_tfjs_node():
            print(f"left out: {name}, see docs/javascript.md to build it", file=sys.stderr)
        else:
            found[name] = Worker(node, script, str(exports), runtime, str(threads), flag=None)
    return found


def _has_tfjs_node() -> bool:
    package = ROOT / "clients" / "js" / "node_modules" / "@tensorflow" / "tfjs-node"
    return any(package.glob("lib/napi-v*/tfjs_binding.node"))


def table(rows: list[Row], n: int, hostile: int) -> str:
    """The comparison in Markdown."""
    lines = [
        f"{n} questions of SQuAD's development set and {hostile} hostile ones, against Python.",
        "",
        "| system | asked | other answer or place | largest difference of a score |",
        "| --- | --- | --- | --- |",
        *(f"| {row.system} | {row.asked} | {row.other} | {row.apart:.1e} |" for row in rows),
    ]
    return "\n".join(lines)


def main() -> None:
    """Asks, prints, and writes where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=1000, help="questions")
    parser.add_argument("--exports", type=Path, help="what potstill export wrote for this model")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="20 questions")
    parser.add_argument("--write", action="store_true", help="put the table into docs/parity.md")
    arguments = parser.parse_args()
    folder = find_model(arguments.model)
    plain, hostile = items(arguments.data, 20 if arguments.quick else arguments.n)
    asked = plain + hostile
    client = QAClient.from_options(folder, threads=arguments.threads)
    wanted = [python_answers(client, item) for item in asked]
    systems = workers(folder, arguments.exports, arguments.threads)
    rows: list[Row] = []
    for name, worker in systems.items():
        row = Row(name, "onnxruntime" in name)
        with worker:
            for item, expected in zip(asked, wanted, strict=True):
                row.take(worker.ask(item)["answer"], expected)
        rows.append(row)
    text = table(rows, len(plain), len(hostile))
    print(text)
    if arguments.write:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(_BEGIN)
        after = rest.split(_END)[1]
        PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")
    sys.exit(1 if any(row.exact and row.other for row in rows) else 0)


if __name__ == "__main__":
    main()
