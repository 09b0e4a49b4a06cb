"""Ray itself: found, and joined or started, for bulk jobs and for serving."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from potstill.errors import JobError, MissingExtraError


def library(part: str, purpose: str) -> Any:
    """Ray, with one of its libraries imported.

    Args:
        part: ``data`` or ``serve``.
        purpose: what needs it, for the message.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import_module(f"ray.{part}")
        return import_module("ray")
    except ModuleNotFoundError:
        raise MissingExtraError("Ray", "ray", purpose) from None


def connect(ray: Any, address: str, cpus: int) -> None:
    """Joins a cluster, or starts one on this machine with room for so many processors' work.

    Raises:
        JobError: the cluster cannot be reached or started.
    """
    if ray.is_initialized():
        return
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    try:
        if address:
            ray.init(address=address, **quiet)
        else:
            ray.init(address="local", num_cpus=cpus + 1, include_dashboard=False, **quiet)
    except Exception as error:  # Ray raises bare ones, as where its node starts too slowly
        raise JobError(
            f"no Ray cluster at {address or 'this machine'} can be used ({first_line(error)}): "
            "start one with `ray start --head`, or omit --address"
        ) from None


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
