"""PDFs → their text, by a process of its own that a bad file may end."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import zlib

import pytest

from pdfs import made
from potstill.serving import pdf
from potstill.serving.faults import Refusal
from potstill.serving.pdf_child import read
from running import wait_until

pytest.importorskip("pypdf", reason="the extra serve brings pypdf")


def encrypted() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(made("A secret."))))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def send(server, data, **headers):
    return server.ask("/text", data, **{"content_type": "application/pdf", **headers})


def test_the_pages_of_a_pdf(server):
    data = made("Aeneas Coffey patented\nthe column still.", "", "Pots are made of copper.")
    status, _, found = send(server, data)
    assert status == 200
    text = "Aeneas Coffey patented\nthe column still.\n\nPots are made of copper."
    assert found == {"text": text, "pages": 3}


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"no PDF at all", 422, "is no PDF"),
        (b"%PDF-1.4\nnothing more", 422, "damaged"),
        (made("Denver")[:200], 422, "damaged"),
        (made("Denver").replace(b"/Contents 5", b"/Contents 9"), 422, "no text"),
        (made(""), 422, "no text"),
        (made("word " * 50_000), 413, "more than"),
        (b"%PDF-1.4" + b" " * 21_000_000, 413, "larger than the limit of 20000000"),
    ],
)
def test_what_cannot_be_read_is_said(server, data, status, said):
    found, _, body = send(server, data)
    assert found == status == body["error"]["status"], body
    assert said in body["error"]["message"]
    assert body["error"]["field"] == "body"
    assert send(server, made("Denver won."))[0] == 200


def test_an_encrypted_file_says_so():
    assert read(encrypted(), 1000) == {
        "status": 422,
        "message": "the PDF is encrypted: save it without a password",
    }


def test_what_no_text_may_hold_is_left_out():
    lines = made("a\\000b\\001c \\(d\\)   ")
    assert read(lines, 1000)["text"] == "abc (d)"


def test_a_file_that_unpacks_to_very_much_is_refused(server):
    bomb = made("x", packed=zlib.compress(b" " * 100_000_000, 1))
    assert len(bomb) < 1_000_000
    status, _, body = send(server, bomb)
    assert status == 422, body
    assert server.ask("/ready")[0] == 200


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only time is bounded")
@pytest.mark.parametrize("does", ["bytes(10**9)", "while True: pass"])
def test_memory_and_time_of_the_child_are_bounded(does):
    code = f"from potstill.serving.pdf_child import bound; bound(1, 300)\n{does}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert done.returncode != 0


def test_a_file_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(pdf, "SECONDS", 1)
    # Whoever reads it sleeps: the clock of the parent ends that.
    monkeypatch.setattr(sys, "executable", "/bin/sh")
    monkeypatch.setattr(pdf, "COMMAND", ("-c", "exec sleep 60"))
    reader = pdf.PdfReader(1000)
    with pytest.raises(Refusal, match="could not be read in 1 s"):
        asyncio.run(reader.read(made("x")))


def test_only_so_many_are_read_at_once():
    async def three():
        reader = pdf.PdfReader(1000)
        asked = [asyncio.create_task(reader.read(made("x"))) for _ in range(pdf.AT_ONCE)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as raised:
            await reader.read(made("x"))
        assert raised.value.status == 429
        return [await one for one in asked]

    assert asyncio.run(three()) == [{"text": "x", "pages": 1}] * pdf.AT_ONCE


def test_without_pypdf_the_path_says_what_to_install(server, monkeypatch):
    monkeypatch.setattr(pdf, "find_spec", lambda name: None)
    status, _, body = send(server, made("x"))
    assert (status, "pip install" in body["error"]["message"]) == (404, True)


def test_only_pdfs_go_there_and_nowhere_else(server):
    assert send(server, made("x"), content_type="application/json")[0] == 415
    assert server.ask("/", made("x"), content_type="application/pdf")[0] == 415


def test_the_child_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "potstill.serving.pdf_child", "100", "20", "1024"],
        input=made("Denver won."), capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == b'{"text": "Denver won.", "pages": 1}\n'


def test_a_file_that_is_being_read_counts_until_a_drain_is_over(server, monkeypatch):
    pending = []

    async def slowly(self, data):
        pending.append(server.service.n_pending)
        return {"text": "x", "pages": 1}

    monkeypatch.setattr(pdf.PdfReader, "read", slowly)
    assert send(server, made("x"))[0] == 200
    monkeypatch.setattr(server.service, "taking", False)
    assert send(server, made("x"))[0] == 503
    assert pending == [1]
    wait_until(lambda: server.service.n_pending == 0)
