"""Recipes: every key of a training run, with what it means and which values it takes.

A recipe is one whole run in one small TOML file (`potstill.training.recipe_file` reads it). Each
kind of run has a class here, and every key is a field of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from potstill.data.negatives import NEGATIVES
from potstill.errors import RecipeError

PRECISIONS = ("auto", "fp32", "bf16")
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecipe:
    """What every run has: where it writes, how long it lasts, how it steps."""

    task: str
    out: str
    """Folder of the run: the finished model, ``metrics.jsonl`` and ``checkpoints``."""
    seed: int = 0
    """Of every random number: with the same seed a run comes out the same."""
    epochs: float = 2.0
    """Passes over the training data; a fraction stops within one."""
    max_steps: int = 0
    """Stop after so many optimiser steps, 0 for as many as ``epochs`` asks for."""
    batch_tokens: int = 4000
    """Most tokens of one batch, padding included."""
    accumulate: int = 1
    """Batches whose gradients are added up for one optimiser step."""
    learning_rate: float = 1.5e-4
    """Highest rate, reached at the end of the warm-up."""
    layer_decay: float = 1.0
    """Rate of a layer as a share of that of the layer above it, the head being above the last: with
    0.9 the lowest of twelve learns at 0.28 of ``learning_rate``, the embeddings at 0.25. With 1 all
    learn alike, with 0 only the head learns."""
    warmup: float = 0.06
    """Share of the steps over which the rate rises linearly from 0."""
    decay: float = 1.0
    """Share of the steps, at the end, over which the rate falls linearly to 0; with 1 it falls
    from the end of the warm-up on, with less it stays at its highest until then."""
    weight_decay: float = 0.01
    """AdamW's; not applied to biases and norms."""
    clip_norm: float = 1.0
    """Largest norm of the whole gradient; 0 switches clipping off."""
    averaging: float = 0.0
    """Share of the averaged weights that each step keeps, such as 0.999: the finished model, and
    what is scored on the way, is an exponential moving average over the steps; 0 for none."""
    dropout: float | None = None
    """Rate of every dropout while training; left out, the base model's own rates."""
    precision: str = "auto"
    """``fp32``, ``bf16`` (autocast), or ``auto``: bf16 where the processor has it."""
    device: str = "auto"
    """``cpu``, ``cuda``, or ``auto``."""
    threads: int = 0
    """Threads of the CPU computation of each process, 0 for torch's own choice."""
    devices: int = 1
    """Processes on each machine: GPUs, or, on the CPU, processes that share its cores. Where
    torchrun starts them, its own number holds."""
    nodes: int = 1
    """Machines."""
    evaluate_steps: int = 0
    """Score every so many steps, 0 for only at the end."""
    save_minutes: float = 5.0
    """Write a checkpoint when the last is this old, 0 for never."""
    save_steps: int = 0
    """Also write one every so many steps, 0 for never."""
    keep: int = 2
    """Newest checkpoints to keep."""
    log_steps: int = 10
    """Write a line of metrics every so many steps."""
    tensorboard: bool = False
    """Also write TensorBoard files (needs the extra ``tensorboard``)."""
    wandb: str = ""
    """Project of Weights & Biases to log to as well (needs the extra ``wandb``)."""
    trackio: str = ""
    """Project of trackio to log to as well (needs the extra ``trackio``)."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("out",)
    """Keys that may not be empty."""
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {"precision": PRECISIONS, "device": DEVICES}
    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        "seed": (0, 2**63 - 1),
        "epochs": (1e-9, 10_000),
        "max_steps": (0, 1e12),
        "batch_tokens": (1, 1e9),
        "accumulate": (1, 1e6),
        "learning_rate": (0, 10),
        "layer_decay": (0, 1),
        "warmup": (0, 1),
        "decay": (0, 1),
        "weight_decay": (0, 10),
        "clip_norm": (0, 1e9),
        "averaging": (0, 1 - 1e-9),
        "dropout": (0, 0.99),
        "threads": (0, 4096),
        "devices": (1, 4096),
        "nodes": (1, 1e5),
        "evaluate_steps": (0, 1e12),
        "save_minutes": (0, 1e9),
        "save_steps": (0, 1e12),
        "keep": (1, 1e6),
        "log_steps": (1, 1e12),
    }
    """Key → least and greatest value."""
    MAY_CHANGE: ClassVar[frozenset[str]] = frozenset(
        "out epochs max_steps decay averaging evaluate_steps save_minutes save_steps keep "
        "log_steps tensorboard wandb trackio threads devices nodes".split()
    )
    """Keys that a resumed run may give anew: where files lie, what is written, how long it
    lasts. The data themselves are held to their fingerprint."""
    PATHS: ClassVar[tuple[str, ...]] = ()
    """Keys that may name a place on this machine, beside ``out``."""

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        for name, choices in self.CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise RecipeError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
        for name in self.REQUIRED:
            if not getattr(self, name):
                raise RecipeError(f"{name} is empty: give it in the recipe or as {name}=PATH")
        for name, (low, high) in self.RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise RecipeError(f"{name} must be between {low:g} and {high:g}, not {value!r}")

    def to_dict(self) -> dict[str, Any]:
        """Every key and its value, as JSON holds them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(RunRecipe):
    """Fine-tuning on question answering."""

    task: str = "question-answering"
    base: str
    """Model to start from: a folder, a hub id or ``default``. A missing head is made new."""
    train: str
    """Training data: SQuAD JSON, CSV or JSONL, plain or packed (.gz, .xz)."""
    dev: str = ""
    """Data to score on after training (and every ``evaluate_steps``); never trained on."""
    examples: int = 0
    """Train on the first so many questions of ``train``, 0 for all."""
    holdout: float = 0.0
    """Share of the training articles (of the contexts, where articles are few) kept out of
    training and scored on instead of ``dev``; confidence and the null threshold are fitted on
    them."""
    answers_kept: float = 0.0
    """Share of the F1 on held-out questions with an answer that the null threshold has to leave,
    such as 0.99; 0 fits it to F1 over all that is held out."""
    base_share: float = 0.0
    """Share of the base's weights in the finished model's, for a base that can answer already: at
    0.5 it is the mean of what the run began and ended with (Wortsman et al., 2022, WiSE-FT)."""
    adapter_rank: int = 0
    """Leave the base's encoder as it is and train low-rank adapters beside its dense layers (Hu et
    al., 2021, LoRA), which are folded into the finished model and also written to ``adapter`` in
    PEFT's format; 0 trains every weight."""
    negatives: float = 0.0
    """Unanswerable questions to make, as a share of the training questions; the model learns to
    say that they have no answer."""
    negatives_from: str | tuple[str, ...] = "paragraphs"
    """How they are made, in equal parts: another of the article's ``paragraphs``, the best one of
    other ``articles``, the own one without the ``sentences`` that answer, or with other ``names``
    and figures in the question."""
    noise: float = 0.0
    """Share of the training questions that are asked as people type them: without their mark, in
    lower case, in capitals, with a typo; or of a paragraph with a sentence of chatter beside it, or
    of its one sentence that answers."""
    seq_len: int = 384
    """Longest window, in tokens."""
    stride: int = 128
    """Tokens that neighbouring windows of a context share."""
    max_answer_tokens: int = 30
    """Longest answer the scoring may give, in tokens."""
    fix_offsets: bool = False
    """Move wrong answer offsets to the answer's nearest occurrence instead of refusing them."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("base", "train", "out")
    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **RunRecipe.RANGES,
        "examples": (0, 1e12),
        "holdout": (0, 0.9),
        "answers_kept": (0, 1),
        "base_share": (0, 1),
        "adapter_rank": (0, 1e4),
        "negatives": (0, 10),
        "noise": (0, 1),
        "seq_len": (8, 1e6),
        "stride": (1, 1e6),
        "max_answer_tokens": (1, 1e6),
    }
    MAY_CHANGE: ClassVar[frozenset[str]] = RunRecipe.MAY_CHANGE | {
        "answers_kept",
        "base",
        "base_share",
        "train",
        "dev",
        "max_answer_tokens",
    }
    PATHS: ClassVar[tuple[str, ...]] = ("base", "train", "dev")

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        super(Recipe, self).__post_init__()
        ways = self.negative_ways
        if not ways or not set(ways) <= set(NEGATIVES):
            raise RecipeError(
                f"negatives_from must be one or more of {', '.join(NEGATIVES)}, not {list(ways)}"
            )

    @property
    def negative_ways(self) -> tuple[str, ...]:
        """How unanswerable questions are made."""
        if isinstance(self.negatives_from, str):
            return (self.negatives_from,)
        return self.negatives_from


@dataclass(frozen=True, slots=True, kw_only=True)
class LMRecipe(RunRecipe):
    """Training a masked language model on plain text."""

    task: str = "masked-lm"
    base: str
    """Model to start from: a folder, a hub id or ``default``. A missing head is made new."""
    corpus: str
    """Plain text: a file, a folder or a glob of ``.txt``, plain or packed (.gz, .xz)."""
    cache: str = ""
    """Folder for the packed corpus; by default the user's cache."""
    max_rows: int = 0
    """Use only the first so many rows of the corpus, 0 for all."""
    holdout: float = 0.01
    """Share of the documents kept out of training; the loss on them is reported."""
    seq_len: int = 128
    """Tokens of a row."""
    sequences_per_step: int = 0
    """Rows of one optimiser step, cut into batches of ``batch_tokens``; 0 for ``accumulate``
    batches."""
    mask_share: float = 0.15
    """Share of the tokens to predict."""
    whole_words: bool = False
    """Mask whole words rather than single pieces."""
    train_only_head: bool = False
    """Leave the encoder as it is: for an encoder that has lost its head."""
    fresh: bool = False
    """Start from random weights in the shape of ``base``."""
    embeddings: str = "random"
    """Word embeddings of a fresh model: ``random``, or ``base`` for those of ``base``, reduced to
    their first principal components where the model is narrower."""
    n_layers: int = 0
    """Layers of the model, 0 for as many as ``base`` has."""
    hidden_width: int = 0
    """Width of a fresh model, 0 for that of ``base``."""
    ffn_width: int = 0
    """Feed-forward width of a fresh model, 0 for that of ``base``."""
    n_heads: int = 0
    """Attention heads of a fresh model, 0 for as many as ``base`` has."""
    layers: str | tuple[int, ...] = "uniform"
    """Which layers of ``base`` to take where ``n_layers`` is fewer: ``uniform``, ``first``,
    ``last``, ``skip``, or a list of their numbers from 0."""

    REQUIRED: ClassVar[tuple[str, ...]] = ("base", "corpus", "out")
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        **RunRecipe.CHOICES,
        "embeddings": ("random", "base"),
    }
    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **RunRecipe.RANGES,
        "max_rows": (0, 1e12),
        "holdout": (0, 0.9),
        "seq_len": (8, 1e6),
        "sequences_per_step": (0, 1e9),
        "mask_share": (0.01, 0.9),
        "n_layers": (0, 1000),
        "hidden_width": (0, 1e6),
        "ffn_width": (0, 1e6),
        "n_heads": (0, 1e4),
    }
    MAY_CHANGE: ClassVar[frozenset[str]] = RunRecipe.MAY_CHANGE | {"base", "corpus", "cache"}
    PATHS: ClassVar[tuple[str, ...]] = ("base", "corpus", "cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class LMDistilRecipe(LMRecipe):
    """Distilling a language model, as DistilBERT was made (https://arxiv.org/abs/1910.01108)."""

    teacher: str = ""
    """The masked language model to learn from; by default ``base``."""
    head_steps: int = 200
    """Steps that first train a head for a teacher that has none; 0 refuses such a teacher."""
    alpha_ce: float = 5.0
    """Weight of the teacher's soft targets."""
    alpha_mlm: float = 2.0
    """Weight of the masked-language-model loss."""
    alpha_cos: float = 1.0
    """Weight of the cosine between the last hidden states."""
    temperature: float = 2.0
    """Temperature of the soft targets."""
    all_positions: bool = False
    """Compare soft targets on every real token rather than on the hidden ones alone: what
    DistilBERT's published code does by default, at several times the cost."""

    RANGES: ClassVar[dict[str, tuple[float, float]]] = {
        **LMRecipe.RANGES,
        "head_steps": (0, 1e12),
        "alpha_ce": (0, 1e6),
        "alpha_mlm": (0, 1e6),
        "alpha_cos": (0, 1e6),
        "temperature": (1e-3, 1e3),
    }
    MAY_CHANGE: ClassVar[frozenset[str]] = LMRecipe.MAY_CHANGE | {"teacher"}
    PATHS: ClassVar[tuple[str, ...]] = (*LMRecipe.PATHS, "teacher")

    def __post_init__(self) -> None:
        """Checks every value.

        Raises:
            RecipeError: names the first key whose value cannot be used.
        """
        super(LMDistilRecipe, self).__post_init__()
        if not self.alpha_ce + self.alpha_mlm + self.alpha_cos > 0:
            raise RecipeError("alpha_ce, alpha_mlm and alpha_cos sum to 0: give one a weight")
