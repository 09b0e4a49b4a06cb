"""The command line as it was typed, for those verbs that leave it beside what they made."""

from __future__ import annotations

import click

KEY = "potstill.typed"


def typed() -> list[str]:
    """The words of the command under way, from ``potstill`` on."""
    context = click.get_current_context(silent=True)
    return list(context.meta.get(KEY, ())) if context else []
