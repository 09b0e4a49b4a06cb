"""docs/performance.md: made of the records, and up to date."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MACHINE = {
    "measured": "2026-01-02",
    "processor": "Some CPU",
    "abilities": ["avx2"],
    "cores": 2,
    "python": "3.11.7",
    "versions": {"onnxruntime": "1.2"},
    "note": "",
}
RATIO = {"of_medians": 4.0, "median": 4.1, "q1": 3.5, "q3": 4.5}
RECORDS = {
    "speed": {
        "kind": "speed",
        **MACHINE,
        "questions": 40,
        "threads": 2,
        "rows": [
            {
                "name": "minilm-int8",
                "precision": "int8",
                "trained": True,
                "checks": {"one ≥ 3.3": True, "many ≥ 4.0": False, "by hand": None},
                "contenders": {
                    "transformers": {
                        "mb": 90.0, "ms": 40.0, "per_second": 25.0, "f1": 80.0, "same": 1.0
                    },
                    "potstill": {
                        "mb": 23.0, "ms": 10.0, "per_second": 99.0, "f1": 79.9, "same": 0.98,
                        "ratio_one": RATIO, "ratio_many": RATIO,
                    },
                },
            },
            {
                "name": "distilbert",
                "precision": "fp32",
                "trained": False,
                "checks": {},
                "contenders": {"potstill": {"mb": None, "ms": 50.0, "per_second": 20.0}},
            },
        ],
        "old_way": {"one": 11.0, "many": 15.0, "f1": 79.9, "checks": {"one ≥ 10.0": True}},
    },
    "cold": {
        "kind": "cold_start",
        **MACHINE,
        "least": 8.0,
        "seconds": {
            "cores": 2,
            "potstill": {"n": 9, "median": 0.5, "q1": 0.4, "q3": 0.6},
            "ratio": RATIO,
        },
    },
    "memory": {
        "kind": "memory", **MACHINE, "limit_mb": 200.0, "resident": {"potstill": {"mb": 120.4}}
    },
    "training": {
        "kind": "train_speed",
        **MACHINE,
        "threads": 2,
        "steps": 20,
        "distil": {
            "asked": 5.0,
            "windows_per_second": {"transformers": 1.5, "potstill": 9.0},
            "ratio": {**RATIO, "of_sums": 6.0},
        },
    },
    "peak": {
        "kind": "peak",
        **MACHINE,
        "threads": 2,
        "gflops": {"fp32": 190.0, "int8": 860.0},
        "models": [
            {
                "model": "default", "runtime": "onnxruntime", "precision": "int8", "tokens": 160,
                "ms": 10.0, "floor_ms": 2.0, "share": 0.2,
            }
        ],
    },
}  # fmt: skip
PAGE = """# Performance

<!-- with: speed -->
<!-- speed: speed -->

<!-- plot: speed -->

<!-- machine: speed -->

<!-- end: speed -->
<!-- with: absent -->
Nothing of this.

<!-- end: absent -->
<!-- cold_start: cold -->

<!-- memory: memory -->

<!-- train_speed: training -->

<!-- peak: peak -->
"""


def script(docs, *options):
    command = [sys.executable, ROOT / "scripts" / "write_performance.py", "--docs", docs, *options]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "performance"
    folder.mkdir()
    (folder / "page.md").write_text(PAGE, encoding="utf-8")
    for name, record in RECORDS.items():
        (folder / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    return tmp_path


def test_the_page_is_up_to_date():
    done = script(ROOT / "docs", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_page_says(docs):
    assert script(docs, "--check").returncode == 1
    done = script(docs)
    assert done.returncode == 0, done.stderr
    text = (docs / "performance.md").read_text(encoding="utf-8")
    assert (
        "| minilm-int8 (int8) | transformers | 90.0 | 40.0 | – | 25.0 | – | 80.00 | 100.0% |"
        in text
    )
    assert "4.00 (3.50 to 4.50)" in text
    assert "| distilbert (fp32, made weights) | potstill | – | 50.0 |" in text
    assert "Not reached: minilm-int8: many ≥ 4.0." in text
    assert "11.0 times as fast one at a time, 15.0 times the throughput" in text
    assert "Some CPU" in text
    assert "Nothing of this" not in text
    assert "| potstill | 120 MB |" in text
    assert "fp32 190 GFLOP/s, int8 860 GFLOP/s" in text
    assert "| default (int8) | onnxruntime | 160 | 10.00 | 2.00 | 20% |" in text
    assert "the bound is 8" in text
    assert "| distil | 1.50 windows/s | 9.00 windows/s | 6.00 " in text
    svg = (docs / "performance" / "speed.svg").read_text(encoding="utf-8")
    assert '"area": 23.0' in svg.replace("&quot;", '"')
    assert script(docs, "--check").returncode == 0
    (docs / "performance.md").write_text(text.replace("99.0", "98.0"), encoding="utf-8")
    assert script(docs, "--check").stdout.startswith("performance.md is not what the records say")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda page: page + "\n<!-- steam: peak -->\n", "is none of speed, plot"),
        (lambda page: page + "\n<!-- peak: nothing -->\n", "there is no nothing.json"),
        (lambda page: page + "\n<!-- peak: cold -->\n", "a record of cold_start"),
        (lambda page: page.replace("<!-- peak: peak -->", ""), "shows nothing of peak"),
    ],
)
def test_marks_that_do_not_fit(docs, edit, message):
    (docs / "performance" / "page.md").write_text(edit(PAGE), encoding="utf-8")
    done = script(docs)
    assert done.returncode == 1
    assert message in done.stderr
    assert not (docs / "performance.md").exists()
