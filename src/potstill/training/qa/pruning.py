"""The pruned model that a student starts from, as a folder of its own beside the run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric

from potstill.bundle import layout
from potstill.bundle.atomic import replacing_folder, write_json, write_text
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.heads import HEADS
from potstill.bundle.manifest import sha256_of
from potstill.bundle.size import parameters
from potstill.bundle.weights import Weights, read_weights, weights_file, write_weights
from potstill.compression.prune import Importance, choose, magnitude, prune, shape
from potstill.compression.student import select_layers, take_layers
from potstill.compression.vocabulary import kept_pieces, trim_tokenizer, trim_weights
from potstill.errors import RecipeError
from potstill.export.files import write_config, write_tokenizer
from potstill.losses.span import span_cross_entropy
from potstill.models.qa import QAOutput, QuestionAnsweringModel
from potstill.records import QAExample
from potstill.text.tokenizer import Tokenizer
from potstill.text.windows import by_token_budget
from potstill.training.qa import rows as qa_rows
from potstill.training.qa.importance import importance
from potstill.training.qa.reconstruct import reconstruct
from potstill.training.recipe.qa import DistilRecipe

_HEAD = QuestionAnsweringModel.head
FOLDER = "pruned"
"""Below ``out``: the model after pruning and before its first step."""
_FACTS = "prune.json"
_CHUNK = 2000
"""Texts tokenized at once."""


def pruned_base(
    recipe: DistilRecipe,
    folder: Path,
    examples: Sequence[QAExample],
    fabric: Fabric,
    note: Callable[[str], None],
) -> Path:
    """Makes the folder of the pruned model; one that this recipe made before is used again.

    Args:
        recipe: which layers, heads, neurons and word pieces stay.
        folder: of ``recipe.base``.
        examples: training questions, for importance and for the vocabulary.
        fabric: of several processes, the first does the work.
        note: told what became of the model.

    Raises:
        RecipeError: the base has no such layers, heads, neurons or vocabulary, or cannot tell what
            is important.
        ModelError: the base cannot be used.
        OutputError: the folder could not be written.
    """
    out = Path(recipe.out) / FOLDER
    if fabric.is_global_zero:
        facts = _facts(recipe, folder)
        if _read_facts(out) != facts:
            _make(recipe, folder, out, examples, facts)
        before, after = read_config(folder), read_config(out)
        note(
            f"pruned: {parameters(before, head=_HEAD):,} parameters to "
            f"{parameters(after, head=_HEAD):,}, "
            f"vocabulary {before.vocab_size:,} to {after.vocab_size:,}"
        )
    fabric.barrier()
    return out


def _facts(recipe: DistilRecipe, folder: Path) -> dict[str, Any]:
    """All that the pruned model follows from."""
    values = recipe.to_dict()
    keys = [key for key in values if key.startswith("prune_")]
    keys += ["n_layers", "layers", "seed", "seq_len", "stride", "examples", "holdout"]
    keys += ["negatives", "negatives_from"]
    return {
        **{key: values[key] for key in keys},
        "base": sha256_of(weights_file(folder)),
        "train": sha256_of(Path(recipe.train)),
    }


def _read_facts(out: Path) -> Any:
    try:
        return json.loads((out / _FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _make(
    recipe: DistilRecipe,
    folder: Path,
    out: Path,
    examples: Sequence[QAExample],
    facts: dict[str, Any],
) -> None:
    config = read_config(folder)
    removes = bool(recipe.prune_heads or recipe.prune_ffn)
    if removes and not config.spec.parted:
        raise RecipeError(
            f"heads and neurons of {config.model_type} models cannot be pruned yet: "
            "omit prune_heads and prune_ffn"
        )
    weights = read_weights(folder, config, require_head=False)
    layers = select_layers(recipe.layers, config.n_layers, recipe.n_layers)
    if not removes:
        config, weights = take_layers(config, weights, layers)
    elif recipe.prune_criterion == "reconstruction":
        config, weights = take_layers(config, weights, layers)
        config, weights = _reconstructed(recipe, folder, config, weights, examples)
    else:
        worth = _worth(recipe, folder, config, weights, examples).of_layers(layers)
        config, weights = take_layers(config, weights, layers)
        kept = choose(worth, recipe.prune_heads, recipe.prune_ffn, ragged=recipe.prune_ragged)
        config, weights = prune(config, weights, kept)
    with replacing_folder(out) as temporary:
        if recipe.prune_vocabulary:
            write_tokenizer(folder, temporary, config)
            counts = _piece_counts(Tokenizer.from_folder(folder), examples)
            config, weights = _trim(temporary, config, weights, counts, recipe.piece_limit)
        else:  # untouched, so that a teacher is seen to have the same
            for name in layout.TEXT_FILES:
                if (folder / name).is_file():
                    shutil.copyfile(folder / name, temporary / name)
        write_config(temporary, config, _HEAD)
        write_weights(temporary / layout.WEIGHTS, weights, config, _HEAD)
        write_json(temporary / _FACTS, facts)


def _worth(
    recipe: DistilRecipe,
    folder: Path,
    config: ModelConfig,
    weights: Weights,
    examples: Sequence[QAExample],
) -> Importance:
    if recipe.prune_criterion == "magnitude" or not (recipe.prune_heads or recipe.prune_ffn):
        return magnitude(config, weights)
    if any(name not in weights for name in HEADS[QuestionAnsweringModel.head].shapes(config)):
        raise RecipeError(
            f"{recipe.base} answers no questions, so nothing tells what is important in it: "
            "use prune_criterion=magnitude"
        )
    model = _full(config, weights)
    batches = _windows(recipe, folder, examples)
    return importance(model.encoder, batches, lambda batch: gold_loss(model, batch))


def gold_loss(model: QuestionAnsweringModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of the gold spans of a batch, summed over its rows; scalar."""
    output: QAOutput = model(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    gold = batch["start"], batch["end"], batch["allowed"]
    return span_cross_entropy(output.start_logits, output.end_logits, *gold).sum()


def _reconstructed(
    recipe: DistilRecipe,
    folder: Path,
    config: ModelConfig,
    weights: Weights,
    examples: Sequence[QAExample],
) -> tuple[ModelConfig, Weights]:
    layers = range(config.n_layers)
    heads, ffn = shape(
        [config.heads_of(i) for i in layers],
        [config.ffn_of(i) for i in layers],
        recipe.prune_heads,
        recipe.prune_ffn,
    )
    encoder = _full(config, weights).encoder
    return reconstruct(encoder, weights, _windows(recipe, folder, examples), heads, ffn)


def _full(config: ModelConfig, weights: Weights) -> QuestionAnsweringModel:
    model = QuestionAnsweringModel(config.with_dropout(0.0))
    model.load_weights(weights)
    return model.eval()


def _windows(
    recipe: DistilRecipe, folder: Path, examples: Sequence[QAExample]
) -> Iterator[dict[str, torch.Tensor]]:
    """The training windows that tell what is to stay, in batches."""
    # A window or more of each example; examples enough for the windows that are asked for.
    order = np.random.default_rng(recipe.seed).permutation(len(examples))[: recipe.prune_windows]
    chosen = [e for e in (examples[i] for i in order) if e.is_impossible or e.answers]
    tokenizer = Tokenizer.from_folder(folder)
    rows = qa_rows.make_rows(chosen, tokenizer, seq_len=recipe.seq_len, stride=recipe.stride)
    lengths = rows.lengths[: recipe.prune_windows].tolist()
    return (rows.batch(group) for group in by_token_budget(lengths, recipe.batch_tokens))


def _piece_counts(tokenizer: Tokenizer, examples: Sequence[QAExample]) -> npt.NDArray[np.int64]:
    """How often the training text uses each word piece, every text counted once."""
    texts = list(dict.fromkeys([e.context for e in examples] + [e.question for e in examples]))
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    for at in range(0, len(texts), _CHUNK):
        ids = np.concatenate(tokenizer.ids_batch(texts[at : at + _CHUNK]))
        counts += np.bincount(ids, minlength=len(counts))
    return counts


def _trim(
    folder: Path,
    config: ModelConfig,
    weights: Weights,
    counts: npt.NDArray[np.int64],
    limit: int,
) -> tuple[ModelConfig, Weights]:
    """Rewrites the tokenizer's files in ``folder``; the config and weights that fit them."""
    file = folder / layout.TOKENIZER
    tokenizer: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    kept = kept_pieces(tokenizer, counts, limit)
    trimmed = trim_tokenizer(tokenizer, kept)
    write_text(file, json.dumps(trimmed, ensure_ascii=False))
    if isinstance(trimmed["model"]["vocab"], dict):  # WordPiece
        lines = "".join(f"{token}\n" for token in trimmed["model"]["vocab"])
        write_text(folder / layout.VOCAB, lines)
    # Numbers of special tokens that newer folders repeat here would be the old ones.
    options = json.loads((folder / layout.TOKENIZER_CONFIG).read_text(encoding="utf-8"))
    options.pop("added_tokens_decoder", None)
    write_json(folder / layout.TOKENIZER_CONFIG, options)
    return trim_weights(config, weights, kept)
