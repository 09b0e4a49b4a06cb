"""``potstill info``: what a data file or a model holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.cli.completing import MODEL, TASK
from potstill.cli.options import columns_option

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_DATA_SUFFIXES = {".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".gz", ".xz"}


@click.command("info")
@click.argument("targets", metavar="[MODEL_OR_DATA] [MODEL]...", nargs=-1, type=MODEL)
@click.option(
    "--model",
    default="default",
    show_default=True,
    metavar="MODEL",
    type=MODEL,
    help="Whose tokenizer counts the tokens of a data file: default, a folder or a hub id.",
)
@click.option(
    "--seq-len",
    type=click.IntRange(min=4),
    default=384,
    show_default=True,
    help="Longest window in tokens.",
)
@click.option(
    "--stride",
    type=click.IntRange(min=0),
    default=128,
    show_default=True,
    help="Tokens that consecutive windows of one context share.",
)
@click.option(
    "--task",
    metavar="TASK",
    type=TASK,
    help="Task that a data file is for, as recipes call it.  [default: question-answering]",
)
@columns_option()
@click.option(
    "--tuning",
    is_flag=True,
    help="Show how runtimes were measured, of these models or of all; --json prints a list.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, a list for several.")
def command(
    targets: tuple[str, ...],
    model: str,
    seq_len: int,
    stride: int,
    task: str | None,
    columns: dict[str, Any],
    tuning: bool,
    as_json: bool,
) -> None:
    """Describe a model or a data set, or several models side by side.

    A data file gets its counts and lengths (of questions: answers, offsets and windows); a model
    (default, a folder or a hub id) its shape, parameters, cost, files and scores. Several models,
    such as a teacher and its student, stand in columns with their ratios to the first, in as many
    tables as the terminal is narrow for; --json then prints a list. FLOPs a token are the
    multiplications and additions of the matrix products of a full row of --seq-len tokens,
    attention included.
    """
    if tuning:
        from potstill.cli.tuning import show_tunings

        show_tunings(targets, as_json=as_json)
        return
    if not targets:
        raise click.UsageError("Name a model or a data file, or ask for --tuning.")
    found: list[dict[str, Any]] | dict[str, Any]
    first, *others = targets
    if others:
        found = _compared(targets, seq_len)
    elif _is_data(first):
        found = _described_data(first, task, model, columns, seq_len=seq_len, stride=stride)
    else:
        found = _described_model(first, seq_len)
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print(found)


def _described_data(
    target: str, task: str | None, model: str, columns: dict[str, Any], **how: int
) -> dict[str, Any]:
    from potstill.bundle.find import find_model
    from potstill.tasks.table import every, named
    from potstill.text.tokenizer import Tokenizer

    found = named(task) if task else every()[0]
    tokenizer = Tokenizer.from_folder(find_model(model))
    described = found.describe(found.load(target, **columns), tokenizer, **how)
    counted = {"tokenizer": model} if any(key.endswith("_tokens") for key in described) else {}
    return {"kind": "data", "task": found.name, "path": target, **counted, **described}


def _described_model(target: str, seq_len: int) -> dict[str, Any]:
    from potstill.bundle.config import read_config
    from potstill.bundle.find import find_model
    from potstill.bundle.manifest import head_of_folder
    from potstill.evaluation.describe import describe_model
    from potstill.runtime.runtimes import runtime_of

    folder = find_model(target)
    described = describe_model(folder, seq_len=seq_len)
    head = head_of_folder(folder, read_config(folder))
    name, reason = runtime_of(folder, head)
    runs = {"runtime": name, "runtime_reason": reason}
    return {"kind": "model", "model": target, "folder": str(folder), **runs, **described}


def _compared(targets: tuple[str, ...], seq_len: int) -> list[dict[str, Any]]:
    from potstill.evaluation.describe import compare_models

    for target in targets:
        if _is_data(target):
            raise click.UsageError(
                f"{target} is a data file: several at once must be models; describe it by itself"
            )
    return compare_models([_described_model(target, seq_len) for target in targets])


def _is_data(target: str) -> bool:
    path = Path(target)
    try:
        if path.is_dir():
            return False
        if path.exists():
            return True
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL in it
        return False
    # Not there: a file name's suffix says that data were meant, so that the error says so too.
    return path.suffix.lower() in _DATA_SUFFIXES


def _print(found: dict[str, Any] | list[dict[str, Any]]) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False, emoji=False)
    if isinstance(found, list):
        for number, table in enumerate(_models_tables(found, console)):
            console.print(*([""] if number else []), table, sep="\n")
        return
    data = _data_table if "questions" in found else _labels_table
    console.print(_model_table(found) if found["kind"] == "model" else data(found))


def _grid() -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    return table


def _data_table(values: dict[str, Any]) -> Table:
    table = _grid()
    table.add_row("data", _plain(values["path"]))
    table.add_row("version", _plain(values["version"] or "not stated"))
    for name in ("questions", "contexts", "answers", "unanswerable"):
        table.add_row(name, f"{values[name]:,}")
    counts = values["answers_per_question"].items()
    table.add_row("answers a question", ", ".join(f"{n}: {count:,}" for n, count in counts))
    table.add_row("wrong offsets", f"{values['wrong_offsets']:,}")
    table.add_row("answers not in their context", f"{values['unplaced']:,}")
    table.add_row(
        "windows",
        f"{values['windows']:,} of at most {values['seq_len']} tokens, {values['stride']} shared",
    )
    if values["too_long_questions"]:
        table.add_row("questions too long for one", f"{values['too_long_questions']:,}")
    for name in ("question", "context", "window"):
        lengths = values[f"{name}_tokens"]
        table.add_row(
            f"tokens of a {name}",
            f"mean {lengths['mean']:.1f}, median {lengths['median']:.0f}, "
            f"95% {lengths['p95']:.0f}, longest {lengths['max']:,}",
        )
    return table


def _labels_table(values: dict[str, Any]) -> Table:
    table = _grid()
    table.add_row("data", _plain(values["path"]))
    for name in ("task", "problem", "examples", "pairs", "words", "choices"):
        if values.get(name):
            value = values[name]
            table.add_row(name, _count(value) if isinstance(value, int) else _plain(value))
    for label, value in values.get("labels", {}).items():
        table.add_row(
            f"  {_plain(label)}", _count(value) if isinstance(value, int) else _short(value)
        )
    if "row_tokens" in values:
        if values.get("problem") == "multi-label":
            table.add_row("rows with several labels", _count(values["several"]))
            table.add_row("rows with none", _count(values["none"]))
        lengths = values["row_tokens"]
        table.add_row(
            "tokens of a row",
            f"mean {lengths['mean']:.1f}, median {lengths['median']:.0f}, "
            f"95% {lengths['p95']:.0f}, longest {lengths['max']:,}",
        )
        longer = f"rows longer than {values['seq_len']} tokens"
        table.add_row(longer, _count(values["truncated"]))
    return table


def _model_table(values: dict[str, Any]) -> Table:
    from potstill.tasks.table import named

    table = _grid()
    table.add_row("model", _plain(values["model"]))
    table.add_row("folder", _plain(values["folder"]))
    table.add_row(
        "shape",
        f"{values['model_type']}, {values['n_layers']} layers × {values['hidden_width']}, "
        f"{_of_layers(values['layer_heads'])} heads, "
        f"feed-forward {_of_layers(values['layer_ffn'])}",
    )
    reason = f": {values['runtime_reason']}" if values["runtime_reason"] else ""
    table.add_row("runtime", _plain(values["runtime"] + reason))
    table.add_row("vocabulary", f"{values['vocab_size']:,}")
    table.add_row("positions", f"{values['max_positions']:,}")
    table.add_row("parameters", f"{values['parameters']:,}")
    table.add_row("  without embeddings", f"{values['parameters_without_embeddings']:,}")
    table.add_row(
        "FLOPs a token",
        f"{values['flops_per_token'] / 1e6:.1f} million in a row of {values['seq_len']}",
    )
    manifest = values["manifest"]
    if manifest is not None:
        for name in ("name", "licence", "task"):
            if manifest[name]:
                table.add_row(name, _plain(manifest[name]))
        if named(manifest["task"]).takes("no_answer"):
            table.add_row("may say there is no answer", "yes" if manifest["no_answer"] else "no")
        for name, value in manifest["scores"].items():
            table.add_row(f"score: {_plain(name)}", _plain(_short(value)))
    for name, size in values["files"].items():
        table.add_row(_plain(name), _size(size))
    table.add_row("all files", _size(values["bytes"]))
    return table


def _of_layers(numbers: list[int]) -> str:
    """One number where all layers are alike, the range where pruning left them different."""
    least, most = min(numbers), max(numbers)
    return _count(most) if least == most else f"{_count(least)} to {_count(most)}"


def _models_tables(models: list[dict[str, Any]], console: Console) -> Iterator[Table]:
    """As many models side by side as the terminal is wide for, the first in every table."""
    names = [Path(one["model"]).name or one["model"] for one in models]
    if len(set(names)) < len(names):
        names = [one["model"] for one in models]
    shown = models[:1]
    for one in models[1:]:
        wider = _models_table([*shown, one], models, names)
        if len(shown) > 1 and _width(wider, console) > console.width:
            yield _models_table(shown, models, names)
            shown = models[:1]
        shown = [*shown, one]
    yield _models_table(shown, models, names)


def _width(table: Table, console: Console) -> int:
    """Columns of a terminal that a table takes where it is not short of them."""
    return console.measure(table, options=console.options.update(width=10_000)).maximum


def _models_table(
    models: list[dict[str, Any]], every: list[dict[str, Any]], names: list[str]
) -> Table:
    """Some models of ``every``, under their ``names``."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(style="bold")
    for one in models:
        table.add_column(_plain(names[every.index(one)]), justify="right", overflow="fold")

    def add(label: str, name: str, shown: Callable[[Any], str]) -> None:
        table.add_row(label, *(shown(one[name]) for one in models))

    def add_ratio(label: str, name: str, shown: Callable[[Any], str]) -> None:
        cells = [shown(one[name]) + _times(one["ratio_to_first"][name]) for one in models[1:]]
        table.add_row(label, shown(models[0][name]), *cells)

    add("type", "model_type", str)
    add("runtime", "runtime", str)
    for name in ("n_layers", "hidden_width"):
        add(name, name, _count)
    add("n_heads", "layer_heads", _of_layers)
    add("ffn_width", "layer_ffn", _of_layers)
    add("vocabulary", "vocab_size", _count)
    add("positions", "max_positions", _count)
    add_ratio("parameters", "parameters", _count)
    add_ratio("  without embeddings", "parameters_without_embeddings", _count)
    label = f"FLOPs a token\n  in a row of {models[0]['seq_len']}"
    add_ratio(label, "flops_per_token", lambda value: f"{value / 1e6:.1f} million")
    for name in dict.fromkeys(name for one in models for name in one["files"] if _heavy(name)):
        table.add_row(_plain(name), *(_file_cell(one, name, one is models[0]) for one in models))
    add_ratio("all files", "bytes", _size)
    return table


def _heavy(file: str) -> bool:
    """Whether a file holds weights: beside them the others weigh nothing."""
    return Path(file).suffix in (".onnx", ".safetensors", ".bin")


def _file_cell(model: dict[str, Any], name: str, first: bool) -> str:
    if name not in model["files"]:
        return "-"
    ratio = None if first else model["ratio_to_first"]["files"].get(name)
    return _size(model["files"][name]) + ("" if ratio is None else _times(ratio))


def _count(value: int) -> str:
    return f"{value:,}"


def _times(ratio: float) -> str:
    return f" ×{ratio:.3g}"


def _size(n_bytes: int) -> str:
    if n_bytes >= 1e6:
        return f"{n_bytes / 1e6:,.1f} MB"
    return f"{n_bytes / 1e3:.1f} kB" if n_bytes >= 1e3 else f"{n_bytes} bytes"


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(item)}" for key, item in value.items())
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _plain(text: object) -> str:
    """Text as it is: square brackets in a path are no markup, lone surrogates cannot be printed."""
    from rich.markup import escape

    return escape(str(text).encode("utf-8", "replace").decode("utf-8"))
