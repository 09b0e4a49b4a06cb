from __future__ import annotations

import json

import pytest

import tiny
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.heads import HEADS, head_of, hf_config
from potstill.bundle.names import from_hf, split_known, to_hf
from potstill.bundle.weights import expected_shapes
from potstill.errors import ConfigError

PREFIXES = {
    "bert": "Bert",
    "distilbert": "DistilBert",
    "roberta": "Roberta",
    "electra": "Electra",
    "mpnet": "MPNet",
}
TYPES = list(PREFIXES)


@pytest.mark.parametrize("model_type", TYPES)
@pytest.mark.parametrize("head", [None, *HEADS])
def test_every_name_goes_out_and_comes_back(model_type, head) -> None:
    if head and model_type not in HEADS[head].architectures:
        return
    config = tiny.config(model_type, n_layers=12)
    ours = list(expected_shapes(config, head=head))
    theirs = [to_hf(model_type, name, head) for name in ours]
    assert len(set(theirs)) == len(ours)
    assert [from_hf(model_type, name, head) for name in theirs] == ours


def test_old_and_foreign_names() -> None:
    known, unused = split_known(
        "bert",
        ["embeddings.LayerNorm.gamma", "embeddings.position_ids", "bert.pooler.dense.weight", "x"],
    )
    assert known == {"embeddings.norm.weight": "embeddings.LayerNorm.gamma"}
    assert unused == ["embeddings.position_ids", "bert.pooler.dense.weight", "x"]
    with pytest.raises(KeyError):
        to_hf("distilbert", "embeddings.token_type.weight")


@pytest.mark.parametrize("model_type", TYPES)
def test_names_within_a_wrapper_of_torchs(model_type) -> None:
    for ours in expected_shapes(tiny.config(model_type)):
        theirs = to_hf(model_type, ours, "qa")
        plain = from_hf(model_type, theirs, "qa")
        assert plain is not None
        for wrapper in ("module.", "_orig_mod.", "_orig_mod.module."):
            assert from_hf(model_type, wrapper + theirs, "qa") == plain


@pytest.mark.parametrize("model_type", TYPES)
def test_a_config_goes_out_and_comes_back(tmp_path, model_type) -> None:
    config = tiny.config(model_type, activation="relu", hidden_dropout=0.25)
    values = {**config.to_hf(), "transformers_version": "5.0"}
    (tmp_path / "config.json").write_text(json.dumps(values))
    found = read_config(tmp_path)
    assert found.to_hf() == values
    assert found.extra == {"transformers_version": "5.0"}
    assert found.n_token_types == config.n_token_types
    assert found.max_positions == config.max_positions


def test_labels_go_out_and_come_back_in_hugging_faces_words(tmp_path) -> None:
    config = tiny.config("bert", labels=("neg", "pos", "so-so"), problem="multi-label")
    values = config.to_hf()
    assert values["id2label"] == {"0": "neg", "1": "pos", "2": "so-so"}
    assert values["label2id"] == {"neg": 0, "pos": 1, "so-so": 2}
    assert values["problem_type"] == "multi_label_classification"
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert read_config(tmp_path) == config
    assert ModelConfig.from_hf({"model_type": "bert", "num_labels": 3}).n_labels == 3
    assert ModelConfig.from_hf({"model_type": "bert", "label2id": {"b": 1, "a": 0}}).labels == (
        "a",
        "b",
    )
    assert tiny.config("bert").n_labels == 2


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"id2label": {"0": "a", "2": "b"}}, r"from 0 on, not \[0, 2\]"),
        ({"id2label": ["a", "b"]}, "id2label must map"),
        ({"problem_type": "ranking"}, "'ranking' is not supported"),
        ({"classifier_dropout": 1.5}, "classifier_dropout must be a number"),
    ],
)
def test_labels_that_cannot_be_read(values, named) -> None:
    with pytest.raises(ConfigError, match=named):
        ModelConfig.from_hf({"model_type": "bert", **values})


