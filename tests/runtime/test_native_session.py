"""The engine: the same bits from every kernel, and what the graph says, within its rounding."""

from __future__ import annotations

import os
import threading

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import tiny
from potstill import QAClient
from potstill.bundle.config import read_config
from potstill.bundle.find import embedded_folder
from potstill.bundle.onnx_graph import build_graph
from potstill.bundle.onnx_weights import read_onnx_weights
from potstill.errors import InputError, ModelError
from potstill.export.int8 import int8_storage
from potstill.export.reference import forward
from potstill.runtime import native_session
from potstill.runtime.native_session import NativeSession, kernels
from potstill.runtime.runtimes import ENGINE_TOKENS
from potstill.runtime.session import OnnxSession
from potstill.text.windows import Batch

pytestmark = pytest.mark.engine

MODELS = {
    "bert": ("qa", "bert", {}),
    "distilbert tagging": ("tagging", "distilbert", {}),
    "roberta classification": ("classification", "roberta", {}),
    "electra choice": ("choice", "electra", {}),
    "bert mlm": ("mlm", "bert", {}),
    "camembert": ("qa", "camembert", {}),
    "roberta mlm": ("mlm", "roberta", {"activation": "gelu_new"}),
    "relu": ("classification", "bert", {"activation": "relu"}),
    "wide": ("qa", "bert", {"hidden_width": 132, "n_heads": 2, "ffn_width": 70, "n_layers": 1}),
    "mpnet": ("qa", "mpnet", {}),
    "mpnet mlm": ("mlm", "mpnet", {}),
    "mpnet classification": ("classification", "mpnet", {"max_positions": 300}),
    "narrow heads": ("qa", "bert", {"hidden_width": 36, "n_heads": 9}),
    "pruned": ("tagging", "bert", {"layer_heads": (1, 2), "layer_ffn": (20, 7)}),
}


def make(folder, name):
    head, model_type, options = MODELS[name]
    labels = ("one", "two", "three") if head in ("classification", "tagging") else ()
    config = tiny.config(model_type, labels=labels, **options)
    weights = tiny.weights(config, head=head)
    file = folder / "model_quantized.onnx"
    graph = build_graph(config, weights, int8_storage(config), head=head)
    file.write_bytes(graph.SerializeToString())
    return file, config, head


def rows(config, lengths, *, seed=0):
    """A batch of rows of so many tokens, padded; no id is the padding's but in the padding."""
    random = np.random.default_rng(seed)
    shape = len(lengths), max(lengths)
    mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
    ids = random.integers(5, config.vocab_size, shape) * mask + config.pad_id * (1 - mask)
    types = random.integers(0, max(config.n_token_types, 1), shape) * mask
    return Batch(ids, mask, types)


def flat(session, batch):
    """The bits of all outputs of the tokens that are no padding."""
    kept = []
    for output in session.run(batch):
        by_token = output.ndim > 1 and output.shape[1] == batch.input_ids.shape[1]
        kept.append(output[batch.attention_mask != 0] if by_token else output)
    return np.concatenate([one.ravel() for one in kept]).view(np.int32)


@pytest.mark.parametrize("name", MODELS)
def test_bits_of_all_kernels(tmp_path, name):
    file, config, head = make(tmp_path, name)
    batch = rows(config, [1, 2, 15, 16, 17, 40, 64, 100])
    said = {
        kernel: flat(NativeSession(file, config, head=head, kernel=kernel, threads=1), batch)
        for kernel in kernels()
    }
    wanted = said.pop("reference")
    assert np.isfinite(wanted.view(np.float32)).all()
    assert len(set(wanted.tolist())) > len(wanted) // 2
    for kernel, bits in said.items():
        assert np.array_equal(bits, wanted), kernel


@pytest.mark.parametrize("name", MODELS)
def test_rows_as_they_are_get_the_bits_of_a_padded_batch(tmp_path, name):
    file, config, head = make(tmp_path, name)
    session = NativeSession(file, config, head=head)
    batch = rows(config, [33, 5, 60, 1])
    lengths, second_at = batch.attention_mask.sum(axis=1), [7, 5, 59, 1]
    batch.token_type_ids[:] = 0
    for i, (at, length) in enumerate(zip(second_at, lengths, strict=True)):
        batch.token_type_ids[i, at:length] = int(config.n_token_types > 1)
    ids = [row[:length] for row, length in zip(batch.input_ids, lengths, strict=True)]
    padded = session.run(batch)
    several = session.run_each(ids, second_at if config.n_token_types > 1 else None)
    assert len(several) == len(ids)
    for i, length in enumerate(lengths):
        alone = session.run_each(ids[i : i + 1], second_at[i : i + 1])[0]
        for ours, same, output in zip(several[i], alone, padded, strict=True):
            wanted = output[i, :length] if head not in ("classification", "choice") else output[i]
            assert ours.shape == wanted.shape and ours.tobytes() == wanted.tobytes()
            assert same.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("name", MODELS)
