"""What is refused, how, and that the server goes on."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import socket
import time

import pytest

from potstill.errors import InputError
from potstill.serving.options import Limits, ServeOptions
from running import Running, encoded, question, wait_until

CONTEXT = "Denver Broncos won the game in Denver."
FINE = question("Who won?", CONTEXT)


@pytest.fixture(autouse=True)
def unharmed(server):
    yield
    assert server.ask("/", FINE)[0] == 200
    wait_until(lambda: server.service.n_pending == 0)


def refused(answer, status, field=None):
    found, headers, body = answer
    assert found == status, body
    error = body["error"]
    assert (error["status"], error.get("field")) == (status, field)
    assert error["message"]
    assert "\n" not in error["message"]
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "inputs"),
        ([], 400, None),
        ({"inputs": []}, 400, "inputs"),
        ({"inputs": "text"}, 422, "inputs"),
        ({"inputs": {"question": "Who?"}}, 422, "inputs.context"),
        ({"inputs": [FINE["inputs"], {"context": "x"}]}, 422, "inputs.1.question"),
        (question(" ", CONTEXT), 400, "inputs.question"),
        (question("Who?", "\n"), 400, "inputs.context"),
        ({"inputs": [FINE["inputs"], {"question": "?", "context": ""}]}, 400, "inputs.1.context"),
        (question("Who?", "\u200b\u200b\x00"), 400, "inputs"),
        (question(1, CONTEXT), 422, "inputs.question"),
        (question("Who?", CONTEXT, top_k=0), 422, "parameters.top_k"),
        (question("Who?", CONTEXT, topK="3"), 422, "parameters.topK"),
        (question("Who?", CONTEXT, top_k=10**30), 422, "parameters.top_k"),
        (question("Who?", CONTEXT, top_k=1.5), 422, "parameters.top_k"),
        (question("Who?", CONTEXT, top_k=True), 422, "parameters.top_k"),
        (question("Who?", CONTEXT, nonsense=1), 422, "parameters.nonsense"),
        (question("Who?", CONTEXT, max_seq_len=4000), 422, "parameters.max_seq_len"),
        (question("who " * 300, CONTEXT), 422, "inputs.question"),
        (FINE | {"extra": 1}, 422, "extra"),
        (FINE | {"timeout_ms": 0}, 422, "timeout_ms"),
        (FINE | {"model": "nothere"}, 404, "model"),
        (FINE | {"model": 3}, 422, "model"),
        ({"inputs": [FINE["inputs"]] * 129}, 413, "inputs"),
        (question("Who?", "a " * 100_001), 413, "inputs.context"),
        (question("Who?", "the game " * 20_000, max_seq_len=12, doc_stride=1), 413, "inputs"),
        ({"model": "tagger", "inputs": "x", "parameters": {"top_k": 1}}, 422, "parameters.top_k"),
        ({"model": "tagger", "inputs": {"text": "x", "text_pair": "y"}}, 422, "inputs.text_pair"),
        ({"model": "classifier", "inputs": ["fine", " "]}, 400, "inputs.1"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(server, body, status, field):
    refused(server.ask("/", body), status, field)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b'{"inputs": NaN}', b'{"timeout_ms": -Infinity}',
        b"[" * 100_000, b'{"a":' * 50_000,
        b'{"inputs": {"question": "\\ud800", "context": "x"}}', b"1" * 100_000,
        b'{"inputs": {"question": "a", "context": "\\ud83d lone"}}', b"null", b'"text"',
    ],
)  # fmt: skip
def test_what_is_no_json_is_a_bad_request(server, body):
    refused(server.ask("/", body if body else b" "), 400)


def test_nul_and_odd_characters_are_text(server):
    for context in ("Denver\0Broncos won.", "Denver 🏈 won\u202e.", "e\u0301 won \ufffd."):
        status, _, found = server.ask("/", question("Who\0 won?", context))
        assert status == 200
        assert context[found["start"] : found["end"]] == found["answer"]


def test_a_body_that_is_too_large(server):
    refused(server.ask("/", b" " * 10_000_000), 413, "body")
    head = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n"
    assert server.send(head)[0] == 413


def test_compressed_bodies_are_not_opened(server):
    bomb = gzip.compress(b" " * 10_000_000)
    refused(server.ask("/", bomb, content_encoding="gzip"), 415)


def test_other_types_of_content_are_refused(server):
    refused(server.ask("/", encoded(FINE), content_type="text/plain"), 415)
    status, _, _ = server.ask("/", encoded(FINE), content_type="application/json; charset=utf-8")
    assert status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothere", 404), ("DELETE", "/", 405), ("GET", "/question-answering", 405),
        ("GET", "/static/../app.py", 404), ("GET", "/static/..%2fapp.py", 404),
        ("GET", "/static/%2e%2e/%2e%2e/cli/serve.py", 404), ("GET", "/static//etc/passwd", 404),
        ("GET", "/static/%00", 404), ("GET", "/static/" + "a" * 5000, 404),
        ("POST", "/v1/models/nothere:predict", 404), ("GET", "/v1/models/%ff", 404),
    ],
)  # fmt: skip
def test_paths_that_lead_nowhere(server, method, path, status):
    body = b'{"instances": []}' if method == "POST" else b""
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\n\r\n"
    data = head.encode()
    found, _, answer = server.send(data + body)
    assert found == status
    assert json.loads(answer)["error"]["status"] == status


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({}, "instances"),
        ({"instances": [{}]}, "instances.0.input_ids"),
        ({"instances": [{"input_ids": [10**9]}]}, "instances.0.input_ids"),
        ({"instances": [{"input_ids": [-1]}]}, "instances.0.input_ids"),
        ({"instances": [{"input_ids": [2] * 129}]}, "instances.0.input_ids"),
        ({"instances": [{"input_ids": [2, 3], "attention_mask": [0, 1]}]},
         "instances.0.attention_mask"),
        ({"instances": [{"input_ids": [2, 3], "attention_mask": [0, 0]}]},
         "instances.0.attention_mask"),
        ({"instances": [{"input_ids": [2, 3], "token_type_ids": [1, 0]}]},
         "instances.0.token_type_ids"),
        ({"instances": [{"input_ids": [2, 3], "ids": [1]}]}, "instances.0.ids"),
        ({"inputs": {"input_ids": [[2], [2, 3]]}}, "inputs.input_ids"),
        ({"inputs": {"input_ids": [[2]], "attention_mask": []}}, "inputs"),
        ({"instances": [{"input_ids": [2.5]}]}, "instances.0.input_ids.0"),
        ({"instances": [{"input_ids": [2]}], "signature_name": "other"}, "signature_name"),
    ],
)  # fmt: skip
def test_tensors_that_cannot_be_run(server, call, field):
    refused(server.ask("/v1/models/reader:predict", call), 422, field)


def test_bytes_that_are_no_http(server):
    status, headers, body = server.send(b"\x16\x03\x01 nonsense\r\n\r\n")
    assert (status, headers["connection"]) == (400, "close")
    assert json.loads(body)["error"]["kind"] == "bad-request"


START = b"GET /live HTTP/1.1\r\nhost: localhost\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"


def fields(n):
    return b"".join(b"x-%d: %s\r\n" % (i, b"a" * 1000) for i in range(n))


@pytest.mark.parametrize(
    "data",
    [
        START + fields(1000) + b"\r\n",
        START + fields(40) + b"\r\n",
        START + b"x: " + b"a" * 1_000_000,
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n",
        CHUNKED + b"1\r\n{\r\n0\r\n" + fields(1000) + b"\r\n",
        CHUNKED + b"1;" + b"a" * 1_000_000,
    ],
    ids=["fields", "a few fields", "one value", "path", "after the body", "beside the body"],
)
def test_a_flood_of_headers(server, data):
    status, _, body = server.send(data)
    assert status == 400
    assert json.loads(body)["error"]["kind"] == "bad-request"


def test_requests_may_follow_one_another_without_a_pause(server):
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(2 * (START + fields(20) + b"\r\n") + START + b"connection: close\r\n\r\n")
        with line.makefile("rb") as answers:
            assert answers.read().count(b"HTTP/1.1 200 OK") == 3


def test_those_who_are_slow_are_not_waited_for(folders):
    limits = Limits(read_timeout_s=0.3)
    options = ServeOptions(models={"r": folders["reader"]}, limits=limits)
    with Running(options, load=False) as running:
        body = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 50\r\n\r\n{"
        for data in (b"", b"POST / HTTP/1.1\r\nhost:", body):
            began = time.monotonic()
            status, _, answer = running.send(data)
            assert status == json.loads(answer)["error"]["status"] == 408
            assert 0.2 < time.monotonic() - began < 10


@pytest.mark.parametrize(
    "head",
    [
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 500\r\n\r\n",
        b"POST / HTTP/1.1\r\nx-slow: ",
    ],
)
def test_bytes_that_trickle_in_do_not_set_the_clock_back(folders, head):
    limits = Limits(read_timeout_s=0.5)
    options = ServeOptions(models={"r": folders["reader"]}, limits=limits)

    async def trickle(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        began = time.monotonic()
        answer = asyncio.create_task(reader.read())
        while not answer.done():
            assert time.monotonic() - began < 10
            with contextlib.suppress(ConnectionError):
                writer.write(b"x")
                await writer.drain()
            await asyncio.sleep(0.02)
        writer.close()
        return answer.result()

    def said(port):
        for _ in range(9):  # what comes after the end is answered by a reset, which may overtake it
            with contextlib.suppress(ConnectionResetError):
                return asyncio.run(trickle(port))
        raise AssertionError("every connection was reset")

    with Running(options, load=False) as running:
        assert b" 408 " in said(running.port).partition(b"\r\n")[0]
        wait_until(lambda: not running.server.server_state.connections)


def test_hundreds_of_slow_connections_leave_room_for_others(server):
    """The slow-loris attack: heads that never end, many at a time."""

    async def attack():
        held = []
        for _ in range(300):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"POST / HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
            held.append(writer)
        found = await asyncio.to_thread(server.ask, "/", FINE)
        for writer in held:
            writer.close()
        return found

    assert asyncio.run(attack())[0] == 200
    wait_until(lambda: len(server.server.server_state.connections) < 10)


def test_one_connection_too_many_is_closed(folders):
    limits = Limits(max_connections=2)
    options = ServeOptions(models={"r": folders["reader"]}, limits=limits)
    with Running(options, load=False) as running:
        held = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(2)]
        wait_until(lambda: len(running.server.server_state.connections) == 2)
        assert running.send(b"GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n")[0] == 503
        for one in held:
            one.close()
        wait_until(lambda: not running.server.server_state.connections)
        assert running.ask("/live")[0] == 200


def test_a_deadline_that_cannot_be_kept(server, monkeypatch):
    lane = server.service.batcher.lanes["reader"]
    run = lane.session.run

    class Slow:
        def run(self, batch):
            time.sleep(0.3)
            return run(batch)

    monkeypatch.setattr(lane, "session", Slow())
    refused(server.ask("/", FINE | {"timeout_ms": 50}), 504)


def test_who_hangs_up_is_dropped(server):
    before = server.service.metrics.dropped.labels("disconnect")._value.get()
    long = question("Who won?", "The old king built a tower. " * 2000)

    async def hang_up():
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        body = encoded(long)
        writer.write(
            b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        await writer.drain()
        while not server.service.n_waiting:
            await asyncio.sleep(0.002)
        writer.close()

    asyncio.run(asyncio.wait_for(hang_up(), 30))
    wait_until(lambda: server.service.n_pending == 0)
    assert server.service.n_waiting == 0
    assert server.service.metrics.dropped.labels("disconnect")._value.get() == before + 1


@pytest.mark.parametrize(
    "options",
    [
        {"models": {}}, {"workers": 0}, {"threads": 0}, {"token": " "},
        {"drain_timeout_s": -1.0}, {"drain_delay_s": float("nan")},
    ],
)  # fmt: skip
def test_options_out_of_range(options):
    with pytest.raises(InputError):
        ServeOptions(**options)
    for name in ("max_body", "timeout_ms", "max_queue"):
        with pytest.raises(InputError, match=name):
            Limits(**{name: 0})
