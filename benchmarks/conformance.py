"""Checks Potstill against published figures: data, tokenizer, windows and scores.

    python benchmarks/conformance.py DATA

DATA is a folder with ``squad/``, ``tokenizer_golden/`` and ``vocab/`` in it. Prints a table of
checks, and exits with status 1 where one fails.

Sources of what is expected: the number of windows is what Hugging Face's question-answering
example makes of SQuAD v1.1 at 384 and 128 with bert-base-uncased; the scores are what the official
evaluation scripts print (``squad/reference/scores.json``); the tokens are those of the reference
BERT tokenizer, as published in huggingface/swift-coreml-transformers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from potstill.data.files import open_text, read_json
from potstill.data.qa import QAData, load_qa
from potstill.errors import PotstillError
from potstill.evaluation.describe import token_counts
from potstill.evaluation.qa import read_predictions, score
from potstill.text.tokenizer import Tokenizer
from potstill.text.windows import split

SHA256 = {
    "squad/train-v1.1.rebuilt.json": (
        "34463dcf79475dbcc465436dd4d203be780cf5ec83a3b8b17956937aac180b2c"
    ),
    "squad/dev-v1.1.rebuilt.json": (
        "3a533afdeff468163927c904c36ab88fa0b88f0a817db0debef5bb5221a3e3b4"
    ),
    "squad/dev-v2.0.rebuilt.json": (
        "e16f76c8449aab043e8510da5ce0526927d95dbdca5f40ef3f05603a878f4f82"
    ),
    "tokenizer_golden/question_tokens.json": (
        "0b5fcca0fc4af8ac28e704d0e6cf80e073837fc541bb0b3e6d5f7b96ac19231e"
    ),
    "tokenizer_golden/tokenized_questions.json": (
        "e930dc72c582f9ad2183ee0c5f34af103184621a45ec4d7eaaef578f5f5fdae1"
    ),
    "vocab/bert-base-uncased-vocab.txt": (
        "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
    ),
}
"""File, packed or not → SHA-256 of its unpacked bytes."""

QUESTIONS = {"train-v1.1": 87_599, "dev-v1.1": 10_570, "dev-v2.0": 11_873}
WINDOWS = {"train-v1.1": 88_524, "dev-v1.1": 10_784}
"""Windows at seq_len 384 and stride 128 with the uncased vocabulary."""

Check = tuple[str, str, str]
"""What is checked, what was expected, what was found."""


def find(data: Path, name: str) -> Path:
    """The file ``name`` under ``data``, packed or not."""
    for suffix in (".xz", ".gz", ""):
        if (path := data / f"{name}{suffix}").is_file():
            return path
    raise PotstillError(
        f"{data} has no {name} (nor .xz, .gz): give the folder that holds squad/, "
        "tokenizer_golden/ and vocab/"
    )


def sha256(path: Path) -> str:
    """SHA-256 of a text file's unpacked bytes; none of these files starts with a mark."""
    digest = hashlib.sha256()
    with open_text(path) as file:
        while block := file.read(1 << 20):
            digest.update(block.encode())
    return digest.hexdigest()


def open_tokenizer(data: Path) -> Tokenizer:
    """The uncased tokenizer from nothing but its vocabulary."""
    with tempfile.TemporaryDirectory() as folder:
        with open_text(find(data, "vocab/bert-base-uncased-vocab.txt")) as file:
            Path(folder, "vocab.txt").write_text(file.read(), encoding="utf-8", newline="")
        Path(folder, "tokenizer_config.json").write_text('{"do_lower_case": true}')
        return Tokenizer.from_folder(folder)


def check_hashes(data: Path) -> Iterator[Check]:
    """The files are the ones that the figures below were made from."""
    for name, expected in SHA256.items():
        yield f"sha256 of {name}", expected[:16], sha256(find(data, name))[:16]
    squad = data / "squad"
    for record in read_json(find(squad, "reference/scores.json"))["predictions"]:
        found = sha256(find(squad, f"reference/{record['file']}"))
        yield f"sha256 of {record['file']}", record["sha256"][:16], found[:16]


