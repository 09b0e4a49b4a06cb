"""A load and a measured machine → how many machines it takes, how fast they are, what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from potstill.errors import InputError
from potstill.scale.profile import Profile
from potstill.scale.queueing import Simulated, simulate
from potstill.text.tokenizer import PairLayout
from potstill.text.windows import split

_DAY_S = 86_400
_SEARCHED, _SHOWN = 6_000, 20_000
"""Questions of each simulation while searching, and of the one whose figures are given."""
_STEPS = 12
"""Halvings of the search: the rate is found to one part in four thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What is asked, and how soon it has to be answered."""

    questions_per_day: float
    context_tokens: int
    p99_ms: float
    """Within which 99 of 100 questions are to be answered at the peak."""
    question_tokens: int = 12
    peak: float = 3.0
    """The busiest time's rate, over the mean of the day."""
    max_utilisation: float = 0.6
    """Most of the workers' time that may be used at the peak: a margin for what is not foreseen."""

    def __post_init__(self) -> None:
        least = {"context_tokens": 1, "question_tokens": 1, "peak": 1.0}
        for name in ("questions_per_day", "context_tokens", "p99_ms", "question_tokens", "peak"):
            value = getattr(self, name)
            if not (value > 0 and value >= least.get(name, 0) and value < math.inf):
                bound = f"at least {least[name]:g}" if name in least else "above 0"
                raise InputError(f"{name} must be {bound}, not {value}")
        if not 0 < self.max_utilisation < 1:
            raise InputError(f"max_utilisation must be between 0 and 1, not {self.max_utilisation}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Machines for a load. Times in milliseconds, rates in questions a second."""

    machines: int
    windows: int
    """Of a question."""
    peak_rate: float
    """Of all machines."""
    machine_rate: float
    """Most that one machine does within the limits."""
    alone_ms: float
    """Median of a question that meets no other."""
    p50_ms: float
    p99_ms: float
    """At the peak."""
    utilisation: float
    """At the peak."""
    mean_utilisation: float
    """Over the day."""
    limit: str
    """What keeps a machine from doing more: ``p99`` or ``utilisation``."""
    cost_per_million: float | None = None
    """In the currency of the price; of a million questions."""


def windows_of(profile: Profile, load: Load) -> list[int]:
    """Tokens of each window of a question.

    Raises:
        QuestionTooLongError: the question leaves no room for context.
    """
    cut: dict[str, Any] = {"seq_len": profile.seq_len, "stride": profile.stride}
    layout = PairLayout(n_between=profile.n_special - 2, token_types=True)
    slices = split(load.question_tokens, load.context_tokens, **cut, layout=layout)
    return [load.question_tokens + stop - start + profile.n_special for start, stop in slices]


def plan(profile: Profile, load: Load, *, price_per_hour: float | None = None) -> Capacity:
    """Sizes a fleet of machines like the one measured, the load shared evenly among them.

    Args:
        profile: of one machine.
        load: to be carried.
        price_per_hour: of one machine.

    Raises:
        InputError: no number of such machines can answer in time, or the price is negative.
        QuestionTooLongError: the question leaves no room for context.
    """
    if price_per_hour is not None and not 0 <= price_per_hour < math.inf:
        raise InputError(f"price_per_hour must not be negative, not {price_per_hour}")
    windows = windows_of(profile, load)
    alone = _at(profile, windows, 1e-3, n=1000)
    if 1000 * alone.percentile(99) > load.p99_ms:
        raise InputError(
            f"p99_ms {load.p99_ms:g}: a question of {len(windows)} windows takes "
            f"{1000 * alone.percentile(99):.1f} ms (99%) on this machine even alone: allow more, "
            "or take a smaller model, more --threads or a faster machine"
        )
    most, limit = _most(profile, windows, load)
    peak = load.questions_per_day / _DAY_S * load.peak
    machines = max(1, math.ceil(peak / most))
    shown = _at(profile, windows, peak / machines, n=_SHOWN)
    cost = None
    if price_per_hour is not None:
        cost = machines * price_per_hour * 24 / (load.questions_per_day / 1e6)
    return Capacity(
        machines=machines,
        windows=len(windows),
        peak_rate=peak,
        machine_rate=most,
        alone_ms=1000 * alone.percentile(50),
        p50_ms=1000 * shown.percentile(50),
        p99_ms=1000 * shown.percentile(99),
        utilisation=shown.utilisation,
        mean_utilisation=shown.utilisation / load.peak,
        limit=limit,
        cost_per_million=cost,
    )


def _most(profile: Profile, windows: Sequence[int], load: Load) -> tuple[float, str]:
    """Most questions a second that a machine takes within the limits, and which limit it is."""

    def broken(rate: float) -> str | None:
        found = _at(profile, windows, rate, n=_SEARCHED)
        if found.refused or 1000 * found.percentile(99) > load.p99_ms:
            return "p99"
        return "utilisation" if found.utilisation > load.max_utilisation else None

    # No machine does more than its workers with no time between two batches.
    least_s = sum(profile.least(tokens) for tokens in windows)
    low, high = 0.0, profile.workers / (least_s * min(1.0, profile.batch_factor))
    limit = broken(high) or "utilisation"
    for _ in range(_STEPS):
        middle = (low + high) / 2
        reason = broken(middle)
        if reason is None:
            low = middle
        else:
            high, limit = middle, reason
    if not low:
        low = high  # one part in four thousand of what the workers could do: next to alone
    return low, limit


def _at(profile: Profile, windows: Sequence[int], rate: float, *, n: int) -> Simulated:
    enough = max(min(n, 2000), n // len(windows))
    return simulate(profile.simulated(), windows, rate=rate, n=enough)
