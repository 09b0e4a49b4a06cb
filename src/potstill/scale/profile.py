"""What a machine was measured to do with a model, and the times that a simulation draws from it."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle.atomic import write_json
from potstill.data.files import read_json
from potstill.errors import DataError
from potstill.scale.queueing import Machine, Pace

FORMAT_VERSION = 1
QUANTILES = 41
"""Of the times that are kept of each length: the least, 38 between, … the greatest."""


@dataclass(frozen=True, slots=True)
class WindowTimes:
    """How long a worker takes for one window of a length."""

    tokens: int
    n: int
    """Requests that were measured."""
    seconds: Sequence[float]
    """Evenly spaced quantiles, the least and the greatest among them."""

    @property
    def median(self) -> float:
        return self.seconds[len(self.seconds) // 2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A server of one model on one machine, measured."""

    format_version: int = FORMAT_VERSION
    model: str
    """As the user named it, without folders."""
    sha256: str = ""
    """Of the file that was run."""
    machine: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    date: str = ""
    workers: int
    threads: int
    token_budget: int
    seq_len: int
    stride: int
    n_special: int = 3
    """Special tokens of a window."""
    http_s: float
    """Of a request, beside what follows."""
    prepare_s: float
    """Of a request, whatever its length."""
    prepare_token_s: float
    """Of each token of it."""
    front_factor: float = 1.0
    """Time before a question is queued with all workers but one busy, over that with none."""
    batch_factor: float = 1.0
    """Time of a full batch, over that of its rows one by one."""
    alone: Sequence[WindowTimes]
    """With one worker busy, by length, rising."""
    together: Sequence[WindowTimes]
    """With all of them busy."""
    evidence: Mapping[str, float] = field(default_factory=dict)
    """``requests`` and ``seconds`` of the measurement."""

    def simulated(self) -> Machine:
        """The machine as `potstill.scale.queueing.simulate` takes it."""
        return Machine(
            workers=self.workers,
            token_budget=self.token_budget,
            service=self.service,
            front=self.paced_front,
        )

    def front(self, lengths: Sequence[int]) -> float:
        """Seconds that a question of such windows takes before it is queued."""
        return self.http_s + self.prepare_s + self.prepare_token_s * sum(lengths)

    def paced_front(self, lengths: Sequence[int]) -> Pace:
        """`front`, with no worker busy and with all but one."""
        alone = self.front(lengths)
        return alone, self.front_factor * alone

    def least(self, tokens: int) -> float:
        """Least seconds that a window of so many tokens was seen to take."""
        return min(_drawn(times, tokens, 0.0) for times in (self.alone, self.together))

    def service(self, lengths: Sequence[int], drawn: random.Random) -> Pace:
        """Seconds that a batch takes, drawn from what was seen."""
        longest, at = max(lengths), drawn.random()
        factor = len(lengths) * (self.batch_factor if len(lengths) > 1 else 1.0)
        alone, together = (_drawn(times, longest, at) for times in (self.alone, self.together))
        return factor * alone, factor * together


def quantiles(seconds: Sequence[float]) -> list[float]:
    """What `WindowTimes.seconds` holds of measured times."""
    return [float(q) for q in np.quantile(seconds, np.linspace(0, 1, QUANTILES))]


def _drawn(times: Sequence[WindowTimes], tokens: int, at: float) -> float:
    """The time at a quantile for a length between those that were measured."""
    place = next((i for i, one in enumerate(times) if one.tokens >= tokens), len(times) - 1)
    high = times[place]
    if place == 0 or high.tokens <= tokens:
        return _quantile(high.seconds, at)
    low = times[place - 1]
    share = (tokens - low.tokens) / (high.tokens - low.tokens)
    return (1 - share) * _quantile(low.seconds, at) + share * _quantile(high.seconds, at)


def _quantile(values: Sequence[float], at: float) -> float:
    place = at * (len(values) - 1)
    low = min(int(place), len(values) - 2)
    return values[low] + (place - low) * (values[low + 1] - values[low])


def write_profile(path: Path, profile: Profile) -> None:
    """Writes a profile as JSON.

    Raises:
        OutputError: it could not be written.
    """
    write_json(path, asdict(profile))


def read_profile(path: str | Path) -> Profile:
    """Reads a profile.

    Raises:
        DataError: the file is no profile.
    """
    values = read_json(path)
    if not isinstance(values, dict) or values.get("format_version") != FORMAT_VERSION:
        raise DataError(
            f"{path} is not a profile: make one by `potstill plan … --save-profile FILE`"
        )
    known = {f.name for f in fields(Profile)}
    values = {name: value for name, value in values.items() if name in known}
    try:
        for name in ("alone", "together"):
            values[name] = [WindowTimes(**one) for one in values[name]]
        profile = Profile(**values)
        _check(profile)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} is a damaged profile ({error}): measure the machine again"
        ) from None
    return profile


def _check(profile: Profile) -> None:
    """Refuses what cannot be simulated.

    Raises:
        ValueError: a value is not what it should be.
    """
    for name in ("workers", "threads", "seq_len", "stride"):
        value = getattr(profile, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is {value!r}")
    for name in ("http_s", "prepare_s", "prepare_token_s", "token_budget", "n_special"):
        if not 0 <= getattr(profile, name) < math.inf:
            raise ValueError(f"{name} is {getattr(profile, name)!r}")
    for name in ("batch_factor", "front_factor"):
        if not 0 < getattr(profile, name) < math.inf:
            raise ValueError(f"{name} is {getattr(profile, name)!r}")
    for name in ("alone", "together"):
        times: Sequence[WindowTimes] = getattr(profile, name)
        lengths = [one.tokens for one in times]
        if not times or lengths != sorted(set(lengths)) or lengths[0] < 1:
            raise ValueError(f"the lengths of {name} do not rise: {lengths}")
        for one in times:
            rising = list(one.seconds) == sorted(one.seconds)
            if len(one.seconds) < 2 or not rising or not 0 < one.seconds[0] < math.inf:
                raise ValueError(f"the times of {one.tokens} tokens do not rise from above 0")
