from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import pytest

from potstill.bundle import atomic, leftovers
from potstill.errors import OutputError


def test_a_file_appears_whole_and_alone(tmp_path) -> None:
    atomic.write_text(tmp_path / "new" / "file.txt", "naïve\n")
    assert (tmp_path / "new" / "file.txt").read_bytes() == "naïve\n".encode()
    atomic.write_json(tmp_path / "new" / "file.txt", {"a": "é"})
    assert (tmp_path / "new" / "file.txt").read_text(encoding="utf-8") == '{\n  "a": "é"\n}\n'
    assert os.listdir(tmp_path / "new") == ["file.txt"]


def test_others_may_read_what_was_written(tmp_path) -> None:
    atomic.write_bytes(tmp_path / "file", b"x")
    (tmp_path / "plain").write_bytes(b"x")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyError("x")])
def test_a_failure_leaves_the_old_file(tmp_path, error) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    expected = OutputError if isinstance(error, OSError) else KeyError
    with pytest.raises(expected), atomic.replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_is_one_line_that_names_the_file(tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="file could not be written: No space left on device"):
        atomic.write_bytes(tmp_path / "file", b"x")
    assert os.listdir(tmp_path) == []


def test_a_folder_appears_whole(tmp_path) -> None:
    target = tmp_path / "out"
    for text in ("first", "second"):
        with atomic.replacing_folder(target) as temporary:
            (temporary / "deep").mkdir()
            (temporary / "deep" / f"{text}.txt").write_text(text)
            assert not (target / "deep" / f"{text}.txt").exists()
    assert os.listdir(target / "deep") == ["second.txt"]
    assert os.listdir(tmp_path) == ["out"]


def test_a_failure_leaves_the_old_folder(tmp_path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(OutputError), atomic.replacing_folder(target) as temporary:
        (temporary / "new").write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["out"]


def test_the_old_folder_comes_back_when_the_last_rename_fails(tmp_path, monkeypatch) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("old")
    real, calls = os.replace, []

    def replace(source: object, destination: object) -> None:
        calls.append(destination)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(source, destination)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OutputError), atomic.replacing_folder(target) as temporary:
        (temporary / "new").write_text("new")
    assert os.listdir(target) == ["old"]
    assert os.listdir(tmp_path) == ["out"]


def test_what_stands_in_the_way_is_refused(tmp_path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").write_text("x")
    with pytest.raises(OutputError, match="is a directory"):
        atomic.write_bytes(tmp_path / "folder", b"")
    with (
        pytest.raises(OutputError, match="is a file"),
        atomic.replacing_folder(tmp_path / "folder" / "x"),
    ):
        pass
    with (
        pytest.raises(OutputError, match="not empty"),
        atomic.replacing_folder(tmp_path / "folder", overwrite=False),
    ):
        pass
    with pytest.raises(OutputError):
        atomic.write_bytes(tmp_path / "folder" / "x" / "y", b"")


KILLED = """
import os, sys
from pathlib import Path
from potstill.bundle import atomic
target = Path(sys.argv[1])
replace = os.replace
def killed(old, new):
    if sys.argv[2] == "between" and new == target:
        os.kill(os.getpid(), 9)  # what was there has been moved aside, the new is not there yet
    replace(old, new)
os.replace = killed
if sys.argv[2] == "file":
    with atomic.replacing(target) as temporary:
        temporary.write_bytes(b"half")
        os.kill(os.getpid(), 9)
with atomic.replacing_folder(target) as temporary:
    (temporary / "deep").mkdir()
    (temporary / "deep" / "new").write_text("new")
    if sys.argv[2] == "folder":
        os.kill(os.getpid(), 9)
"""
posix = pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")


def killed(target, how) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, target, how], check=False)
    assert done.returncode == -9


@posix
@pytest.mark.parametrize("how", ["file", "folder"])
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path, how) -> None:
    killed(tmp_path / "out", how)
    assert [name[:5] for name in os.listdir(tmp_path)] == [".out."]
    atomic.write_text(tmp_path / "other", "x")  # into the same folder, whatever its name
    assert os.listdir(tmp_path) == ["other"]


@posix
def test_what_was_moved_aside_is_put_back(tmp_path) -> None:
    target = tmp_path / "out"
    with atomic.replacing_folder(target) as temporary:
        (temporary / "old").write_text("old")
    leftovers._looked.clear()
    killed(target, "between")
    assert not target.exists()
    atomic.write_text(tmp_path / "other", "x")
    assert sorted(os.listdir(tmp_path)) == ["other", "out"]
    assert (target / "old").read_text() == "old"


def test_what_others_write_is_left_alone(tmp_path) -> None:
    mine = tmp_path / ".out.backup.part"
    mine.write_text("somebody's own")
    code = (
        "import sys; from pathlib import Path; from potstill.bundle import atomic\n"
        "with atomic.replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half'); print(flush=True); sys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", code, tmp_path / "out"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        strange = tmp_path / ".out.0123abcd-1-0123abcd.part"  # of another machine
        strange.write_text("half")
        old = tmp_path / ".out.0123abcd-2-0123abcd.part"
        old.write_text("half")
        os.utime(old, (time.time() - 100_000,) * 2)
        atomic.write_text(tmp_path / "other", "x")
        left = set(os.listdir(tmp_path))
        assert {mine.name, strange.name, "other"} < left and old.name not in left
        assert len(left) == 4  # the child's
        child.communicate(b"\n")
    assert child.returncode == 0 and (tmp_path / "out").read_bytes() == b"half"
