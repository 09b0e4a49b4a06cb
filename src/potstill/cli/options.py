"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., object])


def runtime_option(default: str) -> Callable[[Decorated], Decorated]:
    """``--runtime NAME``: checked when it is given, and not before.

    Args:
        default: what the verb uses where neither the option nor ``POTSTILL_RUNTIME`` says.
    """
    return click.option(
        "--runtime",
        metavar="NAME",
        callback=_checked,
        help="What runs the model: onnxruntime, openvino, openvino:bf16, torch and others, or auto "
        f"for the quickest here, by measurement.  [default: POTSTILL_RUNTIME, or {default}]",
    )


def windows_option(command: Decorated) -> Decorated:
    """``--windows N`` of a text classifier."""
    return click.option(
        "--windows",
        type=click.IntRange(min=0),
        metavar="N",
        help="Classify a text that is too long for one row in up to N, from its beginning to its "
        "end, and average; 0 reads all of it.  [default: the model's own, or 1]",
    )(command)


def _checked(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from potstill.errors import InputError
    from potstill.runtime.runtimes import runtime_name

    try:
        return runtime_name(value)
    except InputError as error:
        raise click.BadParameter(str(error)) from None
