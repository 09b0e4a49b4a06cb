"""Bulk jobs from file to file: nothing lost, nothing twice, whatever stops them."""

import csv
import gzip
import json
import lzma
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny
from potstill.errors import DataError, InputError, JobError, OutputError, WorkerError
from potstill.runtime.qa import QAClient
from potstill.scale import parts as parts_room
from potstill.scale.job import JobListeners, JobOptions, run_job
from potstill.scale.local import run_workers
from potstill.scale.parts import Left
from potstill.scale.predict import PredictOptions
from potstill.scale.sources import JobSource


class Stopped(Exception):
    """Raised from outside, in the middle of a job."""


def questions(n):
    """Rows of different lengths, each recognisable."""
    rows = []
    for i in range(n):
        text, question, _ = tiny.SENTENCES[i % 4]
        context = f"{'It was a new year. ' * (i % 5)}In {1900 + i}, {text}"
        rows.append({"number": i, "question": question, "note": "a, “b”", "context": context})
    return rows


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def options(model, **more):
    predict = {k: more.pop(k) for k in ("prefix", "no_answer") if k in more}
    return JobOptions(
        predict=PredictOptions(model=str(model), **predict), **{"part_rows": 32, **more}
    )


def stop_behind(n_parts):
    """Listeners that stop a job behind so many new parts."""
    seen = []

    def done(rows, new):
        seen.append(new)
        if sum(seen) == n_parts:
            raise Stopped

    return JobListeners(done=done)


def counting():
    """Listeners that count the rows that were read anew, and keep the notes."""
    counts = {"new": 0, "old": 0, "notes": []}

    def done(rows, new):
        counts["new" if new else "old"] += rows

    return counts, JobListeners(done=done, note=counts["notes"].append)


def test_every_row_is_there_in_order_with_its_answer(reader, tmp_path):
    rows = questions(70)
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    result = run_job(str(source), tmp_path / "out.jsonl", options(reader))
    assert (result.rows, result.bad, result.resumed) == (70, 0, 0)
    found = read_jsonl(tmp_path / "out.jsonl")
    asked = [(row["question"], row["context"]) for row in rows]
    answers = QAClient.from_options(reader).predict_many(asked)
    for row, line, answer in zip(rows, found, answers, strict=True):
        assert {key: line[key] for key in row} == row
        assert line["answer"] == answer.text
        assert line["score"] == pytest.approx(answer.score, abs=1e-5)
        assert line["context"][line["start"] : line["end"]] == line["answer"]
    assert not (tmp_path / "out.jsonl.bad.jsonl").exists()


@pytest.mark.parametrize("name", ["in.csv", "in.tsv", "in.jsonl.gz", "in.csv.xz"])
def test_text_formats_in_give_the_same_answers(reader, tmp_path, name):
    rows = questions(40)
    plain = write_jsonl(tmp_path / "plain.jsonl", rows)
    run_job(str(plain), tmp_path / "expected.jsonl", options(reader))
    path = tmp_path / name
    opened = {".gz": gzip.open, ".xz": lzma.open}.get(path.suffix, open)
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        if "jsonl" in name:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            delimiter = "\t" if "tsv" in name else ","
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    run_job(str(path), tmp_path / "out.jsonl", options(reader))
    found, expected = (read_jsonl(tmp_path / n) for n in ("out.jsonl", "expected.jsonl"))
    assert [{**row, "number": int(row["number"])} for row in found] == expected


@pytest.mark.parametrize("name", ["out.csv", "out.tsv.gz", "out.csv.xz"])
def test_tables_out_have_every_column(reader, tmp_path, name):
    rows = questions(35)
    rows[5]["extra"] = ["a", 1]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    run_job(str(source), tmp_path / name, options(reader))
    opened = {".gz": gzip.open, ".xz": lzma.open}.get(Path(name).suffix, open)
    with opened(tmp_path / name, "rt", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file, delimiter="\t" if "tsv" in name else ","))
    assert list(found[0]) == [*rows[0], "extra", "answer", "score", "start", "end"]
    assert [row["context"] for row in found] == [row["context"] for row in rows]
    assert [row["extra"] for row in found] == [""] * 5 + ['["a", 1]'] + [""] * 29
    assert all(
        row["context"][int(row["start"]) : int(row["end"])] == row["answer"] for row in found
    )


def test_rows_that_cannot_be_read_go_to_the_side_file(reader, tmp_path):
    lines = [json.dumps(row) for row in questions(40)]
    lines[3] = '{"question": "cut sh'
    lines[7] = json.dumps({"question": "who?", "context": "  "})
    lines[9] = json.dumps({"question": "who?"})
    lines[20] = json.dumps({"question": "who " * 200, "context": "the king", "id": 20})
    lines[21] = json.dumps({"question": 1, "context": "the king"})
    lines[22] = "[1, 2]"
    (tmp_path / "in.jsonl").write_text("\n".join([*lines, ""]), encoding="utf-8")
    result = run_job(str(tmp_path / "in.jsonl"), tmp_path / "out.jsonl", options(reader))
    assert (result.rows, result.bad) == (34, 6)
    bad = read_jsonl(tmp_path / "out.jsonl.bad.jsonl")
    assert [row["row"] for row in bad] == [4, 8, 10, 21, 22, 23]
    assert bad[0]["data"] == lines[3]
    assert bad[3]["data"]["id"] == 20
    for row, reason in zip(
        bad,
        ["not JSON", "'context' is empty", "no 'context'", "200 tokens", "is a int", "is a list"],
        strict=True,
    ):
        assert reason in row["reason"]
    kept = [row["number"] for row in read_jsonl(tmp_path / "out.jsonl")]
    assert kept == [i for i in range(40) if i not in {3, 7, 9, 20, 21, 22}]


