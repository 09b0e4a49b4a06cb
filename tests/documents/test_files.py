"""Folders of files: each is read, or named with a reason; none stops the others."""

from __future__ import annotations

import os
import sys

import pytest

from pdfs import made
from potstill.documents import files, formats, workers
from potstill.documents.document import Document, Skipped
from potstill.documents.files import read_documents
from potstill.errors import DataError


def said(folder):
    """What was read of a folder, by name: the text, or the reason."""
    found = {}
    for one in read_documents(folder):
        name = os.path.relpath(one.name, folder).replace(os.sep, "/")
        found[name] = one.text if isinstance(one, Document) else f"skipped: {one.reason}"
    return found


def test_a_folder(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.md").write_text("# Kings")
    (tmp_path / "a.pdf").write_bytes(made("Denver won."))
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "data").write_bytes(b"\0\1\2")
    for hidden in (".git", "node_modules"):
        (tmp_path / hidden).mkdir()
        (tmp_path / hidden / "x.txt").write_text("hidden")
    (tmp_path / ".hidden").write_text("hidden")
    (tmp_path / "~$lock.docx").write_text("hidden")
    found = said(tmp_path)
    assert list(found) == sorted(found, key=lambda name: ("/" in name, name))
    assert found.pop("broken.pdf").startswith("skipped: the PDF is damaged")
    assert found == {
        "a.pdf": "Denver won.",
        "b/c.md": "# Kings",
        "data": "skipped: it is not text",
        "empty.txt": "skipped: it is empty",
        "picture.png": "skipped: it is a picture",
    }


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_and_what_is_no_file(tmp_path):
    (tmp_path / "a.txt").write_text("the king")
    (tmp_path / "again.txt").symlink_to("a.txt")
    (tmp_path / "loop").symlink_to(".")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "nowhere.txt").symlink_to("missing.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    assert said(tmp_path) == {
        "a.txt": "the king",
        "again.txt": "the king",
        "loop": "skipped: it is a link to a folder: name that itself",
        "nowhere.txt": "skipped: it is a link that leads nowhere",
        "pipe.txt": "skipped: it is not a regular file",
        "round": "skipped: it is a link that leads nowhere",
    }


def test_files_that_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("the king")
    one, two = read_documents([tmp_path / "a.txt", tmp_path / "b.txt"])
    assert isinstance(one, Document)
    assert two == Skipped(str(tmp_path / "b.txt"), "it does not exist")
    assert next(read_documents("a\0b")).reason


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "format_of", lambda name, head: formats.Format("plain", "x", 10_000))
    (tmp_path / "a.txt").write_bytes(b"x" * 10_001)
    assert said(tmp_path) == {"a.txt": "skipped: it is larger than 0 MB: split it"}


@pytest.fixture
def worker():
    one = workers.Worker(seconds=20)
    yield one
    one.close()


def test_a_worker_reads_one_file_after_another(worker):
    assert worker.read(made("Denver"), "a.pdf").text == "Denver"
    child = worker._child
    with pytest.raises(DataError, match="the PDF is damaged"):
        worker.read(b"%PDF-1.4", "b.pdf")
    assert worker.read(made("Paris"), "c.pdf").text == "Paris"
    assert worker._child is child


def test_a_worker_that_dies_is_replaced(worker):
    worker.read(made("x"), "a.pdf")
    worker._child.kill()
    with pytest.raises(DataError, match="takes too much to read"):
        worker.read(made("x"), "a.pdf")
    assert worker.read(made("Paris"), "a.pdf").text == "Paris"


def test_a_file_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(workers, "COMMAND", ("-c", "import time; time.sleep(60)"))
    worker = workers.Worker(seconds=0.2)
    with pytest.raises(DataError, match=r"more than 0\.2 s"):
        worker.read(made("x"), "a.pdf")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only time is bounded")
def test_memory_of_a_worker_is_bounded():
    import subprocess

    code = "from potstill.documents.child import bound; bound(300)\nbytes(10**9)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode != 0
    assert b"MemoryError" in done.stderr


def test_whoever_stops_early_leaves_nothing_running(tmp_path):
    for i in range(40):
        (tmp_path / f"{i:02}.pdf").write_bytes(made(f"number {i}"))
    stream = read_documents(tmp_path)
    assert next(stream).text == "number 0"
    stream.close()