def test_says_what_the_graph_says(tmp_path, name):
    file, config, head = make(tmp_path, name)
    batch = rows(config, [5, 33, 60])
    session = NativeSession(file, config, head=head)
    exact = forward(
        config,
        read_onnx_weights(file),
        batch.input_ids,
        batch.attention_mask,
        batch.token_type_ids,
        head,
    )
    outputs = ("start_logits", "end_logits") if head == "qa" else ("logits",)
    rounded = OnnxSession(file, outputs=outputs).run(batch)
    for ours, theirs, wanted in zip(session.run(batch), rounded, exact, strict=True):
        assert ours.shape == wanted.shape and ours.dtype == np.float32
        kept = batch.attention_mask != 0 if ours.shape[:2] == batch.input_ids.shape else slice(None)
        off, usual = np.abs(ours - wanted)[kept], np.abs(theirs - wanted)[kept]
        # Attention is rounded here and not there, and by far more finely than the products are.
        assert off.mean() < 1.2 * usual.mean() + 1e-4
        assert off.max() < 2 * usual.max() + 1e-3


def test_bits_of_a_row_alone_and_in_company(tmp_path):
    file, config, head = make(tmp_path, "bert")
    session = NativeSession(file, config, head=head, threads=2)
    batch = rows(config, [3, 128, 40, 77, 16])
    together = session.run(batch)
    for i, length in enumerate(batch.attention_mask.sum(1)):
        one = Batch(*(a[i : i + 1, :length] for a in
                      (batch.input_ids, batch.attention_mask, batch.token_type_ids)))  # fmt: skip
        for alone, all_of_them in zip(session.run(one), together, strict=True):
            assert np.array_equal(alone[0], all_of_them[i, :length])
            assert not all_of_them[i, length:].any()


def test_bits_of_any_number_of_threads():
    folder = embedded_folder()
    config = read_config(folder)
    file = folder / "onnx/model_quantized.onnx"
    batch = rows(config, [150, 7, 90])
    one = flat(NativeSession(file, config, head="qa", threads=1), batch)
    for threads in (2, 3, 8):
        assert np.array_equal(
            flat(NativeSession(file, config, head="qa", threads=threads), batch), one
        )


