"""Ray itself: found, and joined or started, for bulk jobs and for serving."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from potstill.errors import JobError, MissingExtraError

log = logging.getLogger("potstill.scale")

WAIT_S = 5.0
"""Seconds after which it is said what is waited for."""


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


@contextmanager
def saying_waits(
    ray: Any, cpus: int, remedy: str, *, seconds: float = WAIT_S
) -> Generator[Callable[[], None], None, None]:
    """Says what a cluster is waited for, again and again, until work has begun.

    Args:
        ray: the library.
        cpus: processors that are asked for.
        remedy: what to do where there are not so many.
        seconds: between one word and the next.

    Yields:
        What to call once work has begun.
    """
    begun = threading.Event()

    def say() -> None:
        while not begun.wait(seconds):
            try:
                total = ray.cluster_resources().get("CPU", 0)
                free = ray.available_resources().get("CPU", 0)
            except Exception:  # the cluster has gone; whoever waits hears of it themselves
                return
            log.warning(
                "waiting for %d processors: the Ray cluster has %g, of which %g are free; %s",
                *(cpus, total, free, remedy),
            )

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield begun.set
    finally:
        begun.set()
        thread.join()


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