def test_globs_are_read_in_order_of_their_names(reader, tmp_path):
    rows = questions(50)
    write_jsonl(tmp_path / "b.jsonl", rows[20:])
    write_jsonl(tmp_path / "a.jsonl", rows[:20])
    run_job(str(tmp_path / "[ab].jsonl"), tmp_path / "out.jsonl", options(reader))
    assert [row["number"] for row in read_jsonl(tmp_path / "out.jsonl")] == list(range(50))


@pytest.mark.parametrize("n_parts", [1, 2, 3])
def test_a_stopped_job_goes_on_where_it_was(reader, tmp_path, n_parts):
    source = str(write_jsonl(tmp_path / "in.jsonl", questions(120)))
    run_job(source, tmp_path / "whole.jsonl", options(reader))
    out = tmp_path / "out.jsonl"
    with pytest.raises(Stopped):
        run_job(source, out, options(reader), stop_behind(n_parts))
    assert not out.exists()
    counts, listeners = counting()
    result = run_job(source, out, options(reader), listeners)
    assert result.resumed == counts["old"] == 32 * n_parts
    assert counts["new"] == 120 - 32 * n_parts
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_a_finished_job_does_nothing(reader, tmp_path):
    source = str(write_jsonl(tmp_path / "in.jsonl", questions(40)))
    out = tmp_path / "out.jsonl"
    run_job(source, out, options(reader))
    before = out.stat().st_mtime_ns
    counts, listeners = counting()
    result = run_job(source, out, options(reader), listeners)
    assert result.was_done
    assert (result.rows, counts["new"], out.stat().st_mtime_ns) == (40, 0, before)
    assert not list((tmp_path / "out.jsonl.job").glob("part-*"))


