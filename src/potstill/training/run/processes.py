"""Several processes of one run: how many there are, and what they have to agree on.

A run is its recipe, whatever the number of processes: they share the rows of every step between
them and add up their gradients, so that a step takes the same rows and the same gradient as in one
process. The first process alone writes files, scores and speaks.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor, nn

from potstill.errors import RecipeError
from potstill.runtime.session import usable_cores

if TYPE_CHECKING:
    from potstill.training.recipe.run import RunRecipe

_PATIENCE = timedelta(days=1)
"""How long a process waits for the others: the first may be scoring. One that died is noticed at
once, by its closed connection."""


def of_run(recipe: RunRecipe) -> tuple[int, int]:
    """Processes of each machine, and machines: torchrun's where it started this one.

    Raises:
        RecipeError: torchrun gave the machines different numbers of processes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return recipe.devices, recipe.nodes
    world, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if world % local:
        raise RecipeError(
            f"torchrun started {world} processes, {local} of them here: "
            "give every machine the same --nproc-per-node"
        )
    return local, world // local


def make_strategy(devices: int, nodes: int) -> DDPStrategy | str:
    """How Fabric is to run so many processes."""
    if devices * nodes == 1:
        return "auto"
    return DDPStrategy(timeout=_PATIENCE)


def share_cores(devices: int) -> None:
    """Gives each of several processes of this machine its part of the cores."""
    if devices > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, usable_cores() // devices))


def is_first() -> bool:
    """Whether this process is the one that speaks for the run."""
    there = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not there or torch.distributed.get_rank() == 0


def add_up(fabric: Fabric, parameters: Sequence[nn.Parameter], loss: float) -> float:
    """Replaces every gradient by the sum over all processes, and gives the sum of the losses.

    Once a step rather than in DDP's hooks, which want every process to have equally many batches
    and to use every parameter. What no process has a gradient of keeps none.
    """
    if fabric.world_size == 1:
        return loss
    zeros = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flags = [0.0 if p.grad is None else 1.0 for p in parameters]
    facts = torch.tensor([*flags, loss], device=fabric.device)
    flat = torch.cat([*(gradient.reshape(-1) for gradient in zeros), facts])
    flat = fabric.all_reduce(flat, reduce_op="sum")
    assert isinstance(flat, Tensor)
    *sums, facts = flat.split([*(p.numel() for p in parameters), len(facts)])
    for parameter, total, has in zip(parameters, sums, facts[:-1].tolist(), strict=True):
        parameter.grad = total.view_as(parameter) if has else None
    return float(facts[-1])


def agreed(fabric: Fabric, value: bool) -> bool:
    """Whether ``value`` is true in the first process: clocks differ, so one decides for all."""
    if fabric.world_size == 1:
        return value
    told = torch.tensor(float(value and fabric.is_global_zero), device=fabric.device)
    return bool(fabric.all_reduce(told, reduce_op="sum"))


def gather(fabric: Fabric, state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The state of every process, by rank; each has tensors of the same names and shapes."""
    if fabric.world_size == 1:
        return [state]
    found: list[dict[str, Tensor]] = [{} for _ in range(fabric.world_size)]
    for name, tensor in state.items():
        # Everyone's in a row of its own; a sum with zeros is what was there.
        rows = torch.zeros(fabric.world_size, *tensor.shape, dtype=tensor.dtype)
        rows[fabric.global_rank] = tensor
        everyone = fabric.all_reduce(rows.to(fabric.device), reduce_op="sum")
        assert isinstance(everyone, Tensor)
        for rank, own in enumerate(everyone.cpu()):
            found[rank][name] = own.clone()
    return found


def seed_of(seed: int, rank: int, step: int = 0) -> int:
    """The seed of a process's own random draws; that of the first, at the start, is the run's."""
    return (seed + rank * 1_000_003 + step * 7_919) % 2**63
