"""Checkpoints: safetensors and JSON in a folder that appears in one step.

Everything a run needs to go on bit for bit is inside: weights, AdamW's moments, the state of every
random generator, the step. Nothing is pickled. ``state.json`` holds the hashes of the other files,
and one of itself: a flipped bit, a file of another step or an edited state is refused.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from potstill.bundle.atomic import replacing_folder, write_json
from potstill.bundle.manifest import digest_of, sha256_of
from potstill.errors import CheckpointError
from potstill.training.run.averaging import Average

_NAME = re.compile(r"step-(\d{9})")
_STATE = "state.json"
_AVERAGE = "average.safetensors"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    step: int
    """Optimiser steps done."""
    seconds: float
    """Seconds of training behind it, those of earlier sittings included."""
    facts: dict[str, Any]
    """The recipe and the data's fingerprint, to be compared when the run goes on."""


def save(
    folder: Path,
    model: nn.Module,
    optimizer: Optimizer,
    progress: Progress,
    random: Sequence[dict[str, Tensor]],
    *,
    average: Mapping[str, Tensor] | None = None,
    keep: int,
) -> Path:
    """Writes ``folder/step-…`` and removes all but the ``keep`` newest checkpoints.

    Args:
        folder: of all checkpoints of the run.
        model: whose parameters are kept.
        optimizer: whose moments are kept.
        progress: where the run stands.
        random: `random_state` of every process of the run.
        average: the averaged weights, where the run has them.
        keep: how many checkpoints may stay.

    Raises:
        OutputError: it could not be written; older checkpoints are as they were.
    """
    path = folder / f"step-{progress.step:09d}"
    with replacing_folder(path) as temporary:
        _write(temporary / "model.safetensors", dict(model.state_dict()))
        _write(temporary / "optimizer.safetensors", _moments(model, optimizer))
        _write(temporary / "random.safetensors", _by_rank(random))
        if average is not None:
            _write(temporary / _AVERAGE, dict(average))
        state = {
            "step": progress.step,
            "seconds": progress.seconds,
            "facts": progress.facts,
            "files": {file.name: sha256_of(file) for file in sorted(temporary.iterdir())},
        }
        write_json(temporary / _STATE, {**state, "digest": digest_of(state)})
    for old in _all(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def latest(folder: Path) -> Path | None:
    """The newest checkpoint below ``folder``, whole or not, or ``None``."""
    found = _all(folder)
    return found[-1] if found else None


def chosen(folder: Path, resume: bool | str) -> Path | None:
    """The checkpoint to go on from, checked to be whole; ``None`` where there is none.

    Args:
        folder: of all checkpoints of the run.
        resume: ``True`` for the newest, or the name (``step-000000010``) or number of one.

    Raises:
        CheckpointError: it is not there, or is damaged: the newest whole one is named.
    """
    every = _all(folder)
    if not isinstance(resume, str):
        found = every[-1] if every else None
    else:
        number = resume.removeprefix("step-").rjust(9, "0")
        found = next((one for one in every if one.name == f"step-{number}"), None)
        if found is None:
            names = ", ".join(one.name for one in every) or "none"
            raise CheckpointError(f"{folder} has no checkpoint {resume!r:.40}: it has {names}")
    reason = "" if found is None else _fault(found)
    if found is None or not reason:
        return found
    whole = next((one for one in reversed(every) if one != found and not _fault(one)), None)
    remedy = (
        f"--resume={whole.name} goes on from the newest whole one"
        if whole
        else "none is whole: name another out"
    )
    raise CheckpointError(f"checkpoint {found} cannot be used ({reason}): {remedy}")


def set_aside(folder: Path, path: Path) -> None:
    """Renames the checkpoints behind ``path``, from which a run goes on, so that none is taken."""
    for later in _all(folder):
        if later.name > path.name:
            later.rename(later.with_name(f"left-{later.name}"))


def _fault(path: Path) -> str:
    """What is wrong with a checkpoint as a whole; empty where nothing is."""
    try:
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        digest = state.pop("digest", None)
        if digest is None and "files" not in state:  # of a version that wrote no hashes
            return ""
        if digest != digest_of(state):
            return f"{_STATE} was changed"
        if f"step-{state['step']:09d}" != path.name:
            return f"{_STATE} is of step {state['step']}"
        for name, sha256 in state["files"].items():
            if sha256_of(path / name) != sha256:
                return f"{name} is not what was written"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return _reason(error)
    return ""


def read_progress(path: Path) -> Progress:
    """Reads where a checkpoint's run stood, without its weights.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    try:
        state = json.loads((path / _STATE).read_text(encoding="utf-8"))
        return Progress(int(state["step"]), float(state["seconds"]), dict(state["facts"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(_damaged(path, error)) from None


def restore(
    path: Path,
    model: nn.Module,
    optimizer: Optimizer,
    *,
    average: Average | None = None,
    rank: int = 0,
    world: int = 1,
) -> None:
    """Puts weights, moments and random generators back as they were when ``path`` was written.

    Args:
        path: the checkpoint.
        model: to be filled.
        optimizer: to be filled.
        average: to be filled; it starts from the weights where the run had none so far.
        rank: number of this process.
        world: how many there are. Where there were more or fewer, the generators are left as they
            are: nothing could be equal there.

    Raises:
        CheckpointError: the checkpoint is damaged or of another model.
    """
    try:
        model.load_state_dict(load_file(path / "model.safetensors"))
        _set_moments(model, optimizer, load_file(path / "optimizer.safetensors"))
        if average is not None:
            kept = path / _AVERAGE if (path / _AVERAGE).is_file() else path / "model.safetensors"
            average.load(load_file(kept))
        states = _of_ranks(load_file(path / "random.safetensors"))
        if len(states) == world:
            _set_random_state(states[rank])
    except (OSError, SafetensorError, RuntimeError, KeyError) as error:
        raise CheckpointError(_damaged(path, error)) from None


def _damaged(path: Path, error: Exception) -> str:
    return (
        f"checkpoint {path} cannot be used ({_reason(error)}): "
        "remove it to go on from the one before"
    )


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _all(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if _NAME.fullmatch(p.name) and p.is_dir())


def _write(file: Path, tensors: dict[str, Tensor]) -> None:
    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
    except SafetensorError as error:
        # The library wraps a full disk in its own error; the caller reports OSError.
        raise OSError(str(error)) from error


def _moments(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    return {
        f"{names[parameter]}/{key}": value.detach()
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def _set_moments(model: nn.Module, optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        owner, _, key = name.rpartition("/")
        parameter = parameters[owner]
        # AdamW keeps its step counter on the CPU unless it is fused, then beside the parameter.
        optimizer.state[parameter][key] = tensor.to(parameter.device)


def random_state() -> dict[str, Tensor]:
    """The state of every random generator of this process."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state |= {f"cuda{i}": s for i, s in enumerate(torch.cuda.get_rng_state_all())}
    return state


def _by_rank(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The states of all processes in one: that of the first under its own names."""
    return {
        f"rank{rank}/{name}" if rank else name: tensor
        for rank, state in enumerate(states)
        for name, tensor in state.items()
    }


def _of_ranks(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    found: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        owner, _, key = name.rpartition("/")
        found.setdefault(int(owner.removeprefix("rank") or 0), {})[key] = tensor
    return [found[rank] for rank in range(len(found))]


def _set_random_state(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    cuda = [state[f"cuda{i}"] for i in range(len(state) - 1)]
    # On another number of devices the generators start anew: nothing could be equal there.
    if cuda and len(cuda) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(cuda)