def test_a_config_answers_to_hugging_faces_names() -> None:
    config = tiny.config("distilbert", labels=("a", "b", "c"), extra={"finetuning_task": "x"})
    assert (config.dim, config.hidden_size) == (config.hidden_width,) * 2
    assert config.num_hidden_layers == config.n_layers
    assert (config.num_labels, config.id2label[2]) == (3, "c")
    assert config.problem_type is None
    assert config.finetuning_task == "x"
    assert tiny.config("roberta").max_position_embeddings == tiny.config().max_positions + 2
    with pytest.raises(AttributeError, match="a bert config has no 'dim'"):
        tiny.config("bert").dim  # noqa: B018


def test_the_head_is_read_from_the_architecture() -> None:
    for model_type in TYPES:
        for head, known in HEADS.items():
            if model_type in known.architectures:
                values = hf_config(tiny.config(model_type), head)
                assert head_of(ModelConfig.from_hf(values)) == head
    assert head_of(tiny.config("bert")) is None


def test_robertas_position_table_has_rows_that_no_token_uses() -> None:
    """The published ones have 514 rows and read 512 tokens."""
    values = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    config = ModelConfig.from_hf(values)
    assert (config.max_positions, config.position_offset) == (512, 2)
    assert config.to_hf()["max_position_embeddings"] == 514
    assert expected_shapes(config)["embeddings.position.weight"] == (514, 768)
    with pytest.raises(ConfigError, match="max_positions"):
        ModelConfig.from_hf({**values, "max_position_embeddings": 2})


def test_electras_projection_is_there_where_the_widths_differ() -> None:
    small = ModelConfig.from_hf({"model_type": "electra", "embedding_size": 64, "hidden_size": 128})
    assert (small.projects, small.table_width, small.hidden_width) == (True, 64, 128)
    assert expected_shapes(small)["embedding_projection.weight"] == (128, 64)
    base = ModelConfig.from_hf({"model_type": "electra", "embedding_size": 96, "hidden_size": 96})
    assert not base.projects
    assert "embedding_projection.weight" not in expected_shapes(base)
    assert base.to_hf()["embedding_size"] == 96


@pytest.mark.parametrize("model_type", TYPES)
def test_a_config_names_the_class_of_its_head(model_type) -> None:
    config = tiny.config(model_type)
    heads = [head for head in HEADS if model_type in HEADS[head].architectures]
    names = {head: hf_config(config, head)["architectures"] for head in heads}
    prefix = PREFIXES[model_type]
    assert names["qa"] == [f"{prefix}ForQuestionAnswering"]
    if model_type == "electra":
        with pytest.raises(ConfigError, match="electra models cannot have a masked-LM head"):
            hf_config(config, "mlm")
    else:
        assert names["mlm"] == [f"{prefix}ForMaskedLM"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON"),
        ("[1]", "list"),
        ('{"model_type": "gpt2"}', "gpt2"),
        ("{}", "model_type None"),
        ('{"model_type": "bert", "hidden_size": 10, "num_attention_heads": 3}', "multiple"),
        ('{"model_type": "bert", "hidden_size": "10"}', "hidden_width"),
        ('{"model_type": "bert", "hidden_act": "mish"}', "mish"),
        ('{"model_type": "bert", "hidden_dropout_prob": 1.5}', "hidden_dropout"),
        ('{"model_type": "roberta", "pad_token_id": -1}', "pad_id"),
        ('{"model_type": "electra", "embedding_size": "x"}', "embedding_width"),
        ('{"model_type": "bert", "position_embedding_type": "relative_key"}', "relative_key"),
        ('{"model_type": "mpnet", "relative_attention_num_buckets": 64}', "only 32 is"),
        ('{"model_type": "mpnet", "pad_token_id": 0}', "must be 1, not 0"),
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
