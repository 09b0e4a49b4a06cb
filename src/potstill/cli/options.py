"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from potstill.cli.completing import MODEL, RUNTIME

Decorated = TypeVar("Decorated", bound=Callable[..., object])


def runtime_option(
    default: str = "native, or onnxruntime where that does not fit",
) -> Callable[[Decorated], Decorated]:
    """``--runtime NAME``: checked when it is given, and not before.

    Args:
        default: what the verb uses where neither the option nor ``POTSTILL_RUNTIME`` says.
    """
    return click.option(
        "--runtime",
        metavar="NAME",
        type=RUNTIME,
        callback=_checked,
        help="What runs the model: native, onnxruntime, openvino, openvino:bf16, torch and others, "
        "or auto for the quickest here, by measurement.  "
        f"[default: POTSTILL_RUNTIME, or {default}]",
    )


def documents_options(verb: str) -> Callable[[Decorated], Decorated]:
    """``FILE…``, ``--context``, ``--index`` and ``--model``: which texts, and who reads them.

    Args:
        verb: what is done to them, for the help.
    """
    options = (
        click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path()),
        click.option("--context", metavar="TEXT", help=f"{verb} this text."),
        click.option(
            "--index",
            metavar="DIR",
            type=click.Path(),
            help=f"{verb} the documents that `potstill index DIR` has read.",
        ),
        click.option(
            "--model",
            default="default",
            show_default=True,
            metavar="MODEL",
            type=MODEL,
            help="default, small or tiny (the embedded readers), a model folder or a hub id.",
        ),
    )

    def decorated(command: Decorated) -> Decorated:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


def passages_option(command: Decorated) -> Decorated:
    """``--windows N``: how many passages of many texts are read."""
    return click.option(
        "--windows",
        type=click.IntRange(min=1),
        metavar="N",
        default=32,
        show_default=True,
        help="Read at most N passages: those that share most words with the question.",
    )(command)


def no_answer_option(command: Decorated) -> Decorated:
    """``--no-answer``, ``--any``: whether "no answer" may win; ``None`` where neither is given."""
    return click.option(
        "--no-answer/--any",
        default=None,
        help='Let "no answer" win, or give the best span in any case.  [default: "no answer" may '
        "win where the model was trained to give it]",
    )(command)


def windows_option(command: Decorated) -> Decorated:
    """``--windows N`` of a text classifier."""
    return click.option(
        "--windows",
        type=click.IntRange(min=0),
        metavar="N",
        help="Classify a text that is too long for one row in up to N, from its beginning to its "
        "end, and average; 0 reads all of it.  [default: the model's own, or 1]",
    )(command)


def columns_option(format_name: str = "--format") -> Callable[[Decorated], Decorated]:
    """How rows with labels lie in their file: the command's ``columns``, of what was given.

    Args:
        format_name: what ``--format`` is called where that means something else.
    """
    options = (
        click.option(
            format_name,
            "format_",
            metavar="NAME",
            help="Format of labelled texts: table, a task of GLUE, SNLI, goemotions, "
            "jigsaw, imdb.  [default: as in the model's recipe, or table]",
        ),
        click.option("--text", metavar="COLUMN", help="Column of the text, in a table of texts."),
        click.option("--pair", metavar="COLUMN", help="Column of the second text of a pair."),
        click.option(
            "--label",
            multiple=True,
            metavar="COLUMN",
            help="Column of the label; repeated, one of 0 and 1 for each label.",
        ),
        click.option(
            "--labels",
            metavar="A,B,…",
            help="What the labels 0, 1, … of the data mean, in order.",
        ),
        click.option(
            "--word", metavar="COLUMN", help="Column of tagged words: a number from 1, or a key."
        ),
        click.option(
            "--tag", metavar="COLUMN", help="Column of their tags: a number from 1, or a key."
        ),
    )

    def decorate(command: Decorated) -> Decorated:
        @wraps(command)
        def collecting(**values: Any) -> object:
            given = {name.rstrip("_"): values.pop(name) for name in _COLUMNS}
            labels = given.pop("labels")
            columns = {name: value for name, value in given.items() if value}
            if columns.get("label") and not columns["label"][1:]:
                columns["label"] = columns["label"][0]
            if labels:
                columns["labels"] = tuple(label.strip() for label in labels.split(","))
            return command(columns=columns, **values)

        found: Any = collecting
        for option in reversed(options):
            found = option(found)
        return found

    return decorate


_COLUMNS = ("format_", "text", "pair", "label", "labels", "word", "tag")


def _checked(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from potstill.errors import InputError
    from potstill.runtime.runtimes import runtime_name

    try:
        return runtime_name(value)
    except InputError as error:
        raise click.BadParameter(str(error)) from None
