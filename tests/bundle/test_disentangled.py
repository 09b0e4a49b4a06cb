"""Options of attention that keeps distances apart: buckets, spellings, what cannot be."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers.models.deberta_v2 import modeling_deberta_v2 as theirs

import potstill
import tiny
from potstill.bundle.config import ModelConfig
from potstill.compression.student import take_layers
from potstill.errors import ConfigError
from potstill.export.source import Source
from potstill.models.disentangled import skewed

V3 = {
    "model_type": "deberta-v2",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
    "max_relative_positions": -1,
}


@pytest.mark.parametrize(
    ("buckets", "farthest"), [(256, 512), (-1, 512), (32, 128), (64, 512), (16, 1024), (6, 40)]
)
def test_buckets_are_those_of_transformers(buckets, farthest):
    values = {**V3, "position_buckets": buckets, "max_relative_positions": farthest}
    known = ModelConfig.from_hf(values).distances
    assert known is not None and known.normed and known.shares and not known.projections
    far = torch.arange(-600, 601)
    wanted = theirs.make_log_bucket_position(far, buckets, farthest) if buckets > 0 else far
    wanted = (wanted.long() + known.span).clamp(0, 2 * known.span - 1)
    assert [known.row(int(distance)) for distance in far] == wanted.tolist()


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_every_pair_has_its_column(n):
    products = torch.randn(2, 3, n, 2 * n)
    at = torch.arange(n)
    columns = (at - at[:, None] + n - 1).expand(2, 3, n, n)
    assert torch.equal(skewed(products), products.gather(-1, columns))


@pytest.mark.parametrize(
    ("values", "terms", "table"),
    [
        ({}, 3, 512),
        ({"pos_att_type": ["p2c"]}, 2, 512),
        ({"pos_att_type": " C2P | P2C"}, 3, 512),
        ({"pos_att_type": None, "position_buckets": -1}, 1, 1024),
        ({"relative_attention": False}, 3, None),
    ],
)
def test_spellings(values, terms, table):
    config = ModelConfig.from_hf({**V3, **values})
    assert config.score_terms == terms
    known = config.distances
    assert (None if known is None else 2 * known.span) == table
    assert ModelConfig.from_hf(config.to_hf()) == config


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"pos_att_type": "p2p"}, "pos_att_type must be of c2p and p2c, not p2p"),
        ({"pos_att_type": [1]}, "pos_att_type must be of c2p and p2c"),
        ({"relative_attention": "yes"}, "relative_attention must be true or false, not 'yes'"),
        ({"share_att_key": 1}, "share_att_key must be true or false, not 1"),
        ({"position_biased_input": None}, "position_biased_input must be true or false"),
        ({"position_buckets": 3}, "position_buckets must be from 4 to less than twice the 512"),
        ({"position_buckets": 1022}, "position_buckets must be from 4 to less than twice"),
        ({"position_buckets": 1.5}, "position_buckets must be a whole number"),
        ({"max_relative_positions": 10**9}, "max_relative_positions must be a whole number from"),
        ({"norm_rel_ebd": "batch_norm"}, "norm_rel_ebd must be none or layer_norm"),
        ({"norm_rel_ebd": 1}, "norm_rel_ebd must be none or layer_norm, not 1"),
        ({"conv_kernel_size": 3}, "conv_kernel_size 3 is not supported; only 0 is"),
        ({"pooler_hidden_act": "tanh"}, "pooler_hidden_act 'tanh' is not supported; only 'gelu'"),
        ({"pooler_hidden_size": 64}, "pooler_hidden_size 64 is not supported; only 32, the hidden"),
        ({"attention_head_size": 64}, "attention_head_size 64 is not supported; only 8, the head_"),
    ],
)
def test_what_cannot_be_is_refused_by_name(values, says):
    with pytest.raises(ConfigError, match=says):
        ModelConfig.from_hf({**V3, **values})


def test_what_only_repeats_a_field_is_not_written():
    repeated = {"pooler_hidden_size": 32, "attention_head_size": 8, "legacy": False}
    config = ModelConfig.from_hf({**V3, **repeated})
    assert not config.to_hf().keys() & repeated.keys()
    assert ModelConfig.from_hf({**config.to_hf(), "hidden_size": 64}).head_width == 16


def test_the_masked_lm_head_has_two_names(tmp_path):
    """Published DeBERTa-v3 files have the one, transformers reads and writes the other."""
    folder = tiny.write_model(tmp_path / "old", "deberta-v2", head="mlm")
    model = potstill.DebertaV2ForMaskedLM.from_pretrained(folder)
    stored = load_file(folder / "model.safetensors")
    newer = {
        name.replace("cls.predictions.transform", "lm_predictions.lm_head").replace(
            "cls.predictions", "lm_predictions.lm_head"
        ): array
        for name, array in stored.items()
    }
    assert newer.keys() != stored.keys()
    save_file(newer, folder / "model.safetensors")
    again = potstill.DebertaV2ForMaskedLM.from_pretrained(folder)
    ids = torch.tensor([[2, 9, 8, 3]])
    assert torch.equal(again(ids).logits, model(ids).logits)
    again.save_pretrained(tmp_path / "new")
    assert load_file(tmp_path / "new" / "model.safetensors").keys() == stored.keys()


def test_it_learns_with_dropout_and_in_bfloat16():
    config = tiny.config("deberta-v2", hidden_dropout=0.1, attention_dropout=0.1)
    torch.manual_seed(0)
    model = potstill.DebertaV2ForQuestionAnswering(config).train()
    ids = torch.randint(5, 100, (2, 30))
    mask = torch.ones_like(ids)
    mask[1, 11:] = 0
    first = model(ids, mask).start_logits
    assert not torch.equal(first, model(ids, mask).start_logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gold = torch.tensor([3, 4])
        loss = model(ids, mask, start_positions=gold, end_positions=gold).loss
    loss.backward()
    table = model.encoder.embeddings.distance.weight.grad
    assert torch.isfinite(loss) and torch.isfinite(table).all() and table.abs().sum() > 0


def test_what_is_not_for_it_says_so():
    config = tiny.config("deberta-v2")
    with pytest.raises(ConfigError, match="deberta-v2 models cannot be written as Core ML yet"):
        Source(config, "qa", {}, 32).check_plain("Core ML")
    assert not config.spec.engine and not config.spec.parted


@pytest.mark.parametrize("first", [[0], [1, 0]])
def test_layers_are_taken(first):
    config = tiny.config("deberta-v2")
    weights = tiny.weights(config)
    smaller, kept = take_layers(config, weights, first)
    assert smaller.n_layers == len(first)
    name = "attention.query.weight"
    assert np.array_equal(kept[f"layers.0.{name}"], weights[f"layers.{first[0]}.{name}"])
    assert "embeddings.distance.weight" in kept