def test_many_threads_share_a_session(tmp_path):
    file, config, head = make(tmp_path, "wide")
    session = NativeSession(file, config, head=head, threads=2)
    batches = [rows(config, [20 + i, 5], seed=i) for i in range(8)]
    wanted = [flat(session, batch) for batch in batches]
    wrong = []

    def ask(number):
        for _ in range(20):
            if not np.array_equal(flat(session, batches[number]), wanted[number]):
                wrong.append(number)

    threads = [threading.Thread(target=ask, args=(i % 8,)) for i in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="is about fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_answers_after_a_fork():
    folder = embedded_folder()
    config = read_config(folder)
    session = NativeSession(folder / "onnx/model_quantized.onnx", config, head="qa", threads=2)
    batch = rows(config, [200])
    wanted = flat(session, batch)  # the pool has its threads now
    child = os.fork()
    if not child:
        os._exit(0 if np.array_equal(flat(session, batch), wanted) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(flat(session, batch), wanted)


@pytest.mark.parametrize("wrong", [-1, -(2**40), 10**6, 2**31, 2**32 + 7])
def test_an_id_out_of_range(tmp_path, wrong):
    file, config, head = make(tmp_path, "bert")
    batch = rows(config, [4, 9])
    batch.input_ids[1, 3] = wrong
    with pytest.raises(ModelError, match=r"row 1: token id .* at position 3 is out of range"):
        NativeSession(file, config, head=head).run(batch)


def test_a_row_too_long_or_empty(tmp_path):
    file, config, head = make(tmp_path, "bert")
    session = NativeSession(file, config, head=head)
    with pytest.raises(ModelError, match="row 0 has 129 tokens; the model takes 1 to 128"):
        session.run(rows(config, [129]))
    batch = rows(config, [3, 4])
    batch.attention_mask[0] = 0
    with pytest.raises(ModelError, match="row 0 has 0 tokens"):
        session.run(batch)


def test_a_mask_with_holes(tmp_path):
    file, config, head = make(tmp_path, "bert")
    batch = rows(config, [4, 9])
    batch.attention_mask[1, 2] = 0
    with pytest.raises(ModelError, match="holes"):
        NativeSession(file, config, head=head).run(batch)


def test_files_that_it_does_not_run(tmp_path):
    file, config, head = make(tmp_path, "bert")
    data = file.read_bytes()
    floats = tmp_path / "model.onnx"
    floats.write_bytes(build_graph(config, tiny.weights(config)).SerializeToString())
    with pytest.raises(ModelError, match="runs int8 files that Potstill wrote"):
        NativeSession(floats, config, head=head)
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="truncated, or is not an ONNX file"):
        NativeSession(file, config, head=head)
    file.write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be read"):
        NativeSession(file, config, head=head)
    with pytest.raises(ModelError, match="cannot be read"):
        NativeSession(tmp_path / "absent", config, head=head)


def test_a_head_that_the_file_has_not(tmp_path):
    file, config, _ = make(tmp_path, "bert")
    with pytest.raises(ModelError, match=r"the file has no classifier.bias"):
        NativeSession(file, config, head="tagging")


def test_weights_beyond_the_pair_limit(tmp_path):
    file, config, head = make(tmp_path, "bert")
    model = onnx.load(str(file))
    for tensor in model.graph.initializer:
        if tensor.name == "layers.1.ffn.up.weight.int8":
            tensor.raw_data = b"\x7f" * len(tensor.raw_data)
    onnx.save(model, str(file))
    with pytest.raises(ModelError, match=r"layers.1.ffn.up: weights beyond the pair limit"):
        NativeSession(file, config, head=head)


def test_options(tmp_path, monkeypatch):
    file, config, head = make(tmp_path, "bert")
    with pytest.raises(InputError, match="threads must be at least 1"):
        NativeSession(file, config, head=head, threads=0)
    with pytest.raises(InputError, match="kernel 'x' is none of those that run here: .*reference"):
        NativeSession(file, config, head=head, kernel="x")
    monkeypatch.setenv("POTSTILL_KERNEL", "reference")
    assert NativeSession(file, config, head=head).kernel == "reference"


def test_the_usual_runtime(monkeypatch, tmp_path):
    monkeypatch.delenv("POTSTILL_RUNTIME", raising=False)
    opened = QAClient.from_options("default", threads=3).opened
    assert (opened.runtime, opened.token_budget) == ("native", 3 * ENGINE_TOKENS)
    assert QAClient.from_options(tiny.write_model(tmp_path / "m")).opened.runtime == "onnxruntime"
    monkeypatch.setattr(native_session, "LIBRARY", tmp_path / "absent")
    assert QAClient.from_options("default").opened.runtime == "onnxruntime"


def test_an_installation_without_the_engine(tmp_path, monkeypatch):
    file, config, head = make(tmp_path, "bert")
    monkeypatch.setattr(native_session, "LIBRARY", tmp_path / "absent")
    native_session._library.cache_clear()
    with pytest.raises(InputError, match="this installation has no engine"):
        NativeSession(file, config, head=head)
    native_session._library.cache_clear()


def test_an_encoder_that_it_does_not_know(tmp_path):
    config = tiny.config("albert")
    graph = build_graph(config, tiny.weights(config), int8_storage(config))
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match="the engine runs no albert models"):
        NativeSession(tmp_path / "m.onnx", config, head="qa")


def test_a_table_of_distances_of_other_heads(tmp_path):
    config = tiny.config("mpnet")
    weights = tiny.weights(config)
    graph = build_graph(config, weights, int8_storage(config))
    table = next(t for t in graph.graph.initializer if t.name == "embeddings.distance.weight")
    table.CopyFrom(numpy_helper.from_array(np.zeros((32, 4), np.float32), table.name))
    (tmp_path / "m.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(ModelError, match="attention.query has 2 heads, and embeddings.distance 4"):
        NativeSession(tmp_path / "m.onnx", config, head="qa")
