"""What the machine at hand can do: its processor, what that can compute, and the cores to use."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

_TOLD = frozenset(
    "avx2 fma avx512f avx512_vnni avx_vnni avx512_bf16 avx512_fp16 amx_int8 amx_bf16 amx_tile "
    "asimd asimddp i8mm bf16 sve".split()
)
"""Abilities, under Linux's names, that decide which kernels a library takes."""
_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@cache
def processor() -> str:
    """The processor's own name, or what the platform calls it."""
    for line in _cpuinfo():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "cpu model"):
            return value.strip()
    return platform.processor() or platform.machine() or "unknown"


@cache
def abilities() -> tuple[str, ...]:
    """Abilities of the processor that speed depends on, sorted; empty where the platform hides it.

    Only Linux lists them in a file.
    """
    for line in _cpuinfo():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return tuple(sorted(_TOLD.intersection(value.split())))
    return ()


def has_bf16() -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    return not _BF16.isdisjoint(abilities())


def usable_cores() -> int:
    """Cores this process may use: its affinity and container quota respected, siblings once.

    Two hyper-threads of one core share its arithmetic units, so they count as one.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    siblings = {
        _read(f"/sys/devices/system/cpu/cpu{i}/topology/thread_siblings_list", str(i))
        for i in allowed
    }
    cores = len(siblings)
    quota, _, period = _read("/sys/fs/cgroup/cpu.max", "max").partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, -(-int(quota) // int(period)))
    return max(1, cores)


def _cpuinfo() -> list[str]:
    return _read("/proc/cpuinfo", "").splitlines()


def _read(path: str, otherwise: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except (OSError, ValueError):
        return otherwise
