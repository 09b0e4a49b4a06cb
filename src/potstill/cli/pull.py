"""``potstill pull``: a model from the hub."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("pull")
@click.argument("model", metavar="ID")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Copy the files here; otherwise they stay in the hub's own cache.",
)
@click.option("--revision", help="Branch, tag or commit.")
def command(model: str, out: Path | None, revision: str | None) -> None:
    """Download the model ID (owner/name) from the hub and print the folder it lies in.

    HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE are honoured.
    """
    from potstill.bundle.hub import pull

    click.echo(pull(model, out, revision=revision))
