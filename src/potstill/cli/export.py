"""``potstill export``: a model written in other formats."""

from __future__ import annotations

from typing import Any

import click

from potstill.cli.completing import MODEL
from potstill.cli.options import columns_option
from potstill.export.formats import FORMATS


@click.command("export")
@click.argument("model", type=MODEL)
@click.argument("out", required=False, type=click.Path(file_okay=False))
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice([*FORMATS, "all"]),
    metavar="NAME",
    help=f"{', '.join(FORMATS)}, or all that the installed extras can make; may be repeated.  "
    "[default: hf]",
)
@click.option("--revision", help="Branch, tag or commit of a hub id.")
@click.option(
    "--gate",
    "data",
    type=click.Path(),
    metavar="DATA",
    help="Score each file on these data, as its task is scored, and refuse one that loses too "
    "much.",
)
@click.option(
    "--max-drop",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Most points of the score that a file may lose at the gate: F1 of answers and of tags, "
    "accuracy, macro-F1 of several labels, Spearman.  [default: 0.5, for classifiers 0.3]",
)
@columns_option("--data-format")
@click.option(
    "--check",
    is_flag=True,
    help="Check an exported folder: hashes and a replay. With OUT, check what was just written; "
    "without, check MODEL and write nothing.",
)
def command(
    model: str,
    out: str | None,
    formats: tuple[str, ...],
    revision: str | None,
    data: str | None,
    max_drop: float | None,
    check: bool,
    columns: dict[str, Any],
) -> None:
    """Write MODEL in other formats into the folder OUT.

    MODEL is a folder, a hub id or 'default'. hf is the Hugging Face folder; onnx, fp16 and int8
    are ONNX files; docs/formats.md says what the others are. Every file is run and compared with
    the source before OUT appears.
    """
    if out is None and not check:
        raise click.UsageError("Missing argument 'OUT'.")
    if out is None and (formats or data):
        raise click.UsageError("--check without OUT writes nothing: omit the other options.")
    if max_drop is not None and data is None:
        raise click.UsageError("--max-drop needs --gate.")
    if columns and data is None:
        raise click.UsageError(f"--{next(iter(columns))} needs --gate.")
    if out is not None:
        from potstill.bundle.find import find_model
        from potstill.export.bundle import export_bundle
        from potstill.export.gate import Gate

        gate = None
        if data is not None:
            folder = find_model(model, revision=revision)
            gate = Gate.from_file(data, max_drop, model=folder, columns=columns)
        export_bundle(
            model,
            out,
            formats or ("hf",),
            revision=revision,
            gate=gate,
            say=_say,
        )
        _say(f"written: {out}")
    if check:
        from potstill.bundle.find import find_model
        from potstill.export.verify import check_bundle

        for line in check_bundle(find_model(out or model, revision=revision)):
            click.echo(line)


def _say(line: str) -> None:
    click.echo(line, err=True)
