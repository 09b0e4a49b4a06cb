from __future__ import annotations

import pytest
from click.testing import CliRunner

import tiny
from potstill.cli import main


def run(*words: object):
    return CliRunner().invoke(main, ["export", *map(str, words)])


@pytest.fixture
def model(tmp_path):
    return tiny.write_model(tmp_path / "model")


def test_export_and_check(model, tmp_path) -> None:
    out = tmp_path / "out"
    done = run(model, out, "--format", "hf", "--format", "int8", "--check")
    assert done.exit_code == 0, done.output
    assert (out / "model.safetensors").is_file() and (out / "onnx/model_quantized.onnx").is_file()
    assert "hash as written" in done.stdout
    assert "max |Δ|" in done.stderr
    assert run("--check", out).exit_code == 0


def test_hf_is_the_default_format(model, tmp_path) -> None:
    assert run(model, tmp_path / "out").exit_code == 0
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert not (tmp_path / "out" / "onnx").exists()


def test_a_changed_file_is_one_line_and_exit_1(model, tmp_path) -> None:
    run(model, tmp_path / "out")
    (tmp_path / "out" / "config.json").write_text((model / "config.json").read_text() + " ")
    done = run("--check", tmp_path / "out")
    assert done.exit_code == 1
    assert done.stderr.startswith("potstill: error: ") and done.stderr.count("\n") == 1


def test_the_gate(model, tmp_path) -> None:
    data = tiny.write_squad(tmp_path / "dev.json")
    done = run(model, tmp_path / "out", "--format", "int8", "--gate", data, "--max-drop", "100")
    assert done.exit_code == 0, done.output
    assert "F1 " in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["model"],
        ["model", "out", "--format", "pickle"],
        ["model", "out", "--max-drop", "1"],
        ["model", "out", "--gate", "x", "--max-drop", "-1"],
        ["model", "--check", "--format", "hf"],
    ],
)
def test_usage_errors(words) -> None:
    assert run(*words).exit_code == 2


def test_missing_models_and_data(model, tmp_path) -> None:
    for words in (
        [tmp_path / "no", tmp_path / "out"],
        [model, tmp_path / "out", "--gate", tmp_path / "no.json"],
        [model, model],
    ):
        done = run(*words)
        assert done.exit_code == 1
        assert done.stderr.startswith("potstill: error: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
