"""BERT's miniatures: the four recipes, and the sizes that docs/miniatures.md prints."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

import tiny
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.weights import expected_shapes
from potstill.cli import main
from potstill.errors import ConfigError
from potstill.runtime.lm import Filler
from potstill.training.recipe.file import read_recipe

ROOT = Path(__file__).parents[2]
NAMED = {"tiny": (2, 128), "mini": (4, 256), "small": (4, 512), "medium": (8, 512)}


def shape(n_layers: int, width: int) -> ModelConfig:
    return ModelConfig(
        n_layers=n_layers, hidden_width=width, ffn_width=4 * width, n_heads=width // 64
    )


def millions(n_layers: int, width: int) -> str:
    shapes = expected_shapes(shape(n_layers, width), head=None)
    pooler = width * width + width
    total = sum(map(math.prod, shapes.values())) + pooler
    layers = sum(math.prod(s) for name, s in shapes.items() if name.startswith("layers."))
    return f"{total / 1e6:.1f}M ({layers / 1e6:.1f}M)"


def test_the_table_of_sizes() -> None:
    text = (ROOT / "docs" / "miniatures.md").read_text(encoding="utf-8")
    for n_layers in (2, 4, 6, 8, 10, 12):
        cells = [str(n_layers), *(millions(n_layers, width) for width in (128, 256, 512, 768))]
        assert f"| {' | '.join(cells)} |" in text
    assert millions(2, 128).startswith("4.4M")  # as published


@pytest.mark.parametrize("name", NAMED)
def test_recipes_have_the_published_shapes(name) -> None:
    recipe = read_recipe(f"bert-{name}", ["base=x", "corpus=x", "out=x"])
    wanted = shape(*NAMED[name])
    assert recipe.fresh
    for key in ("n_layers", "hidden_width", "ffn_width", "n_heads"):
        assert getattr(recipe, key) == getattr(wanted, key)


def test_the_published_config_names_no_type() -> None:
    """Such as BERT-Tiny's own, older than the key ``model_type``."""
    published = {
        "hidden_size": 128, "hidden_act": "gelu", "initializer_range": 0.02, "vocab_size": 30522,
        "hidden_dropout_prob": 0.1, "num_attention_heads": 2, "type_vocab_size": 2,
        "max_position_embeddings": 512, "num_hidden_layers": 2, "intermediate_size": 512,
        "attention_probs_dropout_prob": 0.1,
    }  # fmt: skip
    assert ModelConfig.from_hf(published) == shape(2, 128)
    with pytest.raises(ConfigError, match="model_type None"):
        ModelConfig.from_hf({**published, "architectures": ["MPNetForMaskedLM"]})


def test_from_scratch_to_an_answer(tmp_path, monkeypatch) -> None:
    """A folder of a config and a vocabulary is base enough, and any shape can be asked for."""
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "cache"))
    base = tiny.write_model(tmp_path / "base")
    (base / "model.safetensors").unlink()
    corpus = tiny.write_corpus(tmp_path / "corpus.txt")
    keys = [f"base={base}", f"corpus={corpus}", f"out={tmp_path / 'out'}", "threads=1"]
    keys += ["n_layers=1", "hidden_width=64", "ffn_width=256", "n_heads=1"]
    keys += ["max_steps=2", "sequences_per_step=4", "seq_len=32", "holdout=0.2", "--json"]
    done = CliRunner().invoke(main, ["finetune", "bert-tiny", *keys])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["mlm_loss"] > 0
    config = read_config(tmp_path / "out")
    assert (config.n_layers, config.hidden_width, config.ffn_width) == (1, 64, 256)
    assert Filler.from_options(tmp_path / "out").fill("the [MASK] won.")
