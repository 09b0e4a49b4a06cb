"""The keys that every run has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.training.recipe.table import (
    COUNT,
    MAY_CHANGE,
    PATH,
    REQUIRED,
    SHARE,
    Between,
    OneOf,
    Table,
)


@dataclass(frozen=True, kw_only=True)
class RunRecipe(Table):
    """What every run has: what it starts from, where it writes, how long it lasts, how it steps."""

    TITLE = "Every run"

    task: str
    out: Annotated[str, REQUIRED, MAY_CHANGE]
    """Folder of the run: the finished model, ``metrics.jsonl`` and ``checkpoints``."""
    base: Annotated[str, REQUIRED, MAY_CHANGE, PATH]
    """Model to start from: a folder, a hub id or ``default``. A head that is missing, or does not
    fit the labels, is made new."""
    seed: Annotated[int, Between(0, 2**63 - 1)] = 0
    """Of every random number: with the same seed a run comes out the same."""
    epochs: Annotated[float, Between(1e-9, 10_000), MAY_CHANGE] = 2.0
    """Passes over the training data; a fraction stops within one."""
    max_steps: Annotated[int, COUNT, MAY_CHANGE] = 0
    """Stop after so many optimiser steps, 0 for as many as ``epochs`` asks for."""
    batch_tokens: Annotated[int, Between(1, 1e9)] = 4000
    """Most tokens of one batch, padding included."""
    accumulate: Annotated[int, Between(1, 1e6)] = 1
    """Batches whose gradients are added up for one optimiser step."""
    learning_rate: Annotated[float, Between(0, 10)] = 1.5e-4
    """Highest rate, reached at the end of the warm-up."""
    layer_decay: Annotated[float, SHARE] = 1.0
    """Rate of a layer as a share of that of the layer above it, the head being above the last: with
    0.9 the lowest of twelve learns at 0.28 of ``learning_rate``, the embeddings at 0.25. With 1 all
    learn alike, with 0 only the head learns."""
    trained_layers: Annotated[int | None, Between(0, 1e6)] = None
    """Train only so many of the upper layers, and the head: the layers below and the embeddings
    stay as they are, and a step takes less time. With 0 only the head learns; left out, everything
    does."""
    warmup: Annotated[float, SHARE] = 0.06
    """Share of the steps over which the rate rises linearly from 0."""
    decay: Annotated[float, SHARE, MAY_CHANGE] = 1.0
    """Share of the steps, at the end, over which the rate falls linearly to 0; with 1 it falls
    from the end of the warm-up on, with less it stays at its highest until then."""
    weight_decay: Annotated[float, Between(0, 10)] = 0.01
    """AdamW's; not applied to biases and norms."""
    clip_norm: Annotated[float, Between(0, 1e9)] = 1.0
    """Largest norm of the whole gradient; 0 switches clipping off."""
    averaging: Annotated[float, Between(0, 1 - 1e-9), MAY_CHANGE] = 0.0
    """Share of the averaged weights that each step keeps, such as 0.999: the finished model, and
    what is scored on the way, is an exponential moving average over the steps; 0 for none."""
    dropout: Annotated[float | None, Between(0, 0.99)] = None
    """Rate of every dropout while training; left out, the base model's own rates."""
    precision: Annotated[str, OneOf(("auto", "fp32", "bf16"))] = "auto"
    """``fp32``, ``bf16`` (autocast), or ``auto``: bf16 where the processor has it."""
    device: Annotated[str, OneOf(("auto", "cpu", "cuda"))] = "auto"
    """``cpu``, ``cuda``, or ``auto``."""
    threads: Annotated[int, Between(0, 4096), MAY_CHANGE] = 0
    """Threads of the CPU computation of each process, 0 for torch's own choice."""
    devices: Annotated[int, Between(1, 4096), MAY_CHANGE] = 1
    """Processes on each machine: GPUs, or, on the CPU, processes that share its cores. Where
    torchrun starts them, its own number holds."""
    nodes: Annotated[int, Between(1, 1e5), MAY_CHANGE] = 1
    """Machines."""
    evaluate_steps: Annotated[int, COUNT, MAY_CHANGE] = 0
    """Score every so many steps, 0 for only at the end."""
    save_minutes: Annotated[float, Between(0, 1e9), MAY_CHANGE] = 5.0
    """Write a checkpoint when the last is this old, 0 for never."""
    save_steps: Annotated[int, COUNT, MAY_CHANGE] = 0
    """Also write one every so many steps, 0 for never."""
    keep: Annotated[int, Between(1, 1e6), MAY_CHANGE] = 2
    """Newest checkpoints to keep."""
    log_steps: Annotated[int, Between(1, 1e12), MAY_CHANGE] = 10
    """Write a line of metrics every so many steps."""
    tensorboard: Annotated[bool, MAY_CHANGE] = False
    """Also write TensorBoard files (needs the extra ``tensorboard``)."""
    wandb: Annotated[str, MAY_CHANGE] = ""
    """Project of Weights & Biases to log to as well (needs the extra ``wandb``)."""
    trackio: Annotated[str, MAY_CHANGE] = ""
    """Project of trackio to log to as well (needs the extra ``trackio``)."""
