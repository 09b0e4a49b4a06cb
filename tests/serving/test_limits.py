"""What a request may cost, and what a server says to clients that ask for other protocols."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import psutil
import pytest

from potstill.errors import InputError
from potstill.runtime.plans import Plan
from potstill.serving.bodies import MOST_PARTS, too_many_parts
from potstill.serving.options import Limits, ServeOptions
from potstill.serving.server import make_server, within_descriptors
from potstill.serving.service import Disconnected, Service
from running import Running, encoded, question

BODY = encoded(question("Who won?", "Denver Broncos won the game."))


@pytest.fixture(scope="module")
def running():
    with Running(ServeOptions(workers=1)) as server:
        yield server


DEAR = {
    "objects": b'{"inputs":[' + b",".join([b"{}"] * 1_300_000) + b"]}",
    "lists": b'{"inputs":'
    + b"[" * 100
    + b"]," * 0
    + b",".join([b"[]"] * 1_300_000)
    + b"]" * 100
    + b"}",
    "strings": b'{"inputs":[' + b",".join([b'"ab"'] * 780_000) + b"]}",
    "fields": b"{" + b",".join(b'"k%d":1' % i for i in range(300_000)) + b"}",
    "parameters": b'{"inputs":{"question":"q","context":"c"},"parameters":{"ignore_labels":['
    + b",".join([b"{}"] * 1_300_000)
    + b"]}}",
}


@pytest.mark.parametrize("path", ["/", "/question-answering", "/predict", "/explain", "/tokenize"])
@pytest.mark.parametrize("kind", DEAR)
def test_a_body_of_many_parts_is_refused_before_it_is_parsed(running, kind, path):
    process = psutil.Process()
    before = process.memory_info().rss
    began = time.monotonic()
    status, _, said = running.ask(path, DEAR[kind])
    assert (status, said["error"]["field"]) == (413, "body")
    assert time.monotonic() - began < 5  # 16 s, and the loop's, before
    assert process.memory_info().rss - before < 200_000_000


def test_probes_are_answered_meanwhile(running):
    slowest = []
    done = threading.Event()

    def probe():
        while not done.is_set():
            began = time.monotonic()
            assert running.ask("/live")[0] == 200
            slowest.append(time.monotonic() - began)

    thread = threading.Thread(target=probe)
    thread.start()
    for _ in range(3):
        running.ask("/", DEAR["objects"])
        running.ask("/tokenize", encoded({"inputs": "word " * 39_000}))
    done.set()
    thread.join()
    assert sorted(slowest)[len(slowest) // 2] < 1


def test_items_are_counted_before_they_are_looked_at(running):
    status, _, said = running.ask("/", encoded({"inputs": [{}] * 129}))
    assert (status, said["error"]["field"]) == (413, "inputs")


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b'{"a":"' + b"{[:" * 100_000 + b'"}', False),
        (b'{"a":"' + b'\\"{' * 100_000 + b'"}', False),
        (b'{"a":"' + b"\\\\" * 50_000 + b'"}', False),
        (b'{"a":[' + b"1," * 300_000 + b"1]}", False),
        (b"[" + b"[1,2]," * (MOST_PARTS + 1) + b"1]", True),
        (b'["\\\\",' + b"{}," * (MOST_PARTS + 1) + b"1]", True),
    ],
)
def test_what_is_inside_strings_and_numbers_does_not_count(body, refused):
    assert bool(too_many_parts(body)) is refused


def test_text_of_the_largest_body_is_taken(running):
    context = 'He said: "[{no}]: \\ {yes}" in 1066. ' * 500
    status, _, said = running.ask(
        "/", encoded({**question("Who?", context), "timeout_ms": 120_000})
    )
    assert status == 200 and said["answer"]


def talk(port, *parts, gap=0.05):
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.settimeout(20)
        for part in parts:
            line.sendall(part)
            time.sleep(gap)
        found = line.recv(65536)  # hanging up before it would end the request
        line.shutdown(socket.SHUT_WR)
        while block := line.recv(65536):
            found += block
    return found


def head(*fields, body=BODY):
    lines = ["POST / HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


JAVA = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAI")
UPGRADES = [
    JAVA,
    ("Connection: upgrade", "UPGRADE: websocket"),
    ("Connection: Upgrade", "upgrade:x"),
]


@pytest.mark.parametrize("fields", UPGRADES)
@pytest.mark.parametrize("cut", [0, 1, 3, "each byte"])
def test_an_upgrade_is_ignored_and_the_body_read(running, fields, cut):
    whole = head(*fields) + BODY
    at = whole.lower().index(b"\r\nupgrade") + 2
    parts = [whole] if not cut else [whole[: at + 3], whole[at + 3 :]]
    if cut == 3:
        parts = [head(*fields), BODY]
    if cut == "each byte":
        parts = [bytes([byte]) for byte in whole]
    found = talk(running.port, *parts, gap=0.0 if cut == "each byte" else 0.05)
    assert found.count(b"HTTP/1.1 ") == 1 and b"HTTP/1.1 200" in found
    assert b"Broncos" in found


def test_the_body_of_an_upgrade_is_no_second_request(running):
    smuggled = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    found = talk(running.port, head(*JAVA, body=smuggled) + smuggled)
    assert found.count(b"HTTP/1.1 ") == 1 and b"HTTP/1.1 400" in found


def test_a_line_goes_on_behind_an_upgrade(running):
    then = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    found = talk(running.port, head(*JAVA) + BODY, then, gap=0.5)
    assert found.count(b"HTTP/1.1 200") == 2


@pytest.mark.skipif(shutil.which("javac") is None, reason="no JDK here")
def test_javas_own_client(running, tmp_path):
    text = json.dumps(BODY.decode())
    (tmp_path / "Ask.java").write_text(
        "import java.net.URI; import java.net.http.*;\n"
        "public class Ask { public static void main(String[] a) throws Exception {\n"
        "  var asked = HttpRequest.newBuilder(URI.create(a[0]))"
        '.header("content-type", "application/json")'
        f".POST(HttpRequest.BodyPublishers.ofString({text})).build();\n"
        "  var client = HttpClient.newHttpClient();\n"
        "  for (int i = 0; i < 2; i++) System.out.println(\n"
        "    client.send(asked, HttpResponse.BodyHandlers.ofString()).statusCode());\n}}\n"
    )
    command = ["java", str(tmp_path / "Ask.java"), running.url + "/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["200", "200"], done.stderr


def test_the_soft_limit_of_descriptors_is_raised_and_connections_stay_below_it():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert within_descriptors(Limits(max_connections=500)).max_connections == 500
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 500
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300));"
        "from potstill.serving.server import within_descriptors as w;"
        "from potstill.serving.options import Limits;"
        "print(w(Limits()).max_connections)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 1 <= int(done.stdout) < 300


def test_the_loops_complaints_are_lines_now_and_then(caplog):
    server = make_server(Service(ServeOptions()))
    context = {"message": "socket.accept() out of system resource", "exception": OSError(24, "x")}
    with caplog.at_level(logging.ERROR, "potstill.serving"):
        for _ in range(1000):
            server._said_by_loop(None, context)
    assert len(caplog.records) == 1 and caplog.records[0].exc_info is None


@pytest.mark.parametrize(("given", "kept"), [("abc\n", "abc"), (" abc ", "abc"), ("abc", "abc")])
def test_a_token_from_a_file_loses_its_line_break(given, kept):
    assert ServeOptions(token=given).token == kept


@pytest.mark.parametrize("given", ["a b", "a\nb", "a\tb"])
def test_a_token_that_no_header_can_carry(given):
    with pytest.raises(InputError, match="the token holds blanks"):
        ServeOptions(token=given)


@pytest.mark.skipif(
    not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN,
    reason="no such signal here, or it is ignored, as under nohup",
)
def test_sighup_drains():
    command = [sys.executable, "-m", "potstill", "serve", "--port", "0", "--workers", "1"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while "listening on" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)
    assert process.returncode == 0


def status_of(running, host):
    return running.send(f"GET /info HTTP/1.1\r\n{host}\r\n".encode())[0]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("Host: localhost:8080\r\n", 200),
        ("Host: LOCALHOST.\r\n", 200),
        ("Host: a.localhost\r\n", 200),
        ("Host: 10.0.0.7:80\r\n", 200),
        ("Host: [::1]:8080\r\n", 200),
        ("Host: evil.example\r\n", 421),
        ("Host: evil.example:8080\r\n", 421),
        ("Host: 127.0.0.1.evil.example\r\n", 421),
        ("Host: localhost.evil.example\r\n", 421),
        ("Host: [evil\r\n", 421),
    ],
)
def test_a_page_cannot_make_its_own_name_point_here(server, host, status):
    assert status_of(server, host) == status


@pytest.mark.parametrize(
    ("options", "statuses"),
    [
        ({"host_names": ("Answers.example",)}, [200, 421]),
        ({"host_names": ("*",)}, [200, 200]),
        ({"token": "t"}, [401, 401]),  # the name is not looked at
        ({"token": "t", "host_names": ("answers.example",)}, [401, 421]),
    ],
)
def test_names_that_were_given_are_the_servers(folders, options, statuses):
    with Running(ServeOptions(models={"m": folders["reader"]}, workers=1, **options)) as running:
        hosts = ("answers.example:8080", "other.example")
        assert [status_of(running, f"Host: {host}\r\n") for host in hosts] == statuses
        _, _, body = running.send(b"GET /info HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert (b"--host-name" in body) == (statuses[1] == 421)


def long_texts(n=20, size=190_000):
    unit = "The king built a tower in Paris. "
    return [f"{i} {unit * (size // len(unit))}" for i in range(n)]


TEXTS = long_texts()
LONG = {
    "/": ({"inputs": [question("Who?", text)["inputs"] for text in TEXTS]}, "inputs"),
    "/cite": ({"answer": "The king built. " * 100, "passages": TEXTS}, "passages"),
    "/highlight": ({"question": "Who built?", "passages": TEXTS}, "passages"),
    "/prune": ({"question": "Who built?", "passages": TEXTS}, "passages"),
    "classifier": ({"inputs": TEXTS, "model": "classifier"}, "inputs"),
    "tagger": ({"inputs": TEXTS, "model": "tagger"}, "inputs"),
}


@pytest.mark.parametrize("path", LONG)
def test_texts_that_are_long_together_are_refused_before_they_are_tokenized(server, path):
    call, field = LONG[path]
    data = encoded(call)
    assert len(data) > 3_700_000
    process = psutil.Process()
    before, began = process.memory_info().rss, time.monotonic()
    status, _, said = server.ask(path if path[0] == "/" else "/predict", data)
    assert (status, said["error"]["field"]) == (413, field)
    assert "the limit is 300000" in said["error"]["message"]
    assert process.memory_info().rss - before < 64_000_000
    assert time.monotonic() - began < 3  # tens of seconds before


def test_equal_texts_count_once(server):
    """Many questions of one context, which is tokenized once."""
    context = "Denver Broncos won the game. " * 200
    inputs = [question(f"Who won {i}?", context)["inputs"] for i in range(100)]
    assert server.ask("/", {"inputs": inputs[:2] * 50, "timeout_ms": 100_000})[0] == 200
    differing = [{**one, "context": f"{i} {context}"} for i, one in enumerate(inputs)]
    assert server.ask("/", {"inputs": differing})[0] == 413


@pytest.mark.parametrize(
    ("path", "field", "call"),
    [
        ("/", "inputs", lambda text: question("Who?", text)),
        ("/highlight", "passages", lambda text: {"question": "Who?", "passages": text}),
        (
            "/ask",
            "documents",
            lambda text: {"question": "Who?", "documents": [{"name": "a", "text": text}]},
        ),
    ],
)
def test_texts_of_a_token_a_character_are_less_long(folders, path, field, call):
    limits = Limits(max_context=100, max_text=100)
    with Running(ServeOptions(models=folders, workers=1, limits=limits)) as running:
        assert running.ask(path, call("Ida " * 20))[0] == 200
        assert running.ask(path, call("\u91d1\u4e00" * 20 + "."))[0] == 200
        status, _, said = running.ask(path, call("\u91d1\u4e00" * 26))
        assert (status, said["error"]["field"]) == (413, field)
        assert "counted twice; the limit is 100" in said["error"]["message"]


def test_documents_that_are_sent_have_a_limit_together(server):
    documents = [{"name": f"{i}", "text": "The king won. " * 3000} for i in range(8)]
    ask = {"question": "Who won?", "documents": documents}
    status, _, said = server.ask("/ask", ask)
    assert (status, said["error"]["field"]) == (413, "documents")
    assert "the limit is 300000" in said["error"]["message"]
    assert server.ask("/ask", {**ask, "documents": documents[:7]})[0] == 200


def test_a_longer_single_text_may_be_allowed(folders):
    limits = Limits(max_context=1000, max_text=10)
    with Running(ServeOptions(models=folders, workers=1, limits=limits)) as running:
        assert running.ask("/", question("Who?", "The king won. " * 60))[0] == 200
        two = [question("Who?", f"{i} The king won. " * 40)["inputs"] for i in range(2)]
        assert running.ask("/", {"inputs": two})[0] == 413


def test_plans_that_nobody_waits_for_are_not_made(server):
    """Who hangs up while a request is prepared: what is not prepared yet is left."""
    service, name = server.service, next(iter(server.service.models))
    begun, gone, made = threading.Event(), threading.Event(), []

    def plans():
        for i in range(1000):
            made.append(i)
            begun.set()
            gone.wait(10)
            yield Plan((), lambda _: None)

    async def left():
        await asyncio.to_thread(begun.wait)

    async def ask():
        with pytest.raises(Disconnected):
            await service.answer(name, plans, None, left)

    asyncio.run(ask())
    gone.set()
    service._pool.submit(int).result(20)  # behind it
    time.sleep(0.1)
    assert len(made) <= 2
