"""The node benchmark's texts, table and chart."""

import json
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

FILE = Path(__file__).parents[2] / "benchmarks" / "node.py"


@pytest.fixture(scope="module")
def node():
    return runpy.run_path(str(FILE))


@pytest.fixture
def data(tmp_path):
    paragraphs = [
        {
            "context": f"Paragraph {n} has the word number{n}. " + "Other words follow it. " * 26,
            "qas": [{"question": f"Which {n}?", "answers": [{"text": f"number{n}"}]}],
        }
        for n in range(12)
    ]
    path = tmp_path / "dev.json"
    path.write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}))
    return path


@pytest.mark.parametrize(("kind", "low", "high"), [("short", 500, 1000), ("long", 4000, 5000)])
def test_texts_have_their_length_and_hold_the_answer(node, data, kind, low, high):
    found = node["texts"](data, kind, 100)
    assert found
    for item in found:
        assert low <= len(item["context"]) <= high
        assert item["gold"][0] in item["context"]
    if kind == "long":
        first = found[0]["context"].index(found[0]["gold"][0])
        assert low / 4 < first < 3 * high / 4


class Asked:
    """A system that takes as long as it is told."""

    def __init__(self, seconds, answer):
        self.seconds, self.answer = seconds, answer

    def ask(self, item):
        return {"seconds": self.seconds, "answer": self.answer}


def test_ratios_are_to_ours(node, data):
    ours, shape = node["OURS"], node["DISTILBERT"]
    workers = {ours: Asked(0.02, {"text": "number1"}), shape: Asked(0.16, "words"),
               "slow & right": Asked(0.03, None)}  # fmt: skip
    asked = node["texts"](data, "short", 5)
    rows = node["measure"](workers, asked)
    assert rows[ours]["n"] == 5
    assert rows[shape]["ratio"]["of_medians"] == pytest.approx(8)
    assert rows[shape]["f1"] is None
    assert rows["slow & right"]["f1"] == 0
    results = {"short": rows, "long": rows}
    text = node["table"](results, 2)
    assert f"| {shape} | 160.0 (160.0 to 160.0) | 8.00 (8.00 to 8.00) | made weights |" in text
    drawn = ElementTree.fromstring(node["chart"](results))
    shown = [part.text for part in drawn.iter() if part.tag.endswith("text")]
    assert shown.count("slow & right") == 2 and shown.count("160") == 2
