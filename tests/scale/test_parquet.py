"""Parquet in and out, and zstd: columns keep their types, rows their order."""

import datetime
import json

import pytest

import tiny
from potstill.errors import DataError
from potstill.scale.job import JobOptions, run_job
from potstill.scale.predict import PredictOptions

pa = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'potstill[bulk]'")
pq = pytest.importorskip("pyarrow.parquet")


def job(model):
    return JobOptions(predict=PredictOptions(model=str(model)), part_rows=32)


def table(n):
    day = datetime.date(2020, 1, 1)
    rows = [
        {"day": day + datetime.timedelta(i), "question": question, "context": f"In {i}, {text}"}
        for i, (text, question, _) in zip(range(n), tiny.SENTENCES * n, strict=False)
    ]
    types = [("day", pa.date32()), ("question", pa.string()), ("context", pa.large_string())]
    return pa.Table.from_pylist(rows, schema=pa.schema(types))


def test_parquet_keeps_its_types(reader, tmp_path):
    before = table(70)
    pq.write_table(before, tmp_path / "in.parquet")
    run_job(str(tmp_path / "in.parquet"), tmp_path / "out.parquet", job(reader))
    after = pq.read_table(tmp_path / "out.parquet")
    assert after.select(before.column_names).equals(before)
    added = {name: str(after.schema.field(name).type) for name in after.column_names[3:]}
    assert added == {"answer": "string", "score": "double", "start": "int64", "end": "int64"}
    for row in after.to_pylist():
        assert row["context"][row["start"] : row["end"]] == row["answer"]


def test_parquet_to_jsonl_and_back(reader, tmp_path):
    pq.write_table(table(40), tmp_path / "in.parquet")
    run_job(str(tmp_path / "in.parquet"), tmp_path / "out.jsonl.zst", job(reader))
    with pa.input_stream(tmp_path / "out.jsonl.zst") as stream:
        rows = [json.loads(line) for line in stream.read().decode().splitlines()]
    assert rows[1]["day"] == "2020-01-02"
    renamed = "".join(
        json.dumps({k: row[k] for k in ("question", "context", "day")}) + "\n" for row in rows
    )
    with pa.output_stream(tmp_path / "back.jsonl.zst", compression="zstd") as stream:
        stream.write(renamed.encode())
    run_job(str(tmp_path / "back.jsonl.zst"), tmp_path / "back.parquet", job(reader))
    found = pq.read_table(tmp_path / "back.parquet").to_pylist()
    assert [row["answer"] for row in found] == [row["answer"] for row in rows]


def test_rows_of_different_kinds_fit_into_columns(reader, tmp_path):
    text = {"question": "Who won?", "context": "The king won."}
    rows = [
        {**text, "none": None, "number": 1, "mixed": "a", "list": [1]},
        {**text, "none": None, "number": 2.5, "mixed": 2, "list": []},
        {**text, "none": None, "late": True},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_job(str(tmp_path / "in.jsonl"), tmp_path / "out.parquet", job(reader))
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["number"] for row in found] == [1.0, 2.5, None]
    assert [row["mixed"] for row in found] == ['"a"', "2", None]
    assert [row["list"] for row in found] == [[1], [], None]
    assert [row["late"] for row in found] == [None, None, True]
    assert {row["none"] for row in found} == {None}


def test_entities_are_lists_of_structs(tmp_path):
    tagger = tiny.write_model(tmp_path / "tagger", head="tagging", labels=("O", "B-X", "I-X"))
    lines = [json.dumps({"text": text}) for text, *_ in tiny.SENTENCES]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    for name in ("out.parquet", "out.jsonl"):
        run_job(str(tmp_path / "in.jsonl"), tmp_path / name, job(tagger))
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == rows


def test_damaged_files_are_named(reader, tmp_path):
    pq.write_table(table(40), tmp_path / "in.parquet")
    whole = (tmp_path / "in.parquet").read_bytes()
    (tmp_path / "in.parquet").write_bytes(whole[:-20])
    with pytest.raises(DataError, match=r"in\.parquet is not a Parquet file"):
        run_job(str(tmp_path / "in.parquet"), tmp_path / "out.jsonl", job(reader))
    packed = pa.compress(b'{"question": "who?"}\n' * 5000, "zstd").to_pybytes()
    (tmp_path / "in.jsonl.zst").write_bytes(packed[:-10])
    with pytest.raises(DataError, match="truncated or damaged"):
        run_job(str(tmp_path / "in.jsonl.zst"), tmp_path / "out.jsonl", job(reader))
