"""Models for the benchmarks: the embedded reader as a Hugging Face folder, and made weights.

Made weights are random: they cost as much time as trained ones and answer nothing, so no F1 and no
agreement is ever reported of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from potstill.bundle.atomic import write_json
from potstill.bundle.config import ModelConfig
from potstill.bundle.find import embedded_folder
from potstill.bundle.layout import TEXT_FILES, TOKENIZER_CONFIG
from potstill.bundle.weights import expected_shapes, write_weights

SHAPES = {
    "distilbert": ModelConfig(
        model_type="distilbert",
        vocab_size=30522,
        hidden_width=768,
        n_layers=6,
        n_heads=12,
        ffn_width=3072,
        max_positions=512,
        n_token_types=0,
    ),
    "bert-tiny": ModelConfig(
        model_type="bert",
        vocab_size=30522,
        hidden_width=128,
        n_layers=2,
        n_heads=2,
        ffn_width=512,
        max_positions=512,
    ),
    # Next to nothing, for where everything around a model is to be seen.
    "mite": ModelConfig(
        model_type="bert",
        vocab_size=30522,
        hidden_width=32,
        n_layers=1,
        n_heads=2,
        ffn_width=64,
        max_positions=512,
    ),
}


def made_model(name: str, folder: Path, *, seed: int = 0) -> Path:
    """A folder of random weights of one of `SHAPES`, with the embedded reader's tokenizer."""
    shape = SHAPES[name]
    folder.mkdir(parents=True, exist_ok=True)
    for file in TEXT_FILES:
        if (embedded_folder() / file).is_file():
            shutil.copy(embedded_folder() / file, folder / file)
    if not shape.n_token_types:  # or transformers would give it some
        options = json.loads((folder / TOKENIZER_CONFIG).read_text(encoding="utf-8"))
        inputs = {"model_input_names": ["input_ids", "attention_mask"]}
        write_json(folder / TOKENIZER_CONFIG, {**options, **inputs})
    random = np.random.default_rng(seed)
    weights = {
        # Near what training starts from; norms multiply by one.
        key: (random.normal(0, 0.04, size) + key.endswith("norm.weight")).astype(np.float32)
        for key, size in expected_shapes(shape, head="qa").items()
    }
    write_weights(folder / "model.safetensors", weights, shape, "qa")
    write_json(folder / "config.json", shape.to_hf())
    return folder


def exported(model: str | Path, out: Path) -> Path:
    """A model as a Hugging Face folder with float32 and int8 ONNX files.

    A folder that has all three already is given as it is.
    """
    folder = Path(model)
    wanted = ("model.safetensors", "onnx/model.onnx", "onnx/model_quantized.onnx")
    if all((folder / name).is_file() for name in wanted):
        return folder
    formats = [word for name in ("hf", "onnx", "int8") for word in ("--format", name)]
    command = [sys.executable, "-m", "potstill", "export", str(model), str(out), *formats]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return out
