"""Runtimes by name, and what is said where one cannot be had."""

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch

from potstill import QAClient
from potstill.bundle.cache import ensure_onnx
from potstill.errors import InputError, MissingExtraError
from potstill.runtime import machine, openvino_session
from potstill.runtime.runtimes import RUNTIMES
from potstill.runtime.session import OnnxSession
from potstill.runtime.torch_session import TorchSession

ASKED = ("Who won the game?", "Denver Broncos won the game in Denver.")


def test_names():
    assert RUNTIMES == (
        "native", "onnxruntime", "onnxruntime:cuda", "openvino", "openvino:bf16",
        "torch", "torch:bf16", "torch:cuda", "torch:cuda-bf16",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["x", "onnxruntime:bf16", "openvino:", "auto:bf16", "torch:"])
def test_no_such_runtime(folder, name):
    with pytest.raises(InputError, match="is none of auto, native, onnxruntime"):
        QAClient.from_options(folder, runtime=name)


def test_torch_reads_the_floats(folder):
    before = torch.get_num_threads()
    client = QAClient.from_options(folder, runtime="torch", threads=1)
    assert isinstance(client.session, TorchSession)
    found, wanted = client.predict(*ASKED), QAClient.from_options(folder).predict(*ASKED)
    assert (found.text, found.start) == (wanted.text, wanted.start)
    assert found.score == pytest.approx(wanted.score, abs=1e-5)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("options", [{"precision": "int8"}, {"onnx_file": "model.onnx"}])
def test_torch_reads_no_onnx_file(folder, options):
    with pytest.raises(InputError, match="omit precision and onnx_file"):
        QAClient.from_options(folder, runtime="torch", **options)


@pytest.mark.parametrize("name", ["torch:bf16", "openvino:bf16"])
def test_a_processor_without_bf16(folder, monkeypatch, name):
    monkeypatch.setattr(machine, "has_bf16", lambda: False)
    monkeypatch.setattr(openvino_session, "has_bf16", lambda: False)
    with pytest.raises(InputError, match=f"has no bf16 for {name}: use {name[:-5]}"):
        QAClient.from_options(folder, runtime=name)


def test_torch_in_bf16_says_about_the_same(folder, monkeypatch):
    monkeypatch.setattr(machine, "has_bf16", lambda: True)
    session = QAClient.from_options(folder, runtime="torch:bf16").session
    client = QAClient.from_options(folder)
    (said,) = client.logits_many([ASKED])
    (rough,) = QAClient(client.tokenizer, session, client.options).logits_many([ASKED])
    spread = np.std(said.windows[0].start)
    assert 0 < np.abs(said.windows[0].start - rough.windows[0].start).max() < 0.2 * spread


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
def test_no_cuda(folder):
    with pytest.raises(InputError, match="no CUDA device"):
        QAClient.from_options(folder, runtime="torch:cuda")


def test_a_provider_that_onnxruntime_lacks(folder, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.warns(RuntimeWarning, match="the CPU runs the model; install") as warned:
        client = QAClient.from_options(folder, runtime="onnxruntime:cuda")
    assert len(warned) == 1
    assert client.predict(*ASKED) == QAClient.from_options(folder).predict(*ASKED)


@pytest.mark.parametrize(("name", "extra"), [("openvino", "openvino"), ("torch", "train")])
def test_a_runtime_that_is_not_installed(folder, monkeypatch, name, extra):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"pip install 'potstill\[{extra}\]'"):
        QAClient.from_options(folder, runtime=name)


def test_a_processor_says_what_it_can(monkeypatch):
    assert machine.processor()
    assert list(machine.abilities()) == sorted(machine.abilities())
    told = ["model name\t: Some CPU", "flags\t\t: fpu avx2 avx512_bf16 amx_int8 ht"]
    monkeypatch.setattr(machine, "_cpuinfo", lambda: told)
    for cached in (machine.processor, machine.abilities):
        cached.cache_clear()
    try:
        assert machine.processor() == "Some CPU"
        assert machine.abilities() == ("amx_int8", "avx2", "avx512_bf16")
        assert machine.has_bf16()
        machine.abilities.cache_clear()
        monkeypatch.setattr(machine, "_cpuinfo", list)
        assert machine.abilities() == ()
        assert not machine.has_bf16()
    finally:
        for cached in (machine.processor, machine.abilities):
            cached.cache_clear()


def test_cores_are_shared_out_among_workers(folder, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 6)
    opened = [
        QAClient.from_options(folder, **options).opened.layout
        for options in ({}, {"workers": 2}, {"workers": "auto"}, {"workers": "auto", "threads": 2})
    ]
    assert [(one.workers, one.threads) for one in opened] == [(1, 6), (2, 3), (6, 1), (3, 2)]
    with pytest.raises(InputError, match="workers must be at least 1"):
        QAClient.from_options(folder, workers=0)


def test_onnxruntime_computes_with_the_threads_asked_for(folder):
    session = QAClient.from_options(folder, threads=3).session
    assert isinstance(session, OnnxSession)
    assert session.threads == 3
    assert session.file == ensure_onnx(folder)


def test_a_first_answer_imports_nothing_of_tuning(folder):
    code = (
        "import sys; from potstill import QAClient; "
        "QAClient.from_options(sys.argv[1]).predict('who', 'Denver won.'); "
        "print([n for n in sys.modules if 'tuning' in n or 'evidence' in n or n == 'openvino'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_openvino_is_found_where_it_is_installed():
    from potstill.runtime.runtimes import versions

    found = versions()
    assert found["onnxruntime"]
    assert ("openvino" in found) == (importlib.util.find_spec("openvino") is not None)
