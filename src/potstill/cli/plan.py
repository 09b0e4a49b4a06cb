"""``potstill plan``: machines for a load, and what they cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.cli.completing import MODEL

if TYPE_CHECKING:
    from potstill.scale.plan import Capacity
    from potstill.scale.profile import Profile


@click.command("plan")
@click.option(
    "--questions-per-day", type=float, required=True, metavar="N", help="Questions of one day."
)
@click.option(
    "--context-tokens",
    type=int,
    required=True,
    metavar="N",
    help="Tokens of each question's context.",
)
@click.option(
    "--p99-ms",
    type=float,
    required=True,
    metavar="N",
    help="Milliseconds within which 99 of 100 questions must be answered at the peak.",
)
@click.option(
    "--question-tokens",
    type=int,
    default=12,
    show_default=True,
    metavar="N",
    help="Tokens of each question.",
)
@click.option(
    "--peak",
    type=float,
    default=3.0,
    show_default=True,
    metavar="X",
    help="Rate of the busiest time, as a multiple of the day's mean.",
)
@click.option(
    "--max-utilisation",
    type=float,
    default=0.6,
    show_default=True,
    metavar="X",
    help="Largest share of the workers' time to use at the peak.",
)
@click.option(
    "--price-per-hour", type=float, metavar="X", help="Price of a machine, in any currency."
)
@click.option(
    "--model", default="default", show_default=True, type=MODEL, help="default, a folder or hub id."
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Workers of the server.  [default: the cores]"
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Threads of each worker.",
)
@click.option(
    "--profile",
    "profile_file",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Plan with another machine's measured profile.",
)
@click.option(
    "--save-profile",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the profile that was used.",
)
@click.option("--measure", is_flag=True, help="Measure again, even if this machine was measured.")
@click.option(
    "--seconds", type=float, default=8.0, show_default=True, help="Seconds to measure for."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    questions_per_day: float,
    context_tokens: int,
    p99_ms: float,
    question_tokens: int,
    peak: float,
    max_utilisation: float,
    price_per_hour: float | None,
    model: str,
    workers: int | None,
    threads: int,
    profile_file: str | None,
    save_profile: Path | None,
    measure: bool,
    seconds: float,
    as_json: bool,
) -> None:
    """Say how many machines like this one a load takes, and what it costs.

    The machine is measured once, by a server that is started for some seconds, and remembered. Its
    times, the server's own rule for batches and arrivals at random are then simulated: the figures
    of the answer are those of the simulation.
    """
    from potstill.scale.plan import Load, plan

    load = Load(
        questions_per_day=questions_per_day,
        context_tokens=context_tokens,
        p99_ms=p99_ms,
        question_tokens=question_tokens,
        peak=peak,
        max_utilisation=max_utilisation,
    )
    if profile_file is not None:
        from potstill.scale.profile import read_profile

        if measure or workers is not None or threads != 1 or model != "default":
            raise click.UsageError("--profile says model, workers and threads: omit them")
        profile = read_profile(profile_file)
    else:
        from potstill.scale.measure import profile_of
        from potstill.scale.sampling import Setup

        setup = Setup(model=model, workers=workers, threads=threads, seconds=seconds)
        profile, is_new = profile_of(setup, anew=measure)
        done = "measured now" if is_new else f"measured on {profile.date} (--measure does it again)"
        click.echo(f"this machine: {done}", err=True)
    if save_profile is not None:
        from potstill.scale.profile import write_profile

        write_profile(save_profile, profile)
    found = plan(profile, load, price_per_hour=price_per_hour)
    if as_json:
        click.echo(json.dumps({**asdict(found), "load": asdict(load), "profile": _about(profile)}))
    else:
        _print(found, profile)


def _about(profile: Profile) -> dict[str, Any]:
    names = ("model", "sha256", "machine", "date", "workers", "threads", "evidence")
    return {name: getattr(profile, name) for name in names}


def _print(found: Capacity, profile: Profile) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    machine = f"{profile.machine.get('processor', 'unknown')}, {profile.workers} workers"
    reasons = {
        "p99": "more would be too slow for p99",
        "utilisation": "more would leave no margin",
    }
    rows = [
        ("machines", f"{found.machines:,}"),
        ("  each", f"{machine} of {profile.threads} thread{'s' if profile.threads > 1 else ''}"),
        ("  model", profile.model),
        ("questions a second", f"{found.peak_rate:,.1f} at the peak"),
        ("  of one machine", f"{found.machine_rate:,.1f} at most: {reasons[found.limit]}"),
        ("windows a question", f"{found.windows:,}"),
        ("milliseconds alone", f"{found.alone_ms:.1f}"),
        ("  at the peak", f"p50 {found.p50_ms:.1f}, p99 {found.p99_ms:.1f}"),
        ("utilisation", f"{found.utilisation:.0%} at the peak, {found.mean_utilisation:.0%} mean"),
    ]
    if found.cost_per_million is not None:
        rows.append(("cost of a million questions", f"{found.cost_per_million:,.2f}"))
    for name, value in rows:
        table.add_row(name, escape(value))
    Console(soft_wrap=True, highlight=False).print(table)
