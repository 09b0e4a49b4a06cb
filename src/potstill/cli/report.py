"""``potstill report``: runs side by side in one page."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import click


@click.command("report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="The page to write.",
)
@click.option(
    "--data",
    type=click.Path(dir_okay=False),
    metavar="DATA",
    help="The questions that the runs were scored on, to show the mistakes in their texts.",
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
@click.option("--title", default="Runs", show_default=True, help="Of the page.")
def command(
    runs: tuple[str, ...],
    out: Path,
    data: str | None,
    teacher: str,
    mistakes: int,
    title: str,
) -> None:
    """Show RUNs in one page: quality against time and size, curves, mistakes, how to repeat them.

    A RUN is the folder that finetune, distil or export wrote, or any model folder. What `potstill
    eval RUN DATA --keep` left there is shown; what was never measured is said to be unknown. The
    page holds all it needs and opens anywhere.
    """
    from potstill.bundle.atomic import write_text
    from potstill.evaluation.report import ReportOptions, report
    from potstill.evaluation.runs import read_run

    examples = {}
    if data is not None:
        from potstill.data.qa import load_qa

        examples = {example.id: example for example in load_qa(data).examples}
    options = ReportOptions(
        title=title,
        teacher=_name(teacher),
        examples=examples,
        data=Path(data or "").name,
        mistakes=mistakes,
        version=metadata.version("potstill"),
    )
    page = report([read_run(run) for run in runs], options)
    write_text(out, page)
    size = len(page.encode()) / 1e6
    click.echo(f"{len(runs)} run{'s' if len(runs) > 1 else ''} in {out} ({size:.2f} MB)")


def _name(run: str) -> str:
    """A run as the page calls it, whether it was given by name or as a folder."""
    folder = Path(run).expanduser() if run else None
    return folder.resolve().name if folder and folder.is_dir() else run
