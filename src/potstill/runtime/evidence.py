"""What was measured of the runtimes, and where it is kept: in the cache folder, as JSON.

A measurement lies under everything it depends on (see `tuning_key`), so that one of another model,
machine or version is never taken for it.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import write_json
from potstill.bundle.cache import cache_folder
from potstill.bundle.manifest import sha256_of
from potstill.errors import OutputError
from potstill.runtime import machine
from potstill.runtime.runtimes import Layout, Runnable, versions

NEAR = 0.25
"""Logits that are apart by less, in standard deviations of the row's logits, are as good as equal:
int8 is as far as this from float32 at one logit in a hundred (docs/log.md, 2026-11-30)."""
SAME = 0.9
"""Least share of decisions (the largest logit along an axis) that must be the reference's: one of
the dozen that the rows ask for may be another."""
ALONE = 1
"""The token budget with which every row runs alone."""
_SCHEMA = 4
_FOLDER = "tuning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A runtime and a layout, and what was measured of them."""

    runtime: str
    workers: int
    threads: int
    batch_tokens: int = ALONE
    """Most tokens of a batch, padding included."""
    rows_per_second: float = 0.0
    """Median over the rounds; 0 where it could not be measured."""
    ms: Mapping[str, float] | None = None
    """Tokens of a row → milliseconds, median, where one row runs at a time."""
    difference: float = 0.0
    """Largest difference of a logit from the reference's, in standard deviations."""
    same: float = 1.0
    """Share of decisions that are the reference's."""
    load_seconds: float = 0.0
    reason: str = ""
    """Why it cannot be chosen; empty where it can."""

    @property
    def layout(self) -> Layout:
        """Its workers and threads."""
        return Layout(self.workers, self.threads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """A measurement and what follows from it."""

    key: Mapping[str, Any]
    """All that it depends on."""
    chosen: Candidate
    candidates: Sequence[Candidate]
    measured: str
    """Date and time, UTC, ISO 8601."""
    seconds: float
    """Time that the measurement took, all in all."""
    near: float = NEAR
    same: float = SAME

    @property
    def is_of_this_machine(self) -> bool:
        """Whether processor, cores and versions are those of this machine now."""
        return all(self.key.get(name) == value for name, value in _machine().items())


def tuning_key(
    model: Runnable, runtimes: Sequence[str], shares: Sequence[Layout]
) -> dict[str, Any]:
    """All that a measurement depends on: the model's file, what was tried, and the machine."""
    return {
        "schema": _SCHEMA,
        "model": sha256_of(model.file),
        "file": model.file.name,
        "name": model.folder.name,
        "head": model.head,
        "runtimes": list(runtimes),
        "layouts": [[share.workers, share.threads] for share in shares],
        **_machine(),
    }


def keep(tuning: Tuning) -> None:
    """Writes a measurement into the cache folder; where that cannot be, warns in one line."""
    try:
        write_json(_file(tuning.key), {**asdict(tuning)})
    except OutputError as error:
        warnings.warn(
            f"what was measured could not be kept, so it will be measured again: {error}; set "
            "POTSTILL_CACHE to a folder that can be written, or POTSTILL_RUNTIME to a runtime",
            RuntimeWarning,
            stacklevel=2,
        )


def recall(key: Mapping[str, Any]) -> Tuning | None:
    """The measurement of exactly this model on this machine, where there is one."""
    found = _read(_file(key))
    return found if found is not None and dict(found.key) == dict(key) else None


def recall_all() -> list[Tuning]:
    """Every measurement in the cache folder, of this machine and of others, newest first."""
    files = (cache_folder() / _FOLDER).glob("*.json")
    found = [one for one in map(_read, files) if one is not None]
    return sorted(found, key=lambda one: one.measured, reverse=True)


def _read(file: Path) -> Tuning | None:
    """A measurement from its file; ``None`` where it is missing, damaged or of another version."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        chosen = Candidate(**values.pop("chosen"))
        candidates = [Candidate(**one) for one in values.pop("candidates")]
        return Tuning(chosen=chosen, candidates=candidates, **values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _file(key: Mapping[str, Any]) -> Path:
    text = json.dumps(key, sort_keys=True)
    return cache_folder() / _FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def _machine() -> dict[str, Any]:
    return {
        "processor": machine.processor(),
        "abilities": list(machine.abilities()),
        "cores": machine.usable_cores(),
        "versions": versions(),
    }
