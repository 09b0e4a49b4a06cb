"""Run folders and measurements → records → the results page and its plots."""

import json
import re
import runpy
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.reports import plot

SCRIPTS = Path(__file__).parents[2] / "scripts"
RECIPE = {"base": "owner/base", "train": "train.json", "seed": 0, "learning_rate": 1e-3}


@pytest.fixture
def script(monkeypatch):
    """Runs one of the scripts as a program and returns its exit status."""
    monkeypatch.syspath_prepend(str(SCRIPTS))

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(SCRIPTS / name), run_name="__main__")
        return stopped.value.code

    return run


def finished_run(folder, *, seed, **shape):
    """What a training run leaves behind."""
    tiny.write_model(folder, seed=seed, **shape)
    lines = [{"step": n, "seconds": n, "loss": 4 / n} for n in range(1, 251)]
    lines.append({"step": 250, "exact": 60.0, "f1": 70.0, "total": 4})
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_manifest(
        folder,
        Manifest(
            recipe=RECIPE | {"seed": seed},
            data={"train": "train.json", "examples": 4},
            hardware={"device": "a processor", "training_seconds": 7200},
        ),
    )
    return folder


def speed_file(path, *, teacher_ms, student_ms):
    def row(ms):
        times = {"median": ms / 1000, "q1": ms / 1100, "q3": ms / 900}
        return {"n": 9, **times, "model": "m", "precision": "fp32", "exact": 1.0, "f1": 2.0}

    ratio = {"of_medians": teacher_ms / student_ms, "median": 2.0, "q1": 1.9, "q3": 2.1}
    values = {"teacher": row(teacher_ms), "student": row(student_ms), "ratio": ratio, "threads": 1}
    path.write_text(f"a table\nfor people\n{json.dumps(values)}\n")
    return path


def eval_file(path, f1, **more):
    scores = {"exact": f1 - 10, "f1": f1, "total": 4, **more}
    path.write_text(json.dumps({**scores, "seconds": 1.5}))
    return path


@pytest.fixture
def docs(script, tmp_path):
    """A folder of docs with a teacher of one seed and a student of three, and a page."""
    folder = tmp_path / "docs"
    speed = speed_file(tmp_path / "thousand.txt", teacher_ms=40, student_ms=20)
    page = "# Figures\n\n<!-- table: all -->\n\n<!-- plot: all -->\n\n<!-- runs: all -->\n"
    runs = [("teacher", 0, 80.0)] + [("student", seed, 70.0 + seed) for seed in range(3)]
    for number, (name, seed, f1) in enumerate(runs):
        run = finished_run(tmp_path / f"{name}{seed}", seed=seed, n_layers=2 if not number else 1)
        status = script(
            "record_run.py", run, "--name", name, "--table", "all", "--data", "dev.json",
            "--eval", f"fp32={eval_file(tmp_path / 'eval.json', f1)}", "--speed", speed,
            "--speed-as", name, "--teacher", "" if name == "teacher" else "teacher",
            "--curve", "loss", "--command", f"potstill finetune r.toml seed={seed}",
            "--commit", "abc", "--out", folder / "results" / f"{number}-{name}.json",
        )  # fmt: skip
        assert status == 0
    (folder / "results" / "page.md").write_text(page)
    return folder


def rows(docs):
    page = (docs / "results.md").read_text()
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in re.findall(r"^\|.*", page, re.M)
    ]


def test_a_table_of_seeds_and_a_teacher(script, docs):
    assert script("write_results.py", "--docs", docs) == 0
    head, _, teacher, student = rows(docs)
    by_head = dict(zip(head, student, strict=True))
    assert by_head["model"] == "student"
    assert by_head["seeds"] == "3"
    assert by_head["F1"] == "71.00 ± 1.00"
    assert by_head["EM"] == "61.00 ± 1.00"
    assert by_head["of the teacher's F1"] == "88.8%"
    assert by_head["times as fast"] == "2.00 ± 0.00"
    assert by_head["ms a question"] == "20.0 (18.2 to 22.2)"
    assert by_head["training"] == "2.0 h"
    assert dict(zip(head, teacher, strict=True))["F1"] == "80.00"


def test_the_page_says_how_each_run_was_made(script, docs):
    script("write_results.py", "--docs", docs)
    page = (docs / "results.md").read_text()
    assert "seed 2; fp32 F1 72.00; 250 steps; 7,200 s of training; device a processor" in page
    for seed in range(3):
        assert f"\npotstill finetune r.toml seed={seed}\n" in page


def test_the_same_records_give_the_same_bytes(script, docs):
    assert script("write_results.py", "--docs", docs, "--check") == 1
    script("write_results.py", "--docs", docs)
    files = [docs / "results.md", docs / "results" / "all.svg"]
    before = [file.read_bytes() for file in files]
    assert script("write_results.py", "--docs", docs, "--check") == 0
    script("write_results.py", "--docs", docs)
    assert [file.read_bytes() for file in files] == before
    files[0].write_text("edited by hand")
    assert script("write_results.py", "--docs", docs, "--check") == 1


