"""Nothing reports home: ``ask`` and ``serve`` leave no file of others and look up no host."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

SHIM = """
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
typedef int Lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
  unsigned char address[16];
  Lookup *real = (Lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
  if (!name || inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
    return real(name, service, hints, found);
  FILE *file = fopen(getenv("LOOKUPS"), "a");
  if (file) { fprintf(file, "%s\\n", name); fclose(file); }
  return EAI_FAIL;
}
"""
ASK = ["ask", "Who won?", "--context", "Denver Broncos won the game."]


@pytest.fixture
def clean(tmp_path):
    """An environment with an empty home, and what has been written and looked up since."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    kept |= {"HOME": str(home), "USERPROFILE": str(home), "LOOKUPS": str(tmp_path / "lookups")}
    kept["POTSTILL_RUNTIME"] = "onnxruntime"
    compiler = shutil.which("cc")
    if compiler and sys.platform == "linux":  # elsewhere the files alone tell
        (tmp_path / "shim.c").write_text(SHIM)
        built = [
            compiler,
            "-shared",
            "-fPIC",
            "-o",
            tmp_path / "shim.so",
            tmp_path / "shim.c",
            "-ldl",
        ]
        subprocess.run(built, check=True)
        kept["LD_PRELOAD"] = str(tmp_path / "shim.so")

    def found():
        files = [f.relative_to(home).as_posix() for f in home.rglob("*") if f.is_file()]
        foreign = [name for name in files if "/potstill/" not in f"/{name}"]
        lookups = tmp_path / "lookups"
        return foreign, lookups.read_text().split() if lookups.exists() else []

    return kept, found


def test_ask(clean):
    environment, found = clean
    command = [sys.executable, "-m", "potstill", *ASK]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "Denver Broncos" in done.stdout
    assert found() == ([], [])


def test_serve(clean):
    environment, found = clean
    command = [sys.executable, "-m", "potstill", "serve", "--port", "0", "--host", "127.0.0.1"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        line = ""
        while "listening on" not in line:
            line = process.stderr.readline()
            assert line, process.wait()
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+", line)
        body = b'{"question": "Who won?", "context": "Denver Broncos won the game."}'
        request = urllib.request.Request(
            address + "/",
            b'{"inputs":' + body + b"}",
            {"Content-Type": "application/json"},
        )
        for _ in range(200):
            try:
                with urllib.request.urlopen(request) as answer:
                    assert b"Broncos" in answer.read()
                break
            except urllib.error.URLError as error:  # it is loading
                assert getattr(error, "code", 503) == 503
                time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert found() == ([], [])


def test_whoever_wants_it_may_have_it():
    code = (
        "import os, potstill.runtime.ort as ort; ort.onnxruntime(); "
        "print(os.environ['ORT_DISABLE_TELEMETRY'])"
    )
    for given, expected in (({}, "1"), ({"ORT_DISABLE_TELEMETRY": "0"}, "0")):
        environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, **given},
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == expected


def test_a_library_that_was_loaded_before_is_told_to_be_silent(monkeypatch):
    import onnxruntime

    from potstill.runtime import ort

    told = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: told.append(True))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    ort.onnxruntime()
    assert told == [True]
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    ort.onnxruntime()
    assert told == [True]
