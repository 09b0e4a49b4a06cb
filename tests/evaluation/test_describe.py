import json

import pytest

from potstill.bundle.manifest import Manifest, write_manifest
from potstill.data.qa import load_qa
from potstill.errors import ConfigError
from potstill.evaluation.describe import compare_models, describe_model, describe_qa
from potstill.text.tokenizer import Tokenizer

CONFIG = {
    "model_type": "bert",
    "vocab_size": 50,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
    "type_vocab_size": 2,
}


@pytest.fixture
def tokenizer(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "one", "two"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    return Tokenizer.from_folder(tmp_path)


def test_counts_windows_and_lengths(tmp_path, tokenizer):
    long = "one two " * 10
    rows = [
        {"question": "who", "context": "one two", "answer": "one"},
        {"question": "who who", "context": "one two", "answer": ["one", "two"]},
        {"question": "who", "context": long, "answer": ""},
        {"question": "who " * 20, "context": "one", "answer": "one", "answer_start": 1},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = describe_qa(load_qa(path), tokenizer, seq_len=14, stride=5)
    assert found["questions"] == 4
    assert found["contexts"] == 3
    assert found["answers"] == 4
    assert found["answers_per_question"] == {"0": 1, "1": 2, "2": 1}
    assert (found["unanswerable"], found["wrong_offsets"], found["unplaced"]) == (1, 1, 0)
    # The long context: 10 tokens fit beside its question, 5 of them shared, so 0-10, 5-15, 10-20.
    assert (found["windows"], found["too_long_questions"]) == (5, 1)
    assert found["window_tokens"] == {
        "mean": pytest.approx((6 + 7 + 3 * 14) / 5),
        "median": 14.0,
        "p95": 14.0,
        "max": 14,
        "total": 55,
    }
    assert found["context_tokens"]["max"] == 20
    assert found["question_tokens"]["total"] == 24
    json.dumps(found)


def test_nothing_but_too_long_questions(tmp_path, tokenizer):
    path = tmp_path / "a.csv"
    path.write_text(f"question,context\n{'who ' * 20},one\n")
    found = describe_qa(load_qa(path), tokenizer, seq_len=14, stride=5)
    assert (found["windows"], found["window_tokens"]["mean"]) == (0, 0.0)


def test_describes_a_model_by_its_config(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"12345")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "hidden").write_text("x")
    found = describe_model(tmp_path, seq_len=10)
    tables = (50 + 32 + 2) * 8
    layer = 4 * (8 * 8 + 8) + 2 * 8 * 16 + 16 + 8 + 4 * 8
    rest = 2 * layer + 2 * 8 + (8 * 2 + 2)
    assert found["parameters"] == tables + rest
    assert found["parameters_without_embeddings"] == rest
    assert list(found["files"]) == ["config.json", "onnx/model.onnx"]
    assert found["files"]["onnx/model.onnx"] == 5
    assert found["bytes"] == sum(found["files"].values())
    assert found["manifest"] is None
    write_manifest(tmp_path, Manifest(name="tiny", scores={"f1": 80.0}))
    assert describe_model(tmp_path)["manifest"]["scores"] == {"f1": 80.0}
    json.dumps(describe_model(tmp_path))


def test_models_side_by_side(tmp_path):
    described = []
    for name, n_layers, n_bytes in (("teacher", 2, 100), ("student", 1, 25)):
        folder = tmp_path / name
        (folder / "onnx").mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": n_layers}))
        (folder / "onnx" / "model.onnx").write_bytes(b"x" * n_bytes)
        (folder / f"{name}.txt").touch()
        described.append(describe_model(folder))
    teacher, student = compare_models(described)
    assert set(teacher["ratio_to_first"].pop("files").values()) == {1.0}
    assert set(teacher["ratio_to_first"].values()) == {1.0}
    ratio = student["ratio_to_first"]
    assert ratio["files"]["onnx/model.onnx"] == 0.25
    assert "student.txt" not in ratio["files"]
    assert ratio["parameters"] == student["parameters"] / teacher["parameters"]
    assert ratio["parameters_without_embeddings"] < ratio["parameters"] < 1
    assert ratio["flops_per_token"] == pytest.approx(0.5, rel=0.01)
    assert ratio["bytes"] < 1
    assert {k: v for k, v in student.items() if k != "ratio_to_first"} == described[1]


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(ConfigError, match="is it a model folder"):
        describe_model(tmp_path)


def test_a_pruned_model_is_described_layer_by_layer(tmp_path):
    pruned = CONFIG | {"pruned_heads": {"1": [0]}, "intermediate_sizes": [16, 4]}
    whole, small = tmp_path / "whole", tmp_path / "small"
    for folder, values in ((whole, CONFIG), (small, pruned)):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(values))
    full, found = describe_model(whole, seq_len=10), describe_model(small, seq_len=10)
    assert (full["layer_heads"], full["layer_ffn"]) == ([2, 2], [16, 16])
    assert (found["layer_heads"], found["layer_ffn"]) == ([2, 1], [16, 4])
    gone = 4 * (4 * 8) + 3 * 4 + 2 * 8 * 12 + 12  # one head of width 4, twelve neurons
    assert full["parameters"] - found["parameters"] == gone
    assert full["flops_per_token"] - found["flops_per_token"] == 2 * (
        4 * 8 * 4 + 2 * 10 * 4 + 2 * 8 * 12
    )
