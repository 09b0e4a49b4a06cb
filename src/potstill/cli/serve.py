"""``potstill serve``: an HTTP API, and a page for people."""

from __future__ import annotations

import os
import signal

import click

from potstill.cli.asked import open_index
from potstill.cli.completing import MODEL
from potstill.cli.options import runtime_option
from potstill.errors import InputError, MissingExtraError


@click.command("serve")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="[NAME=]MODEL",
    type=MODEL,
    help="default, a model folder or a hub id, under a name; again for several. "
    "The first answers where a request names none.  [default: default]",
)
@click.option(
    "--index",
    metavar="DIR",
    type=click.Path(),
    help="Let /ask, /highlight, /prune and /cite read the documents of `potstill index DIR`.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on.",
)
@runtime_option("auto")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Threads that run models.  [default: with --threads, as many as read most]",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads of one run.  [default: with --workers 1]",
)
@click.option(
    "--token",
    envvar="POTSTILL_TOKEN",
    show_envvar=True,
    help="Bearer token that requests must carry; safer in the environment than here.",
)
@click.option(
    "--host-name",
    "host_names",
    multiple=True,
    metavar="NAME",
    help="Host name that requests may use besides localhost and addresses; repeat for several, "
    "* for any. With a token any name may be used unless some are given.",
)
@click.option(
    "--allow-origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin call (CORS); repeat for several, * for all.",
)
@click.option(
    "--timeout-ms", type=click.IntRange(min=1), help="Deadline for requests that set none."
)
@click.option(
    "--max-timeout-ms", type=click.IntRange(min=1), help="Longest deadline that a request may set."
)
@click.option("--max-body", type=click.IntRange(min=1), help="Most bytes of a request's body.")
@click.option("--max-file", type=click.IntRange(min=1), help="Most bytes of a file sent to /text.")
@click.option("--max-items", type=click.IntRange(min=1), help="Most inputs of one request.")
@click.option("--max-context", type=click.IntRange(min=1), help="Most characters of one text.")
@click.option(
    "--max-text", type=click.IntRange(min=1), help="Most characters of all texts of one request."
)
@click.option("--max-windows", type=click.IntRange(min=1), help="Most windows of one request.")
@click.option("--max-queue", type=click.IntRange(min=1), help="Most windows that may wait.")
@click.option("--max-requests", type=click.IntRange(min=1), help="Most requests at a time.")
@click.option("--max-connections", type=click.IntRange(min=1), help="Most open connections.")
@click.option(
    "--read-timeout-s",
    type=click.FloatRange(min=0.1),
    help="Seconds for a request's head and body to arrive.",
)
@click.option(
    "--cache", type=click.IntRange(min=0), help="Characters of contexts that are kept tokenized."
)
@click.option(
    "--drain-delay",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Keep taking requests for this long after SIGTERM, until load balancers notice.",
)
@click.option(
    "--drain-timeout",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Then wait at most this long for accepted requests.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="local: one process; ray: replicas under Ray Serve.",
)
@click.option(
    "--replicas",
    type=click.IntRange(min=1),
    metavar="N",
    help="Replicas of --engine ray.  [default: 2]",
)
@click.option(
    "--address",
    metavar="ADDRESS",
    help="A running Ray cluster, auto for the one of this machine.  [default: start one]",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Least severe messages to log.",
)
def command(
    models: tuple[str, ...],
    index: str | None,
    host: str,
    port: int,
    runtime: str | None,
    workers: int | None,
    threads: int | None,
    token: str | None,
    host_names: tuple[str, ...],
    origins: tuple[str, ...],
    drain_delay: float,
    drain_timeout: float,
    engine: str,
    replicas: int | None,
    address: str | None,
    log_level: str,
    **limits: float | None,
) -> None:
    """Serve models over HTTP, with a page at /.

    POST / and /question-answering take Hugging Face's task shape; /docs describes all paths, /info
    shows the limits. SIGTERM answers what was accepted and then ends; Ctrl-C ends at once.
    """
    if engine == "local" and (replicas is not None or address is not None):
        raise click.UsageError("--replicas and --address need --engine ray.")
    # Until the server has taken over there is nothing to drain.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        from potstill.serving.server import run
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve", "potstill serve") from None
    from potstill.serving.options import Limits, ServeOptions

    if index is not None:
        open_index(index)
    given = {name: value for name, value in limits.items() if value is not None}
    options = ServeOptions(
        models=_named(models),
        runtime=runtime,
        workers=workers,
        threads=threads,
        index=index,
        token=token,
        host_names=host_names if token else (*host_names, host),
        origins=origins,
        drain_delay_s=drain_delay,
        drain_timeout_s=drain_timeout,
        limits=Limits(**given),  # type: ignore[arg-type]
    )
    if engine == "ray":
        from potstill.scale.serve_on_ray import RayOptions
        from potstill.scale.serve_on_ray import run as run_on_ray

        where = RayOptions(replicas=replicas or 2, address=address or "")
        status = run_on_ray(options, where, host=host, port=port, log_level=log_level)
    else:
        status = run(options, host=host, port=port, log_level=log_level)
    if status:
        raise SystemExit(status)


def _named(models: tuple[str, ...]) -> dict[str, str]:
    named: dict[str, str] = {}
    for one in models or ("default",):
        name, is_named, model = one.partition("=")
        model = model if is_named else one
        name = name if is_named else one.rstrip("/").rpartition("/")[2]
        if not name or name in named or "/" in name or ":" in name:
            raise InputError(
                f"--model {one}: {name!r} cannot name a model, or names another already: "
                "give NAME=MODEL"
            )
        named[name] = model
    return named
