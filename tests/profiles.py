"""Profiles of machines that do not exist."""

from __future__ import annotations

from potstill.scale.profile import Profile, WindowTimes


def times(scale: float, spread: float = 1.5) -> list[WindowTimes]:
    """Times that grow with the length, and are spread evenly up to ``spread`` times the least."""
    return [
        WindowTimes(n, 50, [scale * n * (1 + (spread - 1) * i / 40) for i in range(41)])
        for n in (50, 100, 384)
    ]


def profile(**more) -> Profile:
    """A machine of two workers; a window of 384 tokens takes 20 to 30 ms alone."""
    values = {
        "model": "default", "workers": 2, "threads": 1, "token_budget": 512, "seq_len": 384,
        "stride": 128, "http_s": 0.001, "prepare_s": 0.0005, "prepare_token_s": 1e-6,
        "alone": times(0.02 / 384), "together": times(0.025 / 384), "date": "2026-01-01",
        "machine": {"processor": "a processor", "cores": 2},
    }  # fmt: skip
    return Profile(**(values | more))