def test_a_damaged_part_is_read_again(reader, tmp_path):
    source = str(write_jsonl(tmp_path / "in.jsonl", questions(120)))
    run_job(source, tmp_path / "whole.jsonl", options(reader))
    out = tmp_path / "out.jsonl"
    with pytest.raises(Stopped):
        run_job(source, out, options(reader), stop_behind(3))
    part = tmp_path / "out.jsonl.job" / "part-000001.jsonl"
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    counts, listeners = counting()
    run_job(source, out, options(reader), listeners)
    assert counts["new"] == 32 + 24
    assert "part-000001.jsonl is damaged" in counts["notes"][0]
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_another_job_is_not_gone_on_with(reader, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", questions(80))
    out = tmp_path / "out.jsonl"
    with pytest.raises(Stopped):
        run_job(str(source), out, options(reader), stop_behind(1))
    other = tiny.write_model(tmp_path / "other", seed=1)
    with pytest.raises(JobError, match="another model: name another output"):
        run_job(str(source), out, options(other))
    with pytest.raises(JobError, match="another set of options"):
        run_job(str(source), out, options(reader, no_answer=True))
    with pytest.raises(JobError, match="another --part-rows"):
        run_job(str(source), out, options(reader, part_rows=64))
    with source.open("a") as file:
        file.write(json.dumps(questions(1)[0]) + "\n")
    with pytest.raises(JobError, match="another input"):
        run_job(str(source), out, options(reader))
    result = run_job(str(source), out, options(reader, overwrite=True))
    assert (result.rows, result.resumed) == (81, 0)


def test_an_input_that_changes_under_way_is_noticed(reader, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", questions(40))
    changed = source.read_text().replace("the king", "the queen").replace("won", "lost")

    def change():
        source.write_text(changed)

    with pytest.raises(JobError, match="changed while the job ran"):
        run_job(str(source), tmp_path / "out.jsonl", options(reader), JobListeners(writing=change))
    assert not (tmp_path / "out.jsonl").exists()


def test_what_no_job_wrote_is_not_replaced(reader, tmp_path):
    source = str(write_jsonl(tmp_path / "in.jsonl", questions(40)))
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        run_job(source, out, options(reader))
    assert out.read_text() == "mine"
    assert not (tmp_path / "out.jsonl.job").exists()
    run_job(source, out, options(reader, overwrite=True))
    out.write_text("changed")
    with pytest.raises(JobError, match="was changed after the job"):
        run_job(source, out, options(reader))
    out.unlink()
    with pytest.raises(JobError, match="is gone since"):
        run_job(source, out, options(reader))


def test_a_full_disk_keeps_what_was_done(reader, tmp_path, monkeypatch):
    source = str(write_jsonl(tmp_path / "in.jsonl", questions(120)))
    out = tmp_path / "out.jsonl"
    write, written = parts_room.write_bytes, []

    def full(path, data):
        written.append(path)
        if len(written) == 3:
            raise OutputError(f"{path} could not be written: No space left on device")
        write(path, data)

    monkeypatch.setattr(parts_room, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        run_job(source, out, options(reader))
    assert run_job(source, out, options(reader)).resumed == 64
    assert len(read_jsonl(out)) == 120


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="file locks are POSIX")
def test_two_processes_do_not_write_one_output(reader, tmp_path):
    source = str(write_jsonl(tmp_path / "in.jsonl", questions(70)))
    out = tmp_path / "out.jsonl"

    def second(rows, new):
        with pytest.raises(JobError, match="another process is writing"):
            run_job(source, out, options(reader))
        raise Stopped

    with pytest.raises(Stopped):
        run_job(source, out, options(reader), JobListeners(done=second))


def test_bad_input_is_one_line(reader, tmp_path):
    def ask(name, text, error, match, **more):
        (tmp_path / name).write_text(text)
        with pytest.raises(error, match=match):
            run_job(str(tmp_path / name), tmp_path / "out.jsonl", options(reader, **more))

    ask("a.csv", "question,text\nwho?,x\n", DataError, "no column 'context'")
    ask("b.csv", "question,context,score\nwho?,x,1\n", DataError, "'score' already.*--prefix")
    ask("c.txt", "who?", DataError, "does not say what it holds")
    ask("d.jsonl", "", DataError, "it has no rows")
    ask("e.jsonl", '{"a": 1}\n', DataError, "none of its 1 rows.*no 'question'")
    ask("f.csv", 'question,context\nwho?,"x\n', DataError, "not CSV")
    ask("g.csv", "question,context\nwho?,x\n", InputError, "reads question, context, not 'text'",
        columns={"text": "context"})  # fmt: skip
    ask("h.csv", "question,context\nwho?,x\n", InputError, "multiple of 32", part_rows=33)
    with pytest.raises(DataError, match="there is no file"):
        run_job(str(tmp_path / "none*.jsonl"), tmp_path / "out.jsonl", options(reader))
    with pytest.raises(DataError, match="does not say"):
        run_job(str(tmp_path / "a.csv"), tmp_path / "out.txt", options(reader))
    with pytest.raises(InputError, match="among the input files"):
        run_job(str(tmp_path / "e.jsonl"), tmp_path / "e.jsonl", options(reader))
    assert not (tmp_path / "out.jsonl").exists()


def test_columns_of_other_names_and_a_prefix(reader, tmp_path):
    rows = [{"q": row["question"], "p": row["context"], "answer": "gold"} for row in questions(3)]
    source = str(write_jsonl(tmp_path / "in.jsonl", rows))
    named = {"columns": {"question": "q", "context": "p"}, "prefix": "predicted_"}
    run_job(source, tmp_path / "out.jsonl", options(reader, **named))
    (first, *_) = read_jsonl(tmp_path / "out.jsonl")
    assert first["answer"] == "gold"
    assert first["predicted_answer"] == first["p"][slice(*(
        first[f"predicted_{side}"] for side in ("start", "end")
    ))]  # fmt: skip


def test_workers_answer_as_one_process_does(reader, tmp_path):
    source = str(write_jsonl(tmp_path / "in.jsonl", questions(150)))
    run_job(source, tmp_path / "one.jsonl", options(reader, part_rows=96))
    result = run_job(source, tmp_path / "two.jsonl", options(reader, part_rows=96, workers=2))
    assert result.rows == 150
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    assert not multiprocessing.active_children()


def test_a_worker_that_dies_is_named(reader, tmp_path):
    path = write_jsonl(tmp_path / "in.jsonl", questions(200))
    source = JobSource((path,), ("question", "context"), frozenset())
    running = run_workers(Left(source, 64).parts(), PredictOptions(model=str(reader)), workers=2)
    next(running)
    for child in multiprocessing.active_children():
        os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="ended by signal 9.*same command again"):
        list(running)
    assert not multiprocessing.active_children()


def children(pid):
    """Process ids of the children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")
def test_killed_jobs_lose_no_row_and_their_workers_die_with_them(reader, tmp_path):
    source = write_jsonl(tmp_path / "in.jsonl", questions(640))
    run_job(str(source), tmp_path / "whole.jsonl", options(reader, part_rows=64))
    out = tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "potstill", "bulk", str(source), str(out), "--model",
               str(reader), "--workers", "2", "--part-rows", "64", "--json"]  # fmt: skip
    folder = tmp_path / "out.jsonl.job"
    for wanted in (2, 5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while len(list(folder.glob("part-*.jsonl"))) < wanted:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.002)
        workers = children(process.pid)
        assert workers
        process.send_signal(signal.SIGKILL)
        process.wait()
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < until
            time.sleep(0.01)
    kept = len(list(folder.glob("part-*.jsonl")))
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    counts = json.loads(done.stdout)
    assert (counts["rows"], counts["resumed"]) == (640, kept * 64)
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
