"""The same questions to Python, Node and a page: the same answers at the same places?

    python benchmarks/parity.py MODEL DATA [-n 1000] [--exports FOLDER] [--write]

MODEL is a model folder or ``default``; DATA a file of questions (SQuAD JSON and others). A random
choice of its questions, and the hostile set of scripts/write_js_fixtures.py (emoji, CJK, combining
marks, right-to-left, a context of 5,000 words, no answer), go to Python first, then to each other
system that is there: Node (onnxruntime-node) and a page in headless Chromium run the same file.

FOLDER is what ``potstill export MODEL FOLDER --format all`` wrote. The answers of Python with its
float32 ONNX file are what its other float32 files are held to: ONNX and TensorFlow.js in Node, the
SavedModel in Node (tfjs-node, built as docs/javascript.md says and linked into
clients/js/node_modules/@tensorflow) and in TensorFlow's own Python, TFLite in LiteRT's.

What is missing is named. ``--write`` puts the table into docs/parity.md; ``--quick`` asks 20
questions. ``--only NAME`` asks the systems with that in name and weights, ``--part 2/4`` the second
quarter of the questions (the hostile ones are in the first), and ``--keep FILE`` adds what they
said to what earlier runs left in FILE, so that the work can be done in pieces. Exit status 1 where
an ONNX system answers otherwise than Python, or another one for more than a tie, or with a score
that is further off than `TOLERANCE`.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from worker import Worker

from potstill import QAClient, load_qa
from potstill.bundle.atomic import write_json
from potstill.bundle.find import find_model
from potstill.bundle.layout import ONNX
from potstill.data.files import read_json
from potstill.export.targets import TARGETS
from potstill.records import Answer
from potstill.runtime.native_session import is_installed

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "parity.md"
_BEGIN, _END = "<!-- table -->", "<!-- /table -->"
_OPTIONS = {
    "topK": "top_k",
    "maxAnswerLength": "max_answer_tokens",
    "noAnswer": "no_answer",
    "alignToWords": "align_to_words",
}

TOLERANCE = 1e-3
"""Most that the score of a system that computes otherwise may differ, between 0 and 1."""

Item = dict[str, Any]
Ask = Callable[[Item], Any]


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
    precision: str
    """Of the weights: which answers of Python it is held to."""
    exact: bool
    """Whether any other answer is a fault: it runs the same file in the same library."""
    asked: int = 0
    other: list[float] = field(default_factory=list)
    """Of each question answered otherwise, or elsewhere: by how much the best scores differ."""
    apart: float = 0.0
    """Largest difference of a score, where the answers agree."""

    def take(self, said: Any, wanted: list[dict[str, Any]]) -> bool:
        """Counts one question; whether the answer is the same."""
        found = [answer for answer in (said if isinstance(said, list) else [said]) if answer]
        self.asked += 1
        keys = ("text", "start", "end")
        if [[a[k] for k in keys] for a in found] != [[a[k] for k in keys] for a in wanted]:
            best = [rows[0]["score"] if rows else 0.0 for rows in (found, wanted)]
            self.other.append(abs(best[0] - best[1]))
            return False
        for one, other in zip(found, wanted, strict=True):
            self.apart = max(self.apart, abs(one["score"] - other["score"]))
        return True

    def add(self, more: Row) -> None:
        """Takes in what the same system did with other questions."""
        self.asked += more.asked
        self.other += more.other
        self.apart = max(self.apart, more.apart)

    @property
    def kept(self) -> bool:
        """Whether it does what was promised: a tie may fall either way where sums differ."""
        if self.exact:
            return not self.other
        return self.apart <= TOLERANCE and all(off <= TOLERANCE for off in self.other)


@dataclass(frozen=True, slots=True)
class System:
    """Something that answers questions."""

    name: str
    precision: str
    exact: bool
    open: Callable[[ExitStack], Ask]
    runtime: str = "onnxruntime"
    """Of the Python that it is held to."""


def node_systems(model: Path, exports: Path | None, threads: int) -> list[System]:
    """The JavaScript package's runtimes that are there; the others are named."""
    node = shutil.which("node") or sys.exit("there is no Node: install version 20 or newer")
    script = str(ROOT / "benchmarks" / "node_worker.mjs")

    def system(name: str, folder: Path, runtime: str, precision: str = "fp32") -> System:
        words = (str(folder), runtime, str(threads))
        return _worker(name, precision, runtime == "onnx", node, script, *words)

    def engine(name: str, program: str, *words: str, kernel: str = "") -> System:
        environment = {"POTSTILL_KERNEL": kernel} if kernel else {}
        found = _worker(name, "int8", True, node, program, *words, environment=environment)
        return replace(found, runtime="native")

    own = QAClient.from_options(model).session.file  # type: ignore[attr-defined]
    precision = "int8" if "quantized" in own.name else "fp32"
    in_engine = precision == "int8" and is_installed()
    found = [system("Node, onnxruntime-node", model, "onnx", precision)]
    if in_engine:
        words = (script, str(model), "native", str(threads))
        found.append(engine("Node, the engine", *words))
        found.append(engine("Node, the engine in WebAssembly", *words, kernel="wasm"))
    else:
        _left_out("the engine, which runs int8 files where it is installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium:
        page = str(ROOT / "benchmarks" / "page_worker.mjs")
        name = "page in Chromium, onnxruntime-web"
        by_web = (chromium, '{"runtime": "onnx"}')
        found.append(_worker(name, precision, True, node, page, str(model), *by_web))
        if in_engine:
            found.append(engine("page in Chromium, the engine", page, str(model), chromium))
        if exports is not None and exports != model and (exports / ONNX).is_file():
            found.append(_worker(name, "fp32", True, node, page, str(exports), *by_web))
    else:
        _left_out("the page, for there is no Chromium")
    for name, runtime, file in (
        ("Node, onnxruntime-node", "onnx", ONNX),
        ("Node, TensorFlow.js (wasm)", "tfjs", TARGETS["tfjs"].file),
        ("Node, SavedModel (tfjs-node)", "saved_model", TARGETS["savedmodel"].file),
    ):
        if exports is None or not (exports / file).is_file():
            _left_out(f"{name}, for there is no {file}: give --exports")
        elif runtime == "saved_model" and not has_tfjs_node():
            _left_out(f"{name}, see docs/javascript.md to build it")
        elif exports != model:
            found.append(system(name, exports, runtime))
    return found


def _worker(
    name: str,
    precision: str,
    exact: bool,
    program: str,
    *words: str,
    environment: dict[str, str] | None = None,
) -> System:
    def opened(stack: ExitStack) -> Ask:
        worker = stack.enter_context(Worker(program, *words, flag=None, environment=environment))
        return lambda item: worker.ask(item)["answer"]

    return System(name, precision, exact, opened)


def python_systems(exports: Path | None) -> list[System]:
    """TensorFlow's and LiteRT's own Python, where they are installed."""
    found: list[System] = []
    for name, form in (
        ("Python, SavedModel (TensorFlow)", "savedmodel"),
        ("Python, TFLite (LiteRT)", "litert"),
    ):
        target = TARGETS[form]
        if exports is None or not (exports / target.file).is_file():
            _left_out(f"{name}, for there is no {target.file}: give --exports")
        elif target.runtime.missing:
            _left_out(f"{name}, for there is no {target.runtime.missing}")
        else:
            found.append(System(name, "fp32", False, _session(exports, form)))
    return found


def _session(exports: Path, form: str) -> Callable[[ExitStack], Ask]:
    def opened(stack: ExitStack) -> Ask:
        client = QAClient.from_options(exports, precision="fp32", threads=1)
        target = TARGETS[form]
        client.session = target.runtime.sessions[0](exports / target.file, "qa")
        return lambda item: python_answers(client, item)

    return opened


def _left_out(what: str) -> None:
    print(f"left out: {what}", file=sys.stderr)


def has_tfjs_node() -> bool:
    """Whether the binding of tfjs-node was built where the JavaScript package finds it."""
    package = ROOT / "clients" / "js" / "node_modules" / "@tensorflow" / "tfjs-node"
    return any(package.glob("lib/napi-v*/tfjs_binding.node"))


def table(rows: list[Row], hostile: int) -> str:
    """The comparison in Markdown."""
    lines = [
        f"Questions drawn from SQuAD's development set, and the {hostile} hostile ones, against "
        "Python on a file of the same precision: the engine to the engine, others to onnxruntime.",
        "",
        "| system | weights | asked | other answer or place | largest difference of a score |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {row.system} | {row.precision} | {row.asked:,} | {len(row.other)} "
            f"| {row.apart:.1e} |"
            for row in rows
        ),
    ]
    ties = [off for row in rows for off in row.other]
    if ties:
        lines += ["", f"Where the answer is another, the best scores differ by {max(ties):.1e} at "
                  "most."]  # fmt: skip
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
    parser.add_argument(
        "--only",
        metavar="NAME",
        default="",
        help="systems with this in 'NAME, WEIGHTS'",
    )
    parser.add_argument(
        "--part", metavar="I/N", default="1/1", help="one part of N of the questions"
    )
    parser.add_argument("--keep", type=Path, metavar="FILE", help="JSON of rows, to be added to")
    parser.add_argument("--write", action="store_true", help="put the table into docs/parity.md")
    arguments = parser.parse_args()
    folder = find_model(arguments.model)
    plain, hostile = items(arguments.data, 20 if arguments.quick else arguments.n)
    part, parts = map(int, arguments.part.split("/"))
    asked = plain[part - 1 :: parts] + (hostile if part == 1 else [])
    systems = node_systems(folder, arguments.exports, arguments.threads)
    systems += python_systems(arguments.exports)
    wanted: dict[tuple[str, str], list[list[dict[str, Any]]]] = {}
    earlier = read_json(arguments.keep) if arguments.keep and arguments.keep.is_file() else []
    rows = {(one["system"], one["precision"]): Row(**one) for one in earlier}
    for system in (one for one in systems if arguments.only in f"{one.name}, {one.precision}"):
        told = (system.precision, system.runtime)
        if told not in wanted:
            of = folder if system.precision == systems[0].precision else arguments.exports
            own: Any = {"precision": system.precision, "runtime": system.runtime}
            client = QAClient.from_options(of, **own, threads=arguments.threads)
            wanted[told] = [python_answers(client, item) for item in asked]
        row = Row(system.name, system.precision, system.exact)
        with ExitStack() as stack:
            ask = system.open(stack)
            for item, expected in zip(asked, wanted[told], strict=True):
                if not row.take(ask(item), expected):
                    print(f"  otherwise: {item['question']}", file=sys.stderr)
        print(f"{row.system}, {row.precision}: {len(row.other)} other", file=sys.stderr)
        rows.setdefault((row.system, row.precision), replace(row, asked=0, other=[])).add(row)
    if arguments.keep:
        write_json(arguments.keep, [asdict(row) for row in rows.values()])
    text = table(list(rows.values()), len(hostile))
    print(text)
    if arguments.write:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(_BEGIN)
        after = rest.split(_END)[1]
        PAGE.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")
    sys.exit(0 if all(row.kept for row in rows.values()) else 1)


if __name__ == "__main__":
    main()
