"""What killed jobs leave half-written is gone after the next run into that place."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import tiny
from potstill.bundle import leftovers

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
RUN = [sys.executable, "-m", "potstill"]


def left(folder):
    """Names of what is half-written, anywhere below a folder."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if leftovers._NAME.fullmatch(path.name)
    )


def killed_while_writing(command, folder, least=1):
    """Runs a command and kills it in the middle of a write below a folder: what it left there."""
    process = subprocess.Popen(
        [*RUN, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while len(left(folder)) < least:
        assert process.poll() is None and time.monotonic() < until
    process.send_signal(signal.SIGKILL)
    process.wait()
    return left(folder)


def runs(command):
    subprocess.run([*RUN, *map(str, command)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return tiny.write_model(tmp_path_factory.mktemp("reader"))


def until_it_leaves_something(command, folder):
    """Kills it as often as it takes: it may have ended its write when the signal arrives."""
    for _ in range(20):
        if found := killed_while_writing(command, folder):
            return found
    raise AssertionError("it always ended its write")


def test_an_export(reader, tmp_path):
    command = ["export", reader, tmp_path / "out", "--format", "onnx", "--format", "int8"]
    assert until_it_leaves_something(command, tmp_path)
    runs(command)
    assert left(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_bulk_job(reader, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"question": "Who won?", "context": "Denver won."}\n' * 1500)
    command = ["bulk", source, tmp_path / "out.jsonl", "--model", reader, "--part-rows", "32"]
    assert until_it_leaves_something([*command, "--overwrite"], tmp_path)
    runs(command)
    assert left(tmp_path) == []
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1500


@pytest.mark.slow
def test_a_training_run(tmp_path):
    base = tiny.write_model(tmp_path / "base", head=False)
    train = tiny.write_squad(tmp_path / "train.json", copies=8)
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'base = "{base}"\ntrain = "{train}"\nout = "{tmp_path / "run"}"\nbatch_tokens = 100\n'
        "seq_len = 128\nstride = 32\nthreads = 1\nsave_steps = 1\nmax_steps = 10\n"
    )
    process_left = killed_while_writing(["finetune", recipe], tmp_path)
    if not process_left:  # the checkpoint was whole by then: what one that dies in it leaves
        checkpoints = tmp_path / "run" / "checkpoints"
        code = (
            "import os, sys; from pathlib import Path; from potstill.bundle import atomic\n"
            "with atomic.replacing_folder(Path(sys.argv[1])) as temporary:\n"
            "    (temporary / 'model.safetensors').write_bytes(b'half')\n"
            "    os.kill(os.getpid(), 9)\n"
        )
        subprocess.run([sys.executable, "-c", code, checkpoints / "step-000000099"], check=False)
        assert left(tmp_path)
    runs(["finetune", recipe, "--resume"])
    assert left(tmp_path) == []
    assert (tmp_path / "run" / "model.safetensors").is_file()
