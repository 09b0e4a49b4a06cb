import json
import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import main

TEXT = "\ufeffThe old king\nbuilt a tower by the Thames. It was new! Paris won the game."[1:]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(tiny.write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture
def run(model):
    def call(*arguments, stdin=None):
        return CliRunner().invoke(main, ["ask", "--model", model, *arguments], input=stdin)

    return call


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_json(run, file):
    result = run("who built it", str(file), "--json")
    assert result.exit_code == 0
    (row,) = json.loads(result.output)
    assert list(row) == ["answer", "score", "start", "end", "source", "line"]
    assert row["line"] == TEXT[: row["start"]].count("\n") + 1
    assert TEXT[row["start"] : row["end"]] == row["answer"]
    assert row["source"] == str(file)


def test_the_answer_in_its_sentence_with_score_and_place(run, file):
    (row,) = json.loads(run("who built it", str(file), "--json").output)
    shown = run("who built it", str(file)).output.splitlines()
    assert shown[0] == row["answer"].replace("\n", " ")
    assert row["answer"].replace("\n", " ") in shown[1]
    line = TEXT[: row["start"]].count("\n") + 1
    assert shown[2].split() == [f"{row['score']:.2f}", f"{file}:{line}"]


def test_context(run):
    (row,) = json.loads(run("who", "--context", "the king", "--json").output)
    assert row["source"] == "context"
    assert "\n  0." in run("who", "--context", "the king").output


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_standard_input(run, arguments):
    (row,) = json.loads(run("who", *arguments, "--json", stdin="the king").output)
    assert row["source"] == "stdin"


def test_a_byte_order_mark_is_no_text(run, file):
    file.write_text(TEXT, encoding="utf-8-sig")
    (row,) = json.loads(run("who built it", str(file), "--json").output)
    assert TEXT[row["start"] : row["end"]] == row["answer"]


def test_several_sources_share_one_ranking(run, file, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("Denver won.")
    result = run(
        "who won", str(file), str(other), "--context", "the queen", "--top-k", "40", "--json"
    )
    rows = json.loads(result.output)
    assert {row["source"] for row in rows} == {str(file), str(other), "context"}
    assert sum(row["score"] for row in rows) <= 1


def test_a_folder_stands_for_its_text_files(run, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "deep.txt").write_text("the king won")
    (tmp_path / "a.md").write_text("the queen lost")
    (tmp_path / "latin.txt").write_bytes(b"the king of the caf\xe9")
    (tmp_path / "picture.bin").write_bytes(b"abc\0def")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "hidden").write_text("the hidden king")
    result = run("who", str(tmp_path), "--top-k", "20", "--json")
    rows = json.loads(result.stdout)
    assert {row["source"] for row in rows} == {
        str(tmp_path / "a.md"),
        str(tmp_path / "b" / "deep.txt"),
        str(tmp_path / "latin.txt"),
    }
    assert result.stderr == f"potstill: skipped: {tmp_path / 'picture.bin'}: it is not text\n"


def test_of_many_passages_the_best_are_read_and_that_is_said(run, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("The queen wrote a small red book. " * 100 + "The king built Paris.")
    few = run("who built Paris", str(path), "--windows", "1", "--json")
    assert re.fullmatch(
        r"potstill: read the best 1 of \d passages; --all reads every one\n", few.stderr
    )
    assert json.loads(few.stdout)[0]["start"] > 2500
    everything = run("who built Paris", str(path), "--windows", "2", "--all", "--json")
    assert everything.stderr == ""


def test_an_answer_stays_within_its_paragraph_or_cell(run, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("who,where\nthe king,paris\nthe queen,london\n")
    text = "who: the king |\twhere: paris\nwho: the queen |\twhere: london"
    rows = json.loads(run("where", str(path), "--top-k", "40", "--json").output)
    assert {row["row"] for row in rows} == {2, 3}
    for row in rows:
        assert text[row["start"] : row["end"]] == row["answer"]
        assert "\t" not in row["answer"]
        assert not row["answer"].startswith(("who", "where"))
    path = tmp_path / "two.txt"
    path.write_text("the king\n\nthe queen")
    rows = json.loads(run("who", str(path), "--top-k", "40", "--json").output)
    assert not [row for row in rows if "\n" in row["answer"]]
    assert sum(row["score"] for row in rows) == pytest.approx(1, abs=0.5)


def test_a_missing_file_is_named_and_the_others_are_read(run, file):
    result = run("who", "/nowhere.txt", str(file), "https://example.org/a.txt", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)[0]["source"] == str(file)
    assert result.stderr.splitlines() == [
        "potstill: skipped: /nowhere.txt: it does not exist",
        "potstill: skipped: https://example.org/a.txt: addresses are not fetched: download it",
    ]


def test_question_and_file_the_wrong_way_round(run, file):
    result = run(str(file), "who built it?")
    assert result.exit_code == 2
    assert "The question comes first" in result.stderr


def test_index(run, tmp_path):
    from potstill.retrieval.index import Index

    (tmp_path / "a.md").write_text("# Kings\n\nThe king built Paris.")
    result = run("who", "--index", str(tmp_path))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "run `potstill index" in result.stderr
    Index.open(tmp_path, create=True).update()
    (row,) = json.loads(run("who built Paris", "--index", str(tmp_path), "--json").output)
    assert (row["source"], row["heading"], row["line"]) == (str(tmp_path / "a.md"), "Kings", 3)
    assert run("who", str(tmp_path), "--index", str(tmp_path)).exit_code == 2


def test_no_answer(run, model, tmp_path):
    import shutil

    from potstill.bundle.manifest import Manifest, write_manifest

    folder = shutil.copytree(model, tmp_path / "model")
    write_manifest(folder, Manifest(null_threshold=-1e6))
    arguments = ("who", "--context", "the king", "--no-answer", "--model", str(folder))
    assert run(*arguments, "--json").output == "[]\n"
    result = run(*arguments)
    assert (result.exit_code, result.output) == (0, "No answer.\n")


def test_a_model_that_may_refuse_gives_its_best_span_with_any(run, model, tmp_path):
    import shutil

    from potstill.bundle.manifest import Manifest, write_manifest

    folder = shutil.copytree(model, tmp_path / "model")
    write_manifest(folder, Manifest(no_answer=True, null_threshold=-1e6))
    arguments = ("who", "--context", "the king", "--model", str(folder))
    assert run(*arguments).output == "No answer.\n"
    (answer,) = json.loads(run(*arguments, "--any", "--json").output)
    assert answer["answer"] in ("the", "king", "the king")


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        ((" ", "--context", "the king"), None, "the question is empty"),
        (("who", "--context", " "), None, "no text to ask: context"),
        (("who", "--context", "\x01"), None, "no text to ask: context"),
        (("who",), "", "no text to ask: stdin"),
        (("who",), b"a\0b\x01\x02", "standard input is not text"),
        (("who", "/nowhere/at/all.txt"), None, "/nowhere/at/all.txt: it does not exist"),
        (("who", "--context", "x", "--model", "/nowhere"), None, "is not a model"),
        (("who " * 300, "--context", "the king"), None, "shorten the question"),
    ],
)
def test_bad_input_is_one_line(run, arguments, stdin, message):
    result = run(*arguments, stdin=stdin)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("potstill: error: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_a_file_that_is_no_text(run, tmp_path):
    path = tmp_path / "data.txt"
    path.write_bytes(bytes(range(256)))
    result = run("who", str(path))
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "data.txt: it is not text" in result.stderr


def test_an_empty_folder(run, tmp_path):
    result = run("who", str(tmp_path))
    assert result.exit_code == 1
    assert "no text to ask" in result.stderr


@pytest.mark.parametrize("options", [("--top-k", "0"), ("--windows", "0"), ("--runtime", "x")])
def test_usage(run, options):
    assert run("who", "--context", "x", *options).exit_code == 2


def test_odd_text_is_shown_without_harm(run, tmp_path):
    path = tmp_path / "odd.txt"
    path.write_text("\x1b[31mthe king\x1b[0m \U0001f451 המלך", encoding="utf-8")
    result = run("who", str(path), "--top-k", "20")
    assert result.exit_code == 0
    assert "\x1b" not in result.output


def test_asking_imports_only_what_it_needs(model):
    code = (
        "import sys; from potstill.cli import main\n"
        f"main(['ask', 'who', '--context', 'the king', '--json', '--model', {model!r}],"
        " standalone_mode=False)\n"
        "print(*sorted({'rich', 'onnx', 'bm25s', 'huggingface_hub', 'torch', 'safetensors'}"
        " & set(sys.modules)))"
    )
    for _ in range(2):  # the first one may have had to write the ONNX file
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
        )
    assert done.stdout.splitlines()[1:] == [""]


def test_a_text_in_another_language_is_warned_of(run, tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(
        "Der Vertrag mit der Werft wurde im Sommer nach langer Verhandlung geschlossen."
    )
    result = run("wer", str(path), "--json")
    assert result.exit_code == 0
    assert "does not seem to be in the language of this model" in result.stderr
    path.write_text("the king and the queen built the old bridge by the river in london last year")
    assert run("who", str(path)).stderr == ""


def test_a_model_that_is_nearly_named(run):
    result = run("who", "--context", "the king", "--model", "smal")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "did you mean 'small'?" in result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_output_that_cannot_be_written_is_one_line(model):
    command = [sys.executable, "-m", "potstill", "ask", "who", "--context", "the king"]
    with open("/dev/full", "w") as full:
        done = subprocess.run([*command, "--model", model], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


def test_ctrl_c_exits_130(run, monkeypatch, file):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("potstill.cli.ask.asked_of", interrupted)
    result = run("who", str(file))
    assert (result.exit_code, result.stderr) == (130, "\npotstill: interrupted\n")


def test_a_question_without_words_of_the_documents_says_so(run, tmp_path):
    (tmp_path / "a.txt").write_text("\n\n".join(["The king built Paris. " * 60] * 40))
    result = run("Zebras giraffes", str(tmp_path))
    assert result.stdout == "No answer.\n"
    assert result.stderr == (
        "potstill: none of 40 passages has a word of the question; --all reads every one\n"
    )
    for empty in ("", " \n"):
        result = run(empty, str(tmp_path))
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "potstill: error: the question is empty; give some text\n"