def texts(svg):
    return {e.text for e in ET.fromstring(svg.read_text()).iter() if e.tag.endswith("text")}


def test_the_plot_names_every_point_and_holds_its_numbers(script, docs):
    script("write_results.py", "--docs", docs)
    svg = docs / "results" / "all.svg"
    assert {"teacher, fp32 (teacher)", "student, fp32"} <= texts(svg)
    shown = plot.shown(svg.read_text())
    slow, fast = shown["points"]
    assert (slow["label"], slow["x"], slow["y"]) == ("teacher, fp32", 40, 80)
    assert (slow["teacher"], fast["teacher"]) == (True, False)
    assert (fast["x"], fast["x_spread"]) == (20, [18.1818, 22.2222])
    assert (fast["y"], fast["y_spread"]) == (71, [70, 72])


def test_the_check_compares_what_plots_show_not_how_they_are_drawn(script, docs, monkeypatch):
    script("write_results.py", "--docs", docs)
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # a machine that cannot draw
    svg = docs / "results" / "all.svg"
    drawn = svg.read_text()
    svg.write_text(drawn.replace("#0072b2", "#000000").replace("font-size: 12px", "font-size: 9px"))
    assert script("write_results.py", "--docs", docs, "--check") == 0
    for other in (drawn.replace('"y": 71.0', '"y": 71.1'), drawn[:-200], "<svg/>", None):
        svg.unlink() if other is None else svg.write_text(other)
        assert script("write_results.py", "--docs", docs, "--check") == 1


def test_without_matplotlib_nothing_is_written(script, docs, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert script("write_results.py", "--docs", docs) == 1
    assert "pip install 'potstill[report]'" in capsys.readouterr().err
    assert not (docs / "results.md").exists()


def test_a_curve_is_thinned_to_means(script, docs):
    record = json.loads((docs / "results" / "1-student.json").read_text())
    points = record["curves"]["loss"]
    assert len(points) <= 100
    assert points[0] == [3, pytest.approx(4 * (1 + 1 / 2 + 1 / 3) / 3, abs=1e-6)]
    assert points[-1][0] == 250
    (docs / "results" / "page.md").write_text("<!-- curve: all loss -->\n")
    assert script("write_results.py", "--docs", docs) == 0
    assert [row[0] for row in rows(docs)[2:]] == [
        "teacher",
        *(f"student, seed {n}" for n in range(3)),
    ]
    svg = docs / "results" / "all-loss.svg"
    assert {"teacher", "student (3 runs)"} <= texts(svg)
    shown = plot.shown(svg.read_text())["lines"][1]["points"]
    assert shown == [[step, pytest.approx(value, rel=1e-5)] for step, value in points]


def test_a_section_without_records_is_left_out(script, docs):
    section = "<!-- with: {0} -->\n\n## About {0}\n\n<!-- table: {0} -->\n\n<!-- end: {0} -->\n\n"
    page = (
        section.format("all") + section.format("later") + "## After\n\n<!-- runs: later all -->\n"
    )
    (docs / "results" / "page.md").write_text(page)
    assert script("write_results.py", "--docs", docs) == 0
    text = (docs / "results.md").read_text()
    assert re.findall(r"^## .*", text, re.M) == ["## About all", "## After"]
    assert text.count("<!--") == 1  # the line that says what wrote the page
    assert "\n\n\n" not in text
    assert text.count("**student**") == 1


def test_further_scores_are_columns_where_they_are_asked_for(script, docs, tmp_path):
    run = finished_run(tmp_path / "nullable", seed=0)
    scores = eval_file(tmp_path / "eval.json", 70.0, NoAns_f1=65.5, ece=0.0314)
    script(
        "record_run.py", run, "--name", "x", "--table", "null", "--eval", f"fp32={scores}",
        "--out", docs / "results" / "9.json",
    )  # fmt: skip
    page = docs / "results" / "page.md"
    page.write_text(page.read_text() + "\n<!-- table: null NoAns_f1 ece -->\n")
    assert script("write_results.py", "--docs", docs) == 0
    *_, head, _, row = rows(docs)
    by_head = dict(zip(head, row, strict=True))
    assert (by_head["NoAns_f1"], by_head["ece"]) == ("65.50", "0.031")


def change(docs, file, values):
    path = docs / "results" / file
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"recipe": RECIPE | {"seed": 1, "learning_rate": 1.0}}, "differ in learning_rate"),
        ({"seed": 0}, "the same seed"),
        ({"tables": ["all", "elsewhere"], "name": "other"}, "elsewhere, which page.md does not"),
        ({"scored_on": "train.json", "name": "other"}, "different questions"),
        ({"teacher": "nobody", "name": "other"}, "'nobody' has no record"),
        ({"surprise": 1}, "no surprise"),
        ({"commands": ["potstill eval /home/me/run dev.json"]}, "names a path of this machine"),
    ],
)
def test_records_that_do_not_belong_together(script, docs, capsys, values, says):
    change(docs, "2-student.json", values)
    assert script("write_results.py", "--docs", docs) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (docs / "results.md").exists()


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ("<!-- tabel: all -->", "is none of table, plot, curve, runs"),
        ("<!-- with: all -->", "lacks its other half"),
        ("<!-- table: al -->", "no record stands in"),
        ("<!-- curve: all -->", "KEY"),
        ("<!-- curve: all lss -->", "no record has a curve of lss"),
    ],
)
def test_wrong_marks(script, docs, capsys, mark, says):
    (docs / "results" / "page.md").write_text(f"<!-- table: all -->\n\n{mark}\n")
    assert script("write_results.py", "--docs", docs) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--eval", "fp64=x.json"), "write PRECISION=FILE"),
        (("--eval", "fp32=nothere.json"), "does not end with a line of JSON"),
        (("--eval", "fp32={empty}"), "lacks exact, f1, total"),
        (("--speed", "{empty}"), "is it from benchmarks/thousand.py"),
        (("--curve", "nothing"), "no line of metrics.jsonl has nothing"),
        (("--command", "potstill eval ~/run dev.json"), "names a path of this machine"),
    ],
)
def test_wrong_measurements(script, tmp_path, capsys, arguments, says):
    run = finished_run(tmp_path / "run", seed=0)
    (tmp_path / "empty.json").write_text("{}")
    filled = [a.format(empty=tmp_path / "empty.json") for a in arguments]
    out = tmp_path / "record.json"
    assert script("record_run.py", run, "--name", "x", "--table", "t", "--out", out, *filled) == 1
    assert says in capsys.readouterr().err
    assert not out.exists()


