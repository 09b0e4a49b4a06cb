from __future__ import annotations

import json

import pytest

import tiny
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.heads import HEADS, hf_config
from potstill.bundle.names import from_hf, split_known, to_hf
from potstill.bundle.weights import expected_shapes
from potstill.errors import ConfigError


@pytest.mark.parametrize("model_type", ["bert", "distilbert"])
@pytest.mark.parametrize("head", [None, *HEADS])
def test_every_name_goes_out_and_comes_back(model_type, head) -> None:
    config = tiny.config(model_type, n_layers=12)
    ours = list(expected_shapes(config, head=head))
    theirs = [to_hf(model_type, name) for name in ours]
    assert len(set(theirs)) == len(ours)
    assert [from_hf(model_type, name) for name in theirs] == ours


def test_old_and_foreign_names() -> None:
    known, unused = split_known(
        "bert",
        ["embeddings.LayerNorm.gamma", "embeddings.position_ids", "bert.pooler.dense.weight", "x"],
    )
    assert known == {"embeddings.norm.weight": "embeddings.LayerNorm.gamma"}
    assert unused == ["embeddings.position_ids", "bert.pooler.dense.weight", "x"]
    with pytest.raises(KeyError):
        to_hf("distilbert", "embeddings.token_type.weight")


@pytest.mark.parametrize("model_type", ["bert", "distilbert"])
def test_a_config_goes_out_and_comes_back(tmp_path, model_type) -> None:
    config = tiny.config(model_type, activation="relu", hidden_dropout=0.25)
    values = {**config.to_hf(), "transformers_version": "5.0"}
    (tmp_path / "config.json").write_text(json.dumps(values))
    found = read_config(tmp_path)
    assert found.to_hf() == values
    assert found.extra == {"transformers_version": "5.0"}
    assert found.n_token_types == config.n_token_types


@pytest.mark.parametrize("model_type", ["bert", "distilbert"])
def test_a_config_names_the_class_of_its_head(model_type) -> None:
    config = tiny.config(model_type)
    names = {head: hf_config(config, head)["architectures"] for head in HEADS}
    prefix = {"bert": "Bert", "distilbert": "DistilBert"}[model_type]
    assert names == {"qa": [f"{prefix}ForQuestionAnswering"], "mlm": [f"{prefix}ForMaskedLM"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ("[1]", "list"),
        ('{"model_type": "gpt2"}', "gpt2"),
        ("{}", "model_type None"),
        ('{"model_type": "bert", "hidden_size": 10, "num_attention_heads": 3}', "multiple"),
        ('{"model_type": "bert", "hidden_size": "10"}', "hidden_width"),
        ('{"model_type": "bert", "hidden_act": "silu"}', "silu"),
        ('{"model_type": "bert", "hidden_dropout_prob": 1.5}', "hidden_dropout"),
        ('{"model_type": "bert", "position_embedding_type": "relative_key"}', "relative_key"),
    ],
)
def test_a_config_that_cannot_be_used(tmp_path, text, message) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_config(tmp_path)


def test_no_config(tmp_path) -> None:
    with pytest.raises(ConfigError, match="is it a model folder"):
        read_config(tmp_path)
    assert ModelConfig().head_width == 64
