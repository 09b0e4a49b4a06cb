"""Files → their text, by a process of its own that a bad file may end."""

from __future__ import annotations

import asyncio
import io
import socket
import time
import zlib

import pytest

from pdfs import made
from potstill.documents import workers
from potstill.serving import files
from potstill.serving.faults import Refusal
from running import wait_until


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
    places = [{"start": 0, "page": 1}, {"start": text.index("Pots"), "page": 3}]
    assert found == {"text": text, "title": "", "pages": 3, "places": places}


@pytest.mark.parametrize(
    ("data", "status", "said"),
    [
        (b"no PDF at all", 422, "damaged"),
        (b"%PDF-1.4\nnothing more", 422, "damaged"),
        (made("Denver")[:200], 422, "damaged"),
        (made("Denver").replace(b"/Contents 5", b"/Contents 9"), 422, "no text"),
        (made(""), 422, "no text"),
        (made(*["\n".join(["word " * 20] * 50)] * 50), 413, "more than"),
        (b"%PDF-1.4" + b" " * 21_000_000, 413, "larger than the limit of 20000000"),
    ],
)
def test_what_cannot_be_read_is_said(server, data, status, said):
    found, _, body = send(server, data)
    assert found == status == body["error"]["status"], body
    assert said in body["error"]["message"]
    assert body["error"]["field"] == "body"
    assert send(server, made("Denver won."))[0] == 200


def test_an_encrypted_file_says_so(server):
    status, _, body = send(server, encrypted())
    assert (status, body["error"]["message"]) == (
        422,
        "the file cannot be read: the PDF is encrypted: save it without a password",
    )


def test_any_document_is_read_by_its_name(server):
    page = b"<h1>Fares</h1><table><tr><td>Bicycle<td>6</table>"
    found = server.ask("/text?name=C:%5Ca.html", page, content_type="application/octet-stream")[2]
    assert found["text"] == "Fares\n\nBicycle |\t6"
    assert found["places"] == [{"start": 0, "heading": "Fares"}]
    assert found["pages"] == 0
    text = server.ask("/text", "Köln".encode("cp1252"), content_type="application/octet-stream")
    assert text[2]["text"] == "Köln"
    bad = server.ask("/text?name=a.docx", b"PK", content_type="application/octet-stream")
    assert (bad[0], bad[2]["error"]["field"]) == (422, "body")


def test_a_file_that_unpacks_to_very_much_is_refused(server):
    bomb = made("x", packed=zlib.compress(b" " * 100_000_000, 1))
    assert len(bomb) < 1_000_000
    status, _, body = send(server, bomb)
    assert status == 422, body
    assert server.ask("/ready")[0] == 200


async def stays():
    await asyncio.Event().wait()


def test_who_hangs_up_has_the_reading_ended(server, monkeypatch, tmp_path):
    # It says that it lives, for as long as it does.
    sign = tmp_path / "alive"
    program = f"import time\nwhile True: open({str(sign)!r}, 'a').write('x'); time.sleep(.05)"
    monkeypatch.setattr(workers, "COMMAND", ("-c", program))
    for close in server.service.closing:  # those that wait are of another program
        close()
    dropped = server.service.metrics.dropped.labels("disconnect")._value
    before = dropped.get()
    monkeypatch.setattr(files, "SECONDS", 60.0)
    data = made("x")
    head = "POST /text HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/pdf\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        wait_until(sign.exists)
        assert server.service.n_pending == 1
    wait_until(lambda: server.service.n_pending == 0)
    assert dropped.get() == before + 1
    size = sign.stat().st_size
    time.sleep(0.3)
    assert sign.stat().st_size == size
    monkeypatch.undo()
    assert send(server, made("Denver won."))[2]["text"] == "Denver won."


def test_a_file_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(files, "SECONDS", 0.2)
    monkeypatch.setattr(workers, "COMMAND", ("-c", "import time; time.sleep(60)"))
    reader = files.FileReader(1000)
    with pytest.raises(Refusal, match=r"more than 0\.2 s"):
        asyncio.run(reader.read(made("x"), "a.pdf", stays))
    reader.close()


def test_only_so_many_are_read_at_once():
    async def three():
        reader = files.FileReader(1000)
        read = [
            asyncio.create_task(reader.read(made("x"), "a.pdf", stays))
            for _ in range(files.AT_ONCE)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Refusal) as raised:
            await reader.read(made("x"), "a.pdf", stays)
        assert raised.value.status == 429
        found = [await one for one in read]
        reader.close()
        return found

    assert [found["text"] for found in asyncio.run(three())] == ["x"] * files.AT_ONCE


def test_only_files_go_there_and_nowhere_else(server):
    assert send(server, made("x"), content_type="application/json")[0] == 415
    assert server.ask("/", made("x"), content_type="application/pdf")[0] == 415


def test_a_file_that_is_being_read_counts_until_a_drain_is_over(server, monkeypatch):
    pending = []

    async def slowly(self, data, name, gone):
        pending.append(server.service.n_pending)
        return {"text": "x", "title": "", "pages": 1, "places": []}

    monkeypatch.setattr(files.FileReader, "read", slowly)
    assert send(server, made("x"))[0] == 200
    monkeypatch.setattr(server.service, "taking", False)
    assert send(server, made("x"))[0] == 503
    assert pending == [1]
    wait_until(lambda: server.service.n_pending == 0)
