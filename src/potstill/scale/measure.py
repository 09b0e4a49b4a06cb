"""This machine, asked: a server is started as users start it, and timed for a few seconds."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from potstill.bundle.cache import cache_folder, ensure_onnx
from potstill.bundle.find import find_model
from potstill.bundle.machine import describe_machine
from potstill.bundle.manifest import sha256_of
from potstill.errors import MissingExtraError, ModelError
from potstill.runtime.qa import QAClient
from potstill.scale.profile import Profile, read_profile, write_profile
from potstill.scale.sampling import Sampling, Setup, get_json, tools
from potstill.tasks.table import task_of

_START_S = 120.0


def profile_of(setup: Setup, *, anew: bool = False) -> tuple[Profile, bool]:
    """The profile of this machine: the one kept in the cache, or measured now and kept there.

    Args:
        setup: what to measure.
        anew: measure even where there is one.

    Returns:
        The profile, and whether it was measured now.

    Raises:
        ModelError: the model cannot be served, or answers no questions.
        MissingExtraError: the server is not installed.
    """
    folder = _reader(setup.model)
    sha256 = sha256_of(ensure_onnx(folder))
    known = json.dumps([sha256, setup.n_workers, setup.threads, describe_machine(), tools()])
    name = hashlib.sha256(known.encode()).hexdigest()[:32]
    path = cache_folder() / "profiles" / f"{name}.json"
    if path.is_file() and not anew:
        return read_profile(path), False
    profile = measure(setup, sha256=sha256)
    write_profile(path, profile)
    return profile, True


def measure(setup: Setup, *, sha256: str = "") -> Profile:
    """Starts a server of its own, times it and ends it.

    Raises:
        ModelError: the model cannot be served, or answers no questions.
        MissingExtraError: the server is not installed.
    """
    _reader(setup.model)
    # Opened here first: what is wrong with a model is said in its own words.
    reader = QAClient.from_options(setup.model, threads=setup.threads)
    with serving(setup) as port, closing(Sampling(port, reader, setup)) as sampling:
        sampling.go(setup.seconds)
        return sampling.profile(sha256=sha256)


@contextmanager
def serving(setup: Setup) -> Generator[int, None, None]:
    """A server process of the model, under the name ``m``, from when it is ready: its port.

    Raises:
        ModelError: it ended, or was not ready in two minutes.
        MissingExtraError: the server is not installed.
    """
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise MissingExtraError("fastapi", "serve", "measuring this machine")
    command = [sys.executable, "-m", "potstill", "serve", "--port", "0"]
    command += ["--model", f"m={setup.model}", "--threads", str(setup.threads)]
    command += ["--workers", str(setup.n_workers)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as log:
        try:
            port = _port_of(log)
            # Its log goes on: unread, it would fill the pipe and stop the server.
            reader = threading.Thread(target=lambda: list(log), daemon=True)
            reader.start()
            try:
                _wait_until_ready(process, port)
                yield port
            finally:
                process.kill()
                reader.join()
        finally:
            process.kill()
            process.wait()


def _reader(model: str) -> Path:
    folder = find_model(model)
    task = task_of(folder)
    if not task.planned:
        raise ModelError(f"{folder} is a model for {task.name}: potstill plan counts questions")
    return folder


def _port_of(log: IO[str]) -> int:
    lines: list[str] = []
    for line in log:
        lines.append(line)
        if "listening on" in line:
            return int(json.loads(line)["message"].rpartition(":")[2])
    said = lines[-1].strip().removeprefix("potstill: error: ") if lines else "nothing was said"
    raise ModelError(f"the server did not start: {said}")


def _wait_until_ready(process: subprocess.Popen[str], port: int) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        try:
            if get_json(port, "/ready").get("ready"):
                return
        except (OSError, http.client.HTTPException):
            pass
        if process.poll() is not None:
            raise ModelError(f"the server of the measurement ended with {process.returncode}")
        time.sleep(0.05)
    raise ModelError(f"the server was not ready in {_START_S:g} s: is the model very large?")
