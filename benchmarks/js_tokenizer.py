"""Tokens of the JavaScript package against the tokenizers library's: ids, offsets and words.

    python benchmarks/js_tokenizer.py DATA [--quick]

DATA is a folder with ``squad/dev-v1.1*.json``, ``vocab/bert-base-{cased,uncased}-vocab.txt`` and
``tokenizer_golden/tokenized_questions.json``, each of them perhaps packed with xz. Every question
and context is tokenized with both vocabularies, and 10,000 strings of random code points; the ids
of the questions are compared with the golden ones, too. Exit status 1 where SQuAD differs anywhere,
or more than 5 in 10,000 of the random strings.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from potstill.text.opening import read_vocabulary, wordpiece
from potstill.text.tokenizer import Tokenizer

SCRIPT = Path(__file__).with_name("js_tokenizer.mjs")
SPECIAL = {"cls": "[CLS]", "sep": "[SEP]", "pad": "[PAD]", "mask": "[MASK]"}
BLOCKS = (
    *((0x20, 0x7E), (0x0, 0x2FF), (0x300, 0x52F), (0x590, 0x1CFF), (0x1D00, 0x2FFF)),
    *((0x3000, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x1FFFF), (0x2A600, 0x2CEFF)),
    (0xE0000, 0xE01FF),
)
MOST_RANDOM = 5
"""Differences allowed in 10,000 random strings."""


def text_of(folder: Path, pattern: str) -> str:
    """The first file that fits, unpacked."""
    found = sorted([*folder.glob(pattern), *folder.glob(f"{pattern}.xz")])
    if not found:
        sys.exit(f"{folder} has no {pattern}")
    if found[0].suffix == ".xz":
        with lzma.open(found[0], "rt", encoding="utf-8", newline="") as file:
            return file.read()
    return found[0].read_text(encoding="utf-8")


def random_texts(n: int) -> list[str]:
    """Strings of 1 to 30 code points from all over Unicode."""
    choose = random.Random(1)
    return [
        "".join(chr(choose.randint(*choose.choice(BLOCKS))) for _ in range(choose.randint(1, 30)))
        for _ in range(n)
    ]


def units(text: str) -> list[int]:
    """Code point → UTF-16 unit."""
    places = [0]
    for character in text:
        places.append(places[-1] + (2 if ord(character) > 0xFFFF else 1))
    return places


def python_tokens(tokenizer: Tokenizer, texts: list[str]) -> list[list[list[int]]]:
    """Ids, offsets in UTF-16 units, and words of each text."""
    found: list[list[list[int]]] = []
    for text, encoded in zip(texts, tokenizer.encode_batch(texts), strict=True):
        place = units(text)
        offsets = [place[at] for at in encoded.offsets.ravel().tolist()]
        found.append([encoded.ids.tolist(), offsets, encoded.words.tolist()])
    return found


def js_tokens(vocabulary: Path, lower: bool, texts: list[str]) -> dict[str, Any]:
    """The same from the JavaScript package, and how long it took."""
    command = ["node", str(SCRIPT), str(vocabulary), "uncased" if lower else "cased"]
    done = subprocess.run(
        command, input=json.dumps(texts), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Compares and prints one row for each set of texts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--quick", action="store_true", help="a tenth of the texts")
    arguments = parser.parse_args()
    step = 10 if arguments.quick else 1
    articles = json.loads(text_of(arguments.data / "squad", "dev-v1.1*.json"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    questions = [question["question"] for p in paragraphs for question in p["qas"]]
    golden = json.loads(text_of(arguments.data / "tokenizer_golden", "tokenized_questions.json"))
    sets = {
        "questions": questions[::step],
        "contexts": [paragraph["context"] for paragraph in paragraphs][::step],
        "random Unicode": random_texts(10_000 // step),
    }
    failed = False
    print(f"{'vocabulary':12}{'texts':16}{'n':>8}{'differing':>11}{'characters/ms':>15}")
    for kind in ("cased", "uncased"):
        with tempfile.TemporaryDirectory() as folder:
            vocabulary = Path(folder) / "vocab.txt"
            text = text_of(arguments.data / "vocab", f"bert-base-{kind}-vocab.txt")
            vocabulary.write_text(text, encoding="utf-8", newline="")
            lower = kind == "uncased"
            backend = wordpiece(read_vocabulary(vocabulary), {"do_lower_case": lower})
            tokenizer = Tokenizer(backend, SPECIAL)
            for name, texts in sets.items():
                wanted = python_tokens(tokenizer, texts)
                said = js_tokens(vocabulary, lower, texts)
                differing = [i for i, row in enumerate(said["tokens"]) if row != wanted[i]]
                if lower and name == "questions":
                    differing += [
                        i for i, row in enumerate(said["tokens"]) if row[0] != golden[i * step]
                    ]
                allowed = MOST_RANDOM * len(texts) / 10_000 if name.startswith("random") else 0
                failed |= len(differing) > allowed
                rate = sum(map(len, texts)) / said["milliseconds"]
                print(f"{kind:12}{name:16}{len(texts):>8}{len(differing):>11}{rate:>15.0f}")
                for i in differing[:3]:
                    print(f"  {texts[i]!a}\n    {said['tokens'][i]}\n    {wanted[i]}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
