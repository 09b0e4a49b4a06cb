"""The server under Ray Serve: the same answers, errors and drain."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner

from potstill import QAClient
from potstill.cli import main
from potstill.errors import InputError, MissingExtraError, ModelError, ModelNotFoundError
from potstill.scale import serve_on_ray
from potstill.scale.serve_on_ray import RayOptions, RayServer, Replica
from potstill.serving.options import ServeOptions
from potstill.serving.server import listen

CONTEXT = "The old king built a tower by the river Thames."
QUESTION = "What was built?"


def options(model, **more):
    return ServeOptions(models={"m": str(model)}, workers=1, **more)


def replica(model):
    values = {"models": {"m": str(model)}, "workers": 1, "limits": {}}
    return Replica(values, "error")


class NothingServed:
    """Ray, as far as a server goes whose port is taken."""

    applications = proxies = {}

    def __init__(self):
        self.serve = self
        self.ended = 0

    def is_initialized(self):
        return False

    def init(self, **_):
        pass

    def status(self):
        return self

    def shutdown(self):
        self.ended += 1


def test_a_port_that_is_taken_is_said_at_once(reader, monkeypatch):
    ray = NothingServed()
    monkeypatch.setattr(serve_on_ray, "library", lambda *_: ray)
    with listen("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*--port"):
            RayServer(options(reader), RayOptions()).start("127.0.0.1", port)
    assert ray.ended == 2  # the server and the cluster, which was its own


def test_a_replica_is_a_whole_server(reader):
    """What Ray does to a replica, without Ray."""
    from starlette.testclient import TestClient

    one = replica(reader)
    client = TestClient(one.__serve_build_asgi_app__(), base_url="http://localhost")
    until = time.monotonic() + 20
    while client.get("/ready").status_code != 200:
        assert time.monotonic() < until
    one.check_health()
    body = {"inputs": {"question": QUESTION, "context": CONTEXT}}
    expected = QAClient.from_options(reader).predict(
        QUESTION, CONTEXT, max_answer_tokens=15, align_to_words=True
    )
    found = client.post("/", json=body).json()
    assert (found["answer"], found["start"]) == (expected.text, expected.start)
    one.reconfigure({"draining": False})
    assert client.get("/ready").status_code == 200
    one.reconfigure({"draining": True})
    assert client.get("/ready").status_code == 503
    assert client.post("/", json=body).status_code == 200
    one._service.close()
    one.check_health()
    one._well -= 30
    with pytest.raises(ModelError, match="no longer answers"):
        one.check_health()


def test_a_replica_of_no_model_does_not_start(tmp_path):
    with pytest.raises(ModelNotFoundError):
        replica(tmp_path / "nothing")


def test_without_ray_it_says_how_to_get_it(reader, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'potstill\[ray\]'"):
        RayServer(options(reader), RayOptions())


def test_wrong_use():
    with pytest.raises(InputError, match="replicas"):
        RayOptions(replicas=0)
    found = CliRunner().invoke(main, ["serve", "--replicas", "2"])
    assert found.exit_code == 2
    assert "--engine ray" in found.stderr


def ask(port, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


@pytest.mark.slow
def test_as_typed(reader):
    """One cluster for everything: it takes seconds to start."""
    pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install 'potstill[ray]'")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "potstill", "serve", "--engine", "ray",
         "--replicas", "2", "--workers", "1", "--port", "0", "--model", f"m={reader}"],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
    )  # fmt: skip
    told = threading.Thread(target=process.stderr.read, daemon=True)
    try:
        lines = []
        while not lines or "listening on" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], lines
        port = int(json.loads(lines[-1])["message"].rpartition(":")[2])
        told.start()
        body = {"inputs": {"question": QUESTION, "context": CONTEXT}}
        expected = QAClient.from_options(reader).predict(
            QUESTION, CONTEXT, max_answer_tokens=15, align_to_words=True
        )
        for _ in range(6):
            status, found = ask(port, "/", body)
            assert (status, found["answer"]) == (200, expected.text)
        assert ask(port, "/ready")[0] == 200
        assert ask(port, "/info")[1]["workers"] == 1
        status, found = ask(port, "/", {"inputs": {"question": "", "context": CONTEXT}})
        assert (status, found["error"]["kind"]) == (400, "bad-request")
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    finally:
        process.kill()
        process.wait()
        if told.ident:
            told.join(30)
        process.stderr.close()
