import json
import re
import shutil

import pytest
from click.testing import CliRunner

from potstill.bundle.manifest import Manifest, write_manifest
from potstill.cli import main


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "tiny [draft]"
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "one", "two"]
    (folder / "vocab.txt").write_text("\n".join(words))
    config = {"vocab_size": 8, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", **config}))
    return folder


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("question,context,answer\nwho,one two,two\nwho,one,\n")
    return path


def run(*arguments, **how):
    return CliRunner().invoke(main, ["info", *map(str, arguments)], **how)


def test_data_as_json(data, model):
    result = run(data, "--model", model, "--json")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["kind"] == "data"
    assert (values["questions"], values["answers"], values["unanswerable"]) == (2, 1, 1)
    assert (values["seq_len"], values["stride"], values["windows"]) == (384, 128, 2)


def test_data_for_people(data, model):
    result = run(data, "--model", model, "--seq-len", 5, "--stride", 0)
    assert result.exit_code == 0, result.stderr
    assert "3 of at most 5 tokens, 0 shared" in result.stdout
    assert "own.csv" in result.stdout


def test_model_as_json(model):
    values = json.loads(run(model, "--json").stdout)
    assert (values["kind"], values["model_type"], values["n_layers"]) == ("model", "bert", 1)
    assert set(values["files"]) == {"config.json", "vocab.txt"}


def test_model_for_people(model):
    write_manifest(
        model, Manifest(name="tiny", licence="Apache-2.0", scores={"squad": {"f1": 80.123}})
    )
    result = run(model)
    assert result.exit_code == 0, result.stderr
    said = " ".join(result.stdout.split())  # a long path goes over two lines
    assert "tiny [draft]" in said
    assert "without embeddings" in said
    assert "f1 80.12" in said


@pytest.fixture
def student(model, tmp_path):
    folder = tmp_path / "student"
    folder.mkdir()
    config = json.loads((model / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}))
    (folder / "model.safetensors").write_bytes(b"x" * 2500)
    return folder


def test_two_models_as_json(model, student):
    alone = [json.loads(run(one, "--json").stdout) for one in (model, student)]
    values = json.loads(run(model, student, "--json").stdout)
    ratios = [one.pop("ratio_to_first") for one in values]
    assert values == alone
    assert ratios[0]["parameters"] == 1
    assert ratios[1]["parameters"] == alone[1]["parameters"] / alone[0]["parameters"]


def test_two_models_for_people(model, student):
    result = run(model, student, "--seq-len", 16)
    assert result.exit_code == 0, result.stderr
    assert "tiny [draft]" in result.stdout
    lines = {line.split("  ")[0].strip(): line for line in result.stdout.splitlines()}
    assert "3,072" in lines["ffn_width"]
    assert "×" in lines["parameters"]
    assert "×" in lines["FLOPs a token"] and "\n  in a row of 16 " in result.stdout
    assert "×" not in lines["n_layers"]
    assert lines["model.safetensors"].split()[1:] == ["-", "2.5", "kB"]
    assert "vocab.txt" not in result.stdout


def test_many_models_are_never_cut_short(model, tmp_path):
    """At 80 columns: in as many tables as it takes, each with the first."""
    folders = [tmp_path / f"another-tiny-model-{i}" for i in range(3)]
    for folder in folders:
        shutil.copytree(model, folder)
    lines = run(model, *folders, env={"COLUMNS": "80"}).stdout.splitlines()
    heads = [line for line in lines if "another-tiny-model" in line]
    assert re.findall(r"another-tiny-model-\d", " ".join(heads)) == [f.name for f in folders]
    assert len(heads) == 2 and all("tiny [draft]" in head for head in heads)
    assert max(map(len, lines)) <= 80 and "\u2026" not in "".join(lines)
    assert sum(line.startswith("  without embeddings") for line in lines) == 2


def test_a_pruned_model_shows_what_its_layers_have(model, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    config = json.loads((model / "config.json").read_text())
    config |= {"num_hidden_layers": 2, "intermediate_sizes": [7, 64], "pruned_heads": {"0": [1]}}
    (small / "config.json").write_text(json.dumps(config))
    assert "1 to 2 heads, feed-forward 7 to 64" in " ".join(run(small).stdout.split())
    lines = run(model, small).stdout.splitlines()
    assert any(line.startswith("n_heads") and line.endswith("1 to 2") for line in lines)


def test_several_at_once_must_be_models(model, data):
    result = run(model, data)
    assert result.exit_code == 2
    assert "own.csv is a data file" in result.stderr
    assert run().exit_code == 2


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nothere.json", "nothere.json does not exist"),
        ("nothere.jsonl.xz", "does not exist"),
        ("no/such/model", "no such folder"),
        (".", "is it a model folder?"),
        ("nul\0byte", "no such folder"),
    ],
)
def test_what_is_not_there(tmp_path, monkeypatch, target, says):
    monkeypatch.chdir(tmp_path)
    result = run(target)
    assert result.exit_code == 1
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_broken_data_and_broken_model(data, model, tmp_path):
    (tmp_path / "bad.json").write_text("{")
    (model / "config.json").write_text("{")
    for arguments in ((tmp_path / "bad.json", "--model", model), (model,)):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
    (model / "vocab.txt").unlink()
    assert "neither tokenizer.json nor vocab.txt" in run(data, "--model", model).stderr


@pytest.mark.parametrize("options", [("--seq-len", "3"), ("--stride", "-1"), ("--what",)])
def test_usage(data, options):
    assert run(data, *options).exit_code == 2


def test_a_verb_that_is_mistyped_is_guessed():
    said = CliRunner().invoke(main, ["finetnue", "a.toml"])
    assert said.exit_code == 2 and "did you mean 'finetune'?" in said.output
    assert "did you mean" not in CliRunner().invoke(main, ["quux"]).output
