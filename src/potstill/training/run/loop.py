"""The training loop: short enough to be read whole.

It knows nothing of the task: it is given rows that make batches, and a loss summed over rows.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from potstill.bundle.atomic import write_text
from potstill.errors import CheckpointError, OutputError, RecipeError
from potstill.training.recipe.run import RunRecipe
from potstill.training.recipe.table import MAY_CHANGE
from potstill.training.run import checkpoint, processes
from potstill.training.run.averaging import Average
from potstill.training.run.sampling import Schedule, rate_factor, row_count, share


class Rows(Protocol):
    """A training set, split into rows."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each row."""
        ...

    def batch(self, rows: list[int]) -> dict[str, Tensor]:
        """Some rows as padded tensors."""
        ...


Loss: TypeAlias = Callable[[Any, dict[str, Tensor], float], Tensor]
"""Model, batch, share of the steps done → loss summed over the rows of the batch."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one optimiser step did."""

    step: int
    """Steps done, this one included."""
    n_steps: int
    epoch: int
    loss: float
    """Mean over the rows of the step."""
    rate: float
    """Learning rate."""
    grad_norm: float
    """Norm of the whole gradient before clipping."""
    tokens: int
    """Tokens of the step, padding left out."""
    seconds: float
    """Seconds of training so far, earlier sittings included."""


def make_fabric(recipe: RunRecipe, loggers: Any = ()) -> Fabric:
    """The devices and precision a recipe asks for; the other processes are started here.

    Raises:
        RecipeError: the machine has no such device.
    """
    cuda = torch.cuda.is_available()
    if recipe.device == "cuda" and not cuda:
        raise RecipeError("device is 'cuda', but torch sees no CUDA device: use device=cpu")
    device = "cuda" if cuda and recipe.device != "cpu" else "cpu"
    devices, nodes = processes.of_run(recipe)
    if device == "cuda" and devices > torch.cuda.device_count():
        raise RecipeError(
            f"devices is {devices}, but torch sees {torch.cuda.device_count()} CUDA devices: "
            "give fewer, or use device=cpu"
        )
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    elif device == "cpu":
        processes.share_cores(devices)
    precision = recipe.precision
    if precision == "auto":
        precision = "bf16" if _has_bf16(device) else "fp32"
    names: dict[str, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}
    fabric = Fabric(
        accelerator=device,
        devices=devices,
        num_nodes=nodes,
        strategy=processes.make_strategy(devices, nodes),
        precision=names[precision],
        loggers=list(loggers),
    )
    fabric.launch()
    return fabric


def computes_bf16(fabric: Fabric) -> bool:
    """Whether a run's matrices are multiplied in bfloat16."""
    with fabric.autocast():
        return torch.is_autocast_enabled(fabric.device.type)


def _has_bf16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # A CPU without bf16 instructions emulates them, several times slower than float32.
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe and probe())


_LAYER = re.compile(r"(?:^|\.)encoder\.(?:layers\.(\d+)\.)?")


def make_optimizer(model: nn.Module, recipe: RunRecipe) -> torch.optim.AdamW:
    """AdamW on what may be trained, with weight decay on matrices only.

    Each group of parameters has its ``share`` of the recipe's rate: `RunRecipe.layer_decay` to the
    power of the layers above it (as in Clark et al. 2020, ELECTRA, appendix B).
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    depths = {name: _depth(name) for name in trained}
    n_layers = 1 + max((depth for depth in depths.values() if depth is not None), default=-1)
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in trained.items():
        depth = depths[name]
        # What stands on the encoder is above its last layer, the embeddings are below its first.
        share = 1.0 if depth is None else recipe.layer_decay ** (n_layers - depth)
        is_matrix = parameter.ndim > 1
        decay = recipe.weight_decay if is_matrix else 0.0
        empty = {"params": [], "weight_decay": decay, "share": share}
        groups.setdefault((-share, not is_matrix), empty)["params"].append(parameter)
    ordered = [groups[key] for key in sorted(groups)]
    return torch.optim.AdamW(ordered, lr=recipe.learning_rate, fused=True)


def _depth(name: str) -> int | None:
    """Number of a parameter's layer, -1 below the first; ``None`` outside the encoder."""
    found = _LAYER.search(name)
    return None if found is None else int(found[1] or -1)


