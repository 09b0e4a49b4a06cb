import json

from click.testing import CliRunner

from potstill.cli import main
from potstill.documents import formats


def run(*arguments):
    return CliRunner().invoke(main, ["index", *map(str, arguments)])


def test_a_folder_is_indexed_and_brought_up_to_date(tmp_path):
    (tmp_path / "a.txt").write_text("The king built Paris.")
    (tmp_path / "b.png").write_bytes(b"\x89PNG")
    first = run(tmp_path)
    assert first.exit_code == 0
    assert first.stdout.startswith("1 added, 1 skipped, 1 passage; ")
    assert first.stderr == f"potstill: skipped: {tmp_path / 'b.png'}: it is a picture\n"
    (tmp_path / "a.txt").write_text("The queen built Paris.")
    said = json.loads(run(tmp_path, "--json").stdout)
    assert said["changed"] == said["passages"] == 1
    assert said["skipped"] == [{"name": str(tmp_path / "b.png"), "reason": "it is a picture"}]
    assert json.loads(run(tmp_path, "--json").stdout)["unchanged"] == 1


def test_several_paths_go_into_a_folder_of_their_own(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("The king built Paris.")
    paths = tmp_path / "a.txt", tmp_path / "b.txt"
    assert run(*paths).exit_code == 2
    assert run(paths[0]).exit_code == 2
    assert run(*paths, "--into", tmp_path / "x").stdout.startswith("2 added, 2 passages")


def test_what_is_no_index_is_said_in_one_line(tmp_path):
    (tmp_path / "a.txt").write_text("The king.")
    (tmp_path / ".potstill").write_text("a file")
    result = run(tmp_path)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert result.stderr.startswith("potstill: error: there can be no index in")


def test_an_index_of_an_older_version_is_asked_with_a_word_about_it(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("The king built Paris.")
    run(tmp_path)
    monkeypatch.setattr(formats, "READING", formats.READING + 1)
    asked = CliRunner().invoke(main, ["ask", "Who built Paris?", "--index", str(tmp_path)])
    assert asked.stdout.startswith("The king\n")
    assert asked.stderr == (
        "potstill: an older version has read the files of this index: run `potstill index "
        f"{tmp_path}`\n"
    )
    questions, out = tmp_path.parent / "questions.jsonl", tmp_path.parent / "answers.jsonl"
    questions.write_text('{"question": "Who built Paris?"}\n')
    args = ["bulk", str(questions), str(out), "--index", str(tmp_path), "--runtime", "native"]
    assert asked.stderr in CliRunner().invoke(main, args).stderr
    assert run(tmp_path).stdout.startswith("0 added, 1 read again for this version, 1 passage; ")
    asked = CliRunner().invoke(main, ["ask", "Who built Paris?", "--index", str(tmp_path)])
    assert asked.stderr == ""
