"""The bulk benchmark: what it counts of jobs that were killed, and its rows."""

import json
from argparse import Namespace
from pathlib import Path

import bulk
import pytest

import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.write_model(tmp_path_factory.mktemp("model")))


def test_rows_are_those_given_over_and_over(tmp_path):
    path = bulk.write_rows(tmp_path / "rows.jsonl", bulk.SHORT, 3)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["id"] for row in rows] == [0, 1, 2]
    assert len({row["question"] for row in rows}) == 1


def test_rates_are_compared_by_round(model, tmp_path):
    source = bulk.write_rows(tmp_path / "rows.jsonl", bulk.SHORT, 256)
    asked = Namespace(model=model, runtime="onnxruntime", rounds=1, ray=False, rows=256)
    found = bulk.rates(source, asked)
    assert found["speedup"]["median"] == found["two"]["median"] / found["one"]["median"]
    assert found["one"]["n"] == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
def test_a_killed_job_reads_no_finished_part_again(model, tmp_path):
    source = bulk.write_rows(tmp_path / "rows.jsonl", bulk.SHORT, 4096)
    found = bulk.killed(source, model, 1, "local", "onnxruntime")
    assert found == {
        "engine": "local",
        "killed": 1,
        "finished_parts_written_again": 0,
        "finished_parts_read_again": 0,
        "rows": 4096,
        "doubled": 0,
        "same_bytes_as_unkilled": True,
    }