def make_schedule(rows: Rows, recipe: RunRecipe, *, rows_per_step: int = 0) -> Schedule:
    """The batches of every step of a run; ``rows_per_step`` as `Schedule` takes it."""
    return Schedule(
        rows.lengths,
        budget=recipe.batch_tokens,
        accumulate=recipe.accumulate,
        seed=recipe.seed,
        epochs=recipe.epochs,
        max_steps=recipe.max_steps,
        rows_per_step=rows_per_step,
    )


class Run:
    """One run of a recipe in its folder, new or continued.

    Iterating does the training and yields a report after every optimiser step.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        rows: Rows,
        loss: Loss,
        recipe: RunRecipe,
        *,
        fingerprint: str,
        resume: bool | str,
        rows_per_step: int = 0,
        whole_batches: bool = False,
    ) -> None:
        """Prepares a run.

        Args:
            fabric: device and precision.
            model: with the weights to start from.
            rows: the training set.
            loss: of one batch, summed over its rows; told the share of the steps done.
            recipe: the run.
            fingerprint: identifies the training data; a resumed run must have the same.
            resume: go on from the newest checkpoint, if there is one, or from that of this name.
            rows_per_step: as `Schedule` takes it.
            whole_batches: several processes cut no batch that they need not cut: the loss is a
                mean over more than rows.

        Raises:
            CheckpointError: the folder holds a run and ``resume`` is false, or the checkpoint is
                damaged or belongs to another recipe or other data.
            RecipeError: there is nothing to train on.
        """
        if not len(rows):
            raise RecipeError("there is nothing to train on: the training data hold no rows")
        self._fabric, self._rows, self._loss, self._recipe = fabric, rows, loss, recipe
        self._by_rows = fabric.device.type == "cpu" and not whole_batches
        self._checkpoints = Path(recipe.out) / "checkpoints"
        self._facts = {"recipe": recipe.to_dict(), "data": fingerprint}
        self._schedule = make_schedule(rows, recipe, rows_per_step=rows_per_step)
        torch.manual_seed(processes.seed_of(recipe.seed, fabric.global_rank))
        # Unwrapped: a checkpoint holds the model's own names, whatever Fabric puts around it.
        self.model = model
        self._optimizer = make_optimizer(model, recipe)
        self._module, self._wrapped = fabric.setup(model, self._optimizer)
        self._average = Average(model, recipe.averaging) if recipe.averaging else None
        self.step, self.seconds = 0, 0.0
        if not resume and checkpoint.latest(self._checkpoints) is not None:
            raise CheckpointError(
                f"{recipe.out} already holds a run: add --resume to go on with it, "
                "or name another out"
            )
        start = checkpoint.chosen(self._checkpoints, resume) if resume else None
        if start is not None:
            self._continue(start)
            if fabric.is_global_zero:
                checkpoint.set_aside(self._checkpoints, start)

    @property
    def schedule(self) -> Schedule:
        """The batches of every step."""
        return self._schedule

    @property
    def n_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self._schedule.n_steps

    def __iter__(self) -> Iterator[StepReport]:
        saved_at = time.monotonic()
        recipe = self._recipe
        while self.step < self.n_steps:
            began = time.monotonic()
            report = self._train_step(self.step)
            self.step += 1
            self.seconds += time.monotonic() - began
            due = recipe.save_steps and self.step % recipe.save_steps == 0
            if recipe.save_minutes and time.monotonic() - saved_at > 60 * recipe.save_minutes:
                due = True
            # The last step is always kept: scoring comes after it and may be interrupted.
            if processes.agreed(self._fabric, bool(due)) or self.step == self.n_steps:
                self.save()
                saved_at = time.monotonic()
            yield StepReport(self.step, self.n_steps, *report, self.seconds)

    def save(self) -> None:
        """Writes a checkpoint of where the run stands."""
        progress = checkpoint.Progress(self.step, self.seconds, self._facts)
        random = processes.gather(self._fabric, checkpoint.random_state())
        if self._fabric.is_global_zero:
            checkpoint.save(
                self._checkpoints,
                self.model,
                self._optimizer,
                progress,
                random,
                average=self._average.weights if self._average else None,
                keep=self._recipe.keep,
            )

    def finished(self) -> AbstractContextManager[None]:
        """The model as it would be finished now: with averaged weights, where it has them."""
        return self._average.swapped() if self._average else nullcontext()

    def finish(self) -> None:
        """Leaves in the model what the run was for; no step can follow."""
        if self._average:
            self._average.give()
            self._average = None

    def _train_step(self, number: int) -> tuple[int, float, float, float, int]:
        recipe = self._recipe
        rate = recipe.learning_rate * rate_factor(
            number, self.n_steps, warmup=recipe.warmup, decay=recipe.decay
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["share"]
        total = self.add_gradients(number)
        tokens = sum(int(self._rows.lengths[rows].sum()) for rows in self._schedule.step(number))
        norm = self._clip()
        self._wrapped.step()
        self._wrapped.zero_grad(set_to_none=True)
        if self._average:
            self._average.add(number + 1)
        return self._schedule.epoch(number), total, rate, norm, tokens

    def add_gradients(self, number: int) -> float:
        """Leaves the gradient of step ``number`` in the model; the loss, a mean over its rows."""
        fabric = self._fabric
        batches = self._schedule.step(number)
        n_rows = row_count(batches)
        self._module.train()
        total = 0.0
        alone = fabric.world_size == 1
        with nullcontext() if alone else fabric.no_backward_sync(self._module):
            rank, world = fabric.global_rank, fabric.world_size
            for rows in share(batches, rank, world, by_rows=self._by_rows):
                batch = fabric.to_device(self._rows.batch(rows))
                # Divided by the rows of the whole step, so that how they were cut into batches
                # and shared between processes changes nothing.
                loss = self._loss(self._module, batch, number / self.n_steps) / n_rows
                fabric.backward(loss)
                total += float(loss.detach())
        trained = [p for p in self.model.parameters() if p.requires_grad]
        return processes.add_up(fabric, trained, total)

    def _clip(self) -> float:
        limit = self._recipe.clip_norm or float("inf")
        norm = self._fabric.clip_gradients(self._module, self._wrapped, max_norm=limit)
        assert norm is not None  # only clipping by value gives none
        return float(norm)

    def _continue(self, path: Path) -> None:
        progress = checkpoint.read_progress(path)
        then = progress.facts.get("recipe", {})
        defaults = {
            f.name: list(f.default) if isinstance(f.default, tuple) else f.default
            for f in fields(self._recipe)
        }
        may_change = self._recipe.marked(MAY_CHANGE)
        for key, value in self._recipe.to_dict().items():
            # A key that did not exist yet had no effect: its default.
            if key not in may_change and then.get(key, defaults.get(key)) != value:
                raise CheckpointError(
                    f"{path} was made with {key}={then.get(key)!r}, not {value!r}: "
                    "give the same value, or name another out"
                )
        if progress.facts.get("data") != self._facts["data"]:
            raise CheckpointError(
                f"{path} was made with other training data (or, where there is one, another "
                "teacher): give the same, or name another out"
            )
        rank, world = self._fabric.global_rank, self._fabric.world_size
        torch.manual_seed(processes.seed_of(self._recipe.seed, rank, progress.step))
        checkpoint.restore(
            path, self.model, self._optimizer, average=self._average, rank=rank, world=world
        )
        self.step, self.seconds = progress.step, progress.seconds


class MetricsFile:
    """``metrics.jsonl`` of a run: one JSON object a line, in the order of the steps."""

    def __init__(self, path: Path, *, step: int) -> None:
        """Opens the file, dropping lines a resumed run is about to write again.

        Args:
            path: the file.
            step: steps done; lines of later steps are removed, and so are the scores at this one,
                which a run that was stopped here may or may not have written.

        Raises:
            OutputError: the file could not be written.
        """
        kept = _lines_until(path, step) if path.exists() else []
        write_text(path, "".join(kept))
        self._path = path

    def write(self, **values: Any) -> None:
        """Adds a line.

        Raises:
            OutputError: the file could not be written; the newest checkpoint is as it was.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
        except OSError as error:
            raise OutputError(
                f"{self._path} could not be written: {error.strerror}; "
                "make room and go on with --resume"
            ) from error


def _lines_until(path: Path, step: int) -> list[str]:
    kept: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        try:
            values = json.loads(line)
            done = values["step"]
        except (ValueError, KeyError, TypeError):
            continue  # the half line that a kill left behind
        if done < step or (done == step and "loss" in values):
            kept.append(line)
    return kept
