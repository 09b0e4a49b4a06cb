"""``potstill report``: runs side by side in one page."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from potstill.cli.completing import FILE

if TYPE_CHECKING:
    from potstill.records import QAExample
    from potstill.reports.runs import RunFolder
    from potstill.reports.text_mistakes import TextLike


@click.command("report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=FILE)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The page to write.",
)
@click.option(
    "--data",
    "files",
    type=click.Path(dir_okay=False, path_type=Path),
    multiple=True,
    metavar="DATA",
    help="A file that the runs were scored on, to show the mistakes in their texts; repeatable.",
)
@click.option(
    "--teacher",
    default="",
    metavar="RUN",
    help="Which of the runs the others are compared with.  [default: the one their recipes name]",
)
@click.option(
    "--mistakes",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    metavar="N",
    help="Most mistakes shown of each run.",
)
@click.option("--title", default="Runs", show_default=True, help="Title of the page.")
def command(
    runs: tuple[str, ...],
    out: Path,
    files: tuple[Path, ...],
    teacher: str,
    mistakes: int,
    title: str,
) -> None:
    """Show RUNs in one page: quality against time and size, curves, mistakes, how to repeat them.

    A RUN is the folder that finetune, distil or export wrote, or any model folder; one that is not
    finished is left out. What `potstill eval RUN DATA --keep` left there is shown; what was never
    measured is said to be unknown. The page holds all it needs and opens anywhere.
    """
    from potstill.bundle.atomic import write_text
    from potstill.errors import DataError
    from potstill.reports.report import ReportOptions, report
    from potstill.reports.runs import read_run

    finished = [run for run in runs if not _goes_on(run)]
    if not finished:
        raise DataError(f"no run is finished: {', '.join(runs)}")
    read = [read_run(run) for run in finished]
    examples, texts = _texts(read, files)
    options = ReportOptions(
        title=title,
        teacher=_name(teacher),
        examples=examples,
        texts=texts,
        data=", ".join(file.name for file in files),
        mistakes=mistakes,
        version=metadata.version("potstill"),
    )
    page = report(read, options)
    write_text(out, page)
    size = len(page.encode()) / 1e6
    click.echo(f"{len(read)} run{'s' if len(read) > 1 else ''} in {out} ({size:.2f} MB)")


def _texts(
    runs: Sequence[RunFolder], files: Sequence[Path]
) -> tuple[dict[str, QAExample], dict[str, dict[str, TextLike]]]:
    """The files' questions by id, and their labelled texts by the hash of the file and by id."""
    from potstill.bundle.manifest import sha256_of
    from potstill.data.qa import load_qa
    from potstill.reports.text_mistakes import load_texts_of

    of_texts = {kept.sha256: kept for run in runs for kept in run.evaluations if kept.said}
    examples: dict[str, QAExample] = {}
    texts: dict[str, dict[str, TextLike]] = {}
    for file in files:
        digest = sha256_of(file) if file.is_file() else ""
        if kept := of_texts.get(digest):
            texts[digest] = load_texts_of(kept.task, file, kept.layout)
        else:
            examples |= {example.id: example for example in load_qa(file).examples}
    return examples, texts


def _goes_on(run: str) -> bool:
    """Whether a folder holds a run that has not come to its model yet, which is said."""
    from potstill.bundle.layout import CONFIG, METRICS

    folder = Path(run).expanduser()
    unfinished = (folder / METRICS).is_file() and not (folder / CONFIG).is_file()
    if unfinished:
        click.echo(f"potstill: left out, not finished: {run}; --resume goes on with it", err=True)
    return unfinished


def _name(run: str) -> str:
    """A run as the page calls it, whether it was given by name or as a folder."""
    folder = Path(run).expanduser() if run else None
    return folder.resolve().name if folder and folder.is_dir() else run
