"""``potstill index``: documents → an index that questions of them are answered from at once."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import click


@click.command("index")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path())
@click.option(
    "--into",
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="Folder of the index.  [default: .potstill in the one folder that is named]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(paths: tuple[str, ...], into: str | None, as_json: bool) -> None:
    """Read the documents in PATHs into an index, for `potstill ask --index`.

    Called again it reads what has changed, by content, and takes out what is gone. The index may be
    asked while it is brought up to date; an update that is interrupted leaves whole files, as they
    were or as they are.
    """
    first = next(iter(paths))
    if into is None and (len(paths) > 1 or not Path(first).is_dir()):
        raise click.UsageError("Several PATHs, or a file, go with --into DIR.")

    from potstill.cli.sources import say_skipped
    from potstill.retrieval.index import Index

    began = time.perf_counter()
    index = Index.open(into or first, create=True)
    with _progress() as progress:
        changes = index.update(paths, progress=progress)
    seconds = time.perf_counter() - began
    say_skipped(changes.skipped, changes.notes)
    counts = {
        "added": changes.added,
        "changed": changes.changed,
        "removed": changes.removed,
        "unchanged": changes.unchanged,
        "reread": changes.reread,
        "skipped": len(changes.skipped),
        "passages": index.n_passages,
    }
    if as_json:
        skipped = [{"name": one.name, "reason": one.reason} for one in changes.skipped]
        click.echo(json.dumps({**counts, "skipped": skipped, "seconds": round(seconds, 3)}))
    else:
        words = {"passages": "passage" if counts["passages"] == 1 else "passages"}
        words["reread"] = "read again for this version"
        said = ", ".join(
            f"{n:,} {words.get(name, name)}" for name, n in counts.items() if n or name == "added"
        )
        click.echo(f"{said}; {seconds:.1f} s")


@contextmanager
def _progress() -> Generator[Callable[[int, int], None] | None, None, None]:
    if not sys.stderr.isatty():
        yield None
        return
    from potstill.cli.bars import bar

    with bar("documents") as show:
        yield show
