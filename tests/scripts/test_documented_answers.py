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
