"""Answers that pages print are those that come: words and places exactly, scores nearly.

Nearly, since the engine and onnxruntime differ in what they round.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from potstill import QAClient

ROOT = Path(__file__).parents[2]


def test_the_server_answers_as_its_page_says() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    asked = json.loads(re.search(r"-d '(\{\"inputs\".*?\})'", page)[1])["inputs"]
    said = json.loads(re.search(r"```json\n(\{.*\})\n```", page)[1])
    found = QAClient.from_options().predict(asked["question"], asked["context"])
    assert (said["answer"], said["start"], said["end"]) == (found.text, found.start, found.end)
    assert said["score"] == pytest.approx(found.score, abs=0.03)


def test_the_server_highlights_as_its_page_says() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    asked = json.loads(re.search(r"-d '(\{\"question\".*?\"passages\".*?\})'", page)[1])
    (said,) = json.loads(re.search(r"```json\n(\[\{\"text\".*\])\n```", page)[1])
    reader = QAClient.from_options()
    (found,) = reader.highlight(asked["question"], asked["passages"], top_k=asked["top_k"])
    assert (said["text"], said["start"], said["end"]) == (found.text, found.start, found.end)
    assert said["source"] == found.source
    assert said["score"] == pytest.approx(found.score, abs=0.03)


@pytest.mark.parametrize("file", ["docs/javascript.md", "clients/js/README.md"])
def test_the_reader_of_the_npm_package_answers_as_its_pages_say(file: str) -> None:
    page = (ROOT / file).read_text(encoding="utf-8")
    asked = re.search(r'client\.predict\("([^"]*)", "([^"]*)"\)', page)
    said = re.search(r"// \{ text: '([^']*)', score: ([\d.]*)…, start: (\d+), end: (\d+) \}", page)
    assert asked and said
    found = QAClient.from_options("tiny").predict(asked[1], asked[2])
    assert (said[1], int(said[3]), int(said[4])) == (found.text, found.start, found.end)
    if said[2]:
        assert float(said[2]) == pytest.approx(found.score, abs=0.03)
