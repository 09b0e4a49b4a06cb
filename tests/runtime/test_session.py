import os

import pytest
from onnx import TensorProto, helper, save

import tiny
from potstill.bundle.cache import ensure_onnx
from potstill.errors import InputError, ModelError
from potstill.runtime.session import OnnxSession, usable_cores


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return ensure_onnx(tiny.write_model(tmp_path_factory.mktemp("model")))


def test_threads(file):
    assert OnnxSession(file, threads=3).threads == 3
    assert OnnxSession(file).threads == usable_cores()
    with pytest.raises(InputError, match="at least 1"):
        OnnxSession(file, threads=0)


def test_cores():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_a_missing_file(tmp_path):
    with pytest.raises(ModelError, match="there is no ONNX file"):
        OnnxSession(tmp_path / "model.onnx")


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped"])
def test_a_damaged_file_is_one_line(file, tmp_path, damage):
    content = file.read_bytes()
    broken = {
        "cut": content[: len(content) // 2],
        "empty": b"",
        "text": b"<html>not found</html>",
        "flipped": bytes(255 - byte for byte in content),
    }[damage]
    path = tmp_path / "model.onnx"
    path.write_bytes(broken)
    with pytest.raises(ModelError, match=r"\A[^\n]*\Z") as caught:
        OnnxSession(path)
    assert str(path) in str(caught.value)


def test_names_that_are_no_text_are_one_error_and_nothing_is_printed(file, tmp_path, capfd):
    path = tmp_path / "model.onnx"
    path.write_bytes(file.read_bytes().replace(b"MatMul", b"MatMu\xaf"))
    with pytest.raises(ModelError, match="a name in it is not text"):
        OnnxSession(path)
    assert capfd.readouterr() == ("", "")


def test_a_model_of_another_task(tmp_path):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    opsets = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="takes x and gives y"):
        OnnxSession(tmp_path / "model.onnx")
