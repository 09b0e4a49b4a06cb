"""OpenVINO where a session is expected."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import tiny
from potstill import Classifier, QAClient
from potstill.bundle.cache import ensure_onnx
from potstill.bundle.heads import LOGITS
from potstill.errors import InputError, ModelError
from potstill.runtime.openvino_session import OpenVinoSession
from potstill.runtime.session import OnnxSession
from potstill.text.windows import pad

pytest.importorskip("openvino", reason="needs pip install 'potstill[openvino]'")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return ensure_onnx(tiny.write_model(tmp_path_factory.mktemp("model")))


def batch(*lengths):
    random = np.random.default_rng(len(lengths))
    rows = [random.integers(5, len(tiny.VOCABULARY), n) for n in lengths]
    return pad(rows, [n // 2 for n in lengths], 0)


@pytest.mark.parametrize("lengths", [(1,), (16,), (17, 3), (40, 40, 12), (128,)])
@pytest.mark.parametrize("bucket", [1, 16])
def test_it_says_what_onnxruntime_does(file, lengths, bucket):
    rows = batch(*lengths)
    ours, theirs = (s.run(rows) for s in (OpenVinoSession(file, bucket=bucket), OnnxSession(file)))
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == np.float32
        assert one.shape == other.shape
        for row, length in zip(one - other, lengths, strict=True):
            assert np.abs(row[:length]).max() < 1e-4


def test_an_output_of_labels_is_not_cut(tmp_path):
    folder = tiny.write_model(tmp_path, head="classification", labels=tuple("abcdefgh"))
    session = OpenVinoSession(ensure_onnx(folder), outputs=LOGITS)
    (logits,) = session.run(batch(5))
    assert logits.shape == (1, 8)
    texts = ["the old king", "paris is a large city of the seine"]
    ours = Classifier.from_options(folder, runtime="openvino").logits_many(texts)
    assert np.abs(ours - Classifier.from_options(folder).logits_many(texts)).max() < 1e-4


def test_threads_share_it_and_keep_what_they_got(file):
    session = OpenVinoSession(file, threads=1, workers=2)
    batches = [batch(n) for n in range(3, 40)]
    wanted = [OnnxSession(file).run(rows) for rows in batches]
    session.warm_up(64)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(session.run, batches))
    for one, other in zip(found, wanted, strict=True):
        assert np.abs(one[0] - other[0]).max() < 1e-4


def test_what_cannot_be_run(file, tmp_path):
    with pytest.raises(InputError, match="workers must be at least 1"):
        OpenVinoSession(file, workers=0)
    with pytest.raises(ModelError, match="there is no file"):
        OpenVinoSession(tmp_path / "model.onnx")
    (tmp_path / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be run by OpenVINO"):
        OpenVinoSession(tmp_path / "model.onnx")
    with pytest.raises(ModelError):
        OpenVinoSession(file, outputs=LOGITS)
    with pytest.raises(ModelError, match="could not be run"):
        OpenVinoSession(file).run(batch(3000))


def test_a_client_of_it(tmp_path):
    folder = tiny.write_model(tmp_path)
    text, question, _ = tiny.SENTENCES[0]
    ours = QAClient.from_options(folder, runtime="openvino", workers=2)
    assert ours.opened is not None
    assert (ours.opened.runtime, ours.workers) == ("openvino", 2)
    one, other = (c.predict(question, text) for c in (ours, QAClient.from_options(folder)))
    assert one is not None
    assert other is not None
    assert (one.text, one.start) == (other.text, other.start)


FIRST = """
import os, sys, threading
import numpy as np
from potstill.runtime.openvino_session import OpenVinoSession
from potstill.text.windows import pad

session = OpenVinoSession(sys.argv[1], threads=1, workers=8)
rows, ready = pad([np.arange(5, 9)], [2], 0), threading.Barrier(8)
sys.setswitchinterval(1e-6)

def run():
    ready.wait()
    session.run(rows)

threads = [threading.Thread(target=run, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(60)
os._exit(any(thread.is_alive() for thread in threads))
"""


def test_threads_that_are_the_first_to_run_do_not_wait_for_each_other(file):
    """The bindings' first array, asked for by several threads, hung one process in four."""
    command = [sys.executable, "-c", FIRST, str(file)]
    running = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(120) for process in running] == [0] * 4
