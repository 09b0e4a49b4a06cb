"""``potstill push``: a model to the hub."""

from __future__ import annotations

import click

from potstill.cli.completing import FILE


@click.command("push")
@click.argument("repository", metavar="ID")
@click.argument("model", metavar="MODEL", type=FILE)
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--revision", metavar="BRANCH", help="Branch; made where there is none.")
@click.option("--message", metavar="TEXT", default="", help="Commit message.")
@click.option("--dry-run", is_flag=True, help="List what would go up, and send nothing.")
def command(
    repository: str, model: str, private: bool, revision: str | None, message: str, dry_run: bool
) -> None:
    """Publish the bundle MODEL as ID (owner/name) on the hub and print the commit's address.

    MODEL is a folder that training or export wrote, with its model card (README.md), or default.
    Only the bundle's own files go up; files of computing formats that it no longer has are taken
    away. A push that was interrupted continues if it is run again.

    HF_TOKEN (with write access) and HF_ENDPOINT are honoured.
    """
    from pathlib import Path

    from potstill.bundle.find import DEFAULT, embedded_folder
    from potstill.bundle.push import publishable, push

    folder = embedded_folder() if model == DEFAULT else Path(model).expanduser()
    if dry_run:
        files = publishable(folder)
        for name, size in files.items():
            click.echo(f"{size:>13,}  {name}")
        click.echo(f"{sum(files.values()):>13,}  bytes, {len(files)} files, to {repository}")
        return
    click.echo(
        push(repository, folder, private=private or None, revision=revision, message=message)
    )