def test_any_model_folder_can_be_recorded(script, tmp_path):
    run = tiny.write_model(tmp_path / "downloaded")
    out = tmp_path / "record.json"
    assert script("record_run.py", run, "--name", "x", "--table", "t", "--out", out) == 0
    record = json.loads(out.read_text())
    assert record["model"]["n_layers"] == 2
    assert record["bytes"]["fp32"] == (run / "model.safetensors").stat().st_size
    assert "seed" not in record
    assert str(tmp_path) not in out.read_text()


def test_a_run_that_stood_still_has_no_cost(script, tmp_path):
    run, out = finished_run(tmp_path / "run", seed=0), tmp_path / "record.json"
    name = ("record_run.py", run, "--name", "x", "--table", "t", "--out", out)
    assert script(*name) == script(*name, "--paused") == 0
    assert json.loads(out.read_text())["training"] == {"steps": 250}


def test_the_committed_records_make_a_page(script, tmp_path):
    """Every record and mark of this repository fits the others."""
    source = SCRIPTS.parent / "docs" / "results"
    folder = tmp_path / "docs" / "results"
    folder.mkdir(parents=True)
    for file in (source / "page.md", *source.glob("*.json")):
        (folder / file.name).write_bytes(file.read_bytes())
    assert script("write_results.py", "--docs", tmp_path / "docs") == 0


def test_the_page_is_current(script):
    assert script("write_results.py", "--check") == 0


def task_record(name, **scores):
    """What benchmarks/tasks.py leaves of one set."""
    times = {"q1": 1.0, "median": 2.0, "q3": 3.0, "n": 9}
    rows = {
        model: {
            "scores": {"fp32": {"accuracy": values}, "int8": {"accuracy": values}},
            "bytes": {"fp32": 4_000_000, "int8": 1_000_000},
            "training_seconds": 90,
            "commands": [f"potstill finetune {model}.toml"],
        }
        for model, values in scores.items()
    }
    return {
        "set": name,
        "metrics": ["accuracy"],
        "runs": "seeds",
        "baselines": {"a guess": {"accuracy": 50.0}},
        "models": rows,
        "milliseconds": dict.fromkeys(rows, times),
        "hardware": {"cores": 2},
    }


def test_tasks_have_a_table_of_their_own(script, tmp_path) -> None:
    docs = tmp_path / "docs"
    tasks = docs / "results" / "tasks"
    tasks.mkdir(parents=True)
    marks = "<!-- tasks: all -->\n\n<!-- task-runs: all -->"
    section = f"<!-- with: tasks -->\n{marks}\n<!-- end: tasks -->\n"
    (docs / "results" / "page.md").write_text(f"# Results\n\n{section}\nend\n")
    assert script("write_results.py", "--docs", docs) == 0
    assert "|" not in (docs / "results.md").read_text()
    record = task_record("SST-2", minilm=[90.0, 92.0], **{"3l": [86.45, 86.45]})
    (tasks / "SST-2.json").write_text(json.dumps(record))
    assert script("write_results.py", "--docs", docs) == 0
    page = (docs / "results.md").read_text()
    assert "| SST-2 | MiniLM-L6 (2 seeds) | accuracy 91.00 ± 1.41 | 91.00 ± 1.41 |" in page
    assert "| 95.0% | 1.0 | 2.00 (1.00 to 3.00) | 1.5 min |" in page
    assert "|  | a guess | accuracy 50.00 |" in page
    assert "potstill finetune 3l.toml" in page
    (tasks / "SST-2.json").write_text("{}")
    assert script("write_results.py", "--docs", docs) == 1