def check_windows(sets: Callable[[str], QAData], tokenizer: Tokenizer) -> Iterator[Check]:
    """Counts of questions and windows, and every answer where its offset says."""
    for name, expected in QUESTIONS.items():
        loaded = sets(name)
        yield f"questions of {name}", f"{expected:,}", f"{len(loaded.examples):,}"
        yield f"wrong offsets of {name}", "0", str(loaded.wrong_offsets + loaded.unplaced)
    for name, expected in WINDOWS.items():
        examples = sets(name).examples
        contexts = list({example.context: None for example in examples})
        n_context = dict(zip(contexts, token_counts(tokenizer, contexts), strict=True))
        n_question = token_counts(tokenizer, [example.question for example in examples])
        count = sum(
            len(split(n, n_context[example.context], seq_len=384, stride=128))
            for example, n in zip(examples, n_question, strict=True)
        )
        yield f"windows of {name} at 384/128", f"{expected:,}", f"{count:,}"


def check_tokens(
    data: Path, sets: Callable[[str], QAData], tokenizer: Tokenizer
) -> Iterator[Check]:
    """Every dev question gets the reference tokenizer's tokens and ids."""
    golden = read_json(find(data, "tokenizer_golden/question_tokens.json"))
    ids = read_json(find(data, "tokenizer_golden/tokenized_questions.json"))
    questions = [example.question for example in sets("dev-v1.1").examples]
    encoded = tokenizer.encode_batch([row["original"] for row in golden])
    # Lists of different lengths come out as too low a count, not as an error.
    total = f"{len(golden):,}"
    same = {
        "questions equal to the golden ones": sum(
            a == row["original"] for a, row in zip(questions, golden, strict=False)
        ),
        "questions with the golden tokens": sum(
            tokenizer.tokens(a.ids) == row["wordpiece"]
            for a, row in zip(encoded, golden, strict=False)
        ),
        "questions with the golden ids": sum(
            a.ids.tolist() == b for a, b in zip(encoded, ids, strict=False)
        ),
    }
    for what, count in same.items():
        yield what, total, f"{count:,}"


def check_scores(data: Path, sets: Callable[[str], QAData]) -> Iterator[Check]:
    """Every reference file scores as the official script says, to ten digits after the point."""
    squad = data / "squad"
    for record in read_json(find(squad, "reference/scores.json"))["predictions"]:
        loaded = sets(f"dev-{record['squad']}")
        predictions = read_predictions(find(squad, f"reference/{record['file']}"))
        found = score(loaded.examples, predictions, no_answer=loaded.no_answer)
        for key, expected in record["official_script"].items():
            ours = found["exact" if key == "exact_match" else key]
            label = f"{key} of {record['file'].removesuffix('.json')}"
            yield label, f"{expected:.10f}", f"{ours:.10f}"


def run(data: Path) -> list[Check]:
    """All checks, in order."""
    loaded: dict[str, QAData] = {}

    def sets(name: str) -> QAData:
        if name not in loaded:
            loaded[name] = load_qa(find(data, f"squad/{name}.rebuilt.json"))
        return loaded[name]

    tokenizer = open_tokenizer(data)
    return [
        *check_hashes(data),
        *check_windows(sets, tokenizer),
        *check_tokens(data, sets, tokenizer),
        *check_scores(data, sets),
    ]


def main() -> int:
    """Runs the checks and prints them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with squad/, tokenizer_golden/, vocab/")
    parser.add_argument("--json", action="store_true", help="print the checks as JSON")
    arguments = parser.parse_args()
    began = time.perf_counter()
    try:
        checks = run(arguments.data)
    except PotstillError as error:
        print(f"conformance: error: {error}", file=sys.stderr)
        return 1
    failed = [what for what, expected, found in checks if expected != found]
    if arguments.json:
        rows: list[dict[str, Any]] = [
            {"check": what, "expected": expected, "found": found, "ok": expected == found}
            for what, expected, found in checks
        ]
        print(json.dumps(rows, indent=1))
    else:
        width = max(len(what) for what, _, _ in checks)
        for what, expected, found in checks:
            verdict = "ok  " if expected == found else "FAIL"
            print(
                f"{verdict} {what:{width}}  {found}"
                + ("" if expected == found else f", expected {expected}")
            )
        seconds = time.perf_counter() - began
        print(f"{len(checks) - len(failed)} of {len(checks)} checks passed in {seconds:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
