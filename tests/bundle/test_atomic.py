from __future__ import annotations

import errno
import os

import pytest

from potstill.bundle import atomic
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
