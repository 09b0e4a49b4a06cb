"""The server under Ray Serve: the same app, each replica with models and a batcher of its own.

Ray's proxies take the connections and share the requests out; Ray starts replicas anew that die or
whose models no longer answer. See docs/scale.md for when that pays.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.errors import InputError, JobError, ModelError
from potstill.runtime.session import usable_cores
from potstill.scale.ray_cluster import connect, first_line, library, saying_waits
from potstill.serving.options import Limits, ServeOptions
from potstill.serving.server import listen

log = logging.getLogger("potstill.serving")

_HEALTH_S = 5.0
"""How often Ray asks a replica for its health."""
_SICK_S = 20.0
"""A replica whose models have not answered for so long is started anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RayOptions:
    """Where replicas run, and how many."""

    replicas: int = 2
    address: str = ""
    """Of a running cluster, ``auto`` for the one of this machine; one is started where empty."""
    name: str = "potstill"
    """Of the application on the cluster."""

    def __post_init__(self) -> None:
        if self.replicas < 1:
            raise InputError(f"replicas must be at least 1, not {self.replicas}")


class Replica:
    """One server, without the sockets: they are Ray's."""

    def __init__(self, options: dict[str, Any], log_level: str) -> None:
        from potstill.serving.logs import set_up
        from potstill.serving.service import Service

        set_up(log_level)
        values: dict[str, Any] = {**options, "limits": Limits(**options["limits"])}
        self._service = Service(ServeOptions(**values))
        self._service.load()
        if self._service.failure is not None:
            raise self._service.failure
        self._well = time.monotonic()

    def __serve_build_asgi_app__(self) -> Any:
        """What Ray sends requests to."""
        from potstill.serving.app import create_app

        return create_app(self._service)

    def reconfigure(self, state: Mapping[str, bool]) -> None:
        """Begins a drain: ``/ready`` says no, and requests are taken until Ray sends no more."""
        if state.get("draining"):
            self._service.drain()

    def check_health(self) -> None:
        """Tells Ray whether to start this replica anew.

        Raises:
            ModelError: a model has not answered for twenty seconds.
        """
        if self._service.batcher.healthy():
            self._well = time.monotonic()
        elif time.monotonic() - self._well > _SICK_S:
            raise ModelError("a model no longer answers")

    def __del__(self) -> None:
        service = getattr(self, "_service", None)
        if service is not None:
            service.close(timeout_s=1.0)


class RayServer:
    """Replicas behind Ray's proxies, from `start` to `stop`."""

    def __init__(self, options: ServeOptions, where: RayOptions) -> None:
        """Puts a server together.

        Raises:
            MissingExtraError: Ray Serve is not installed.
        """
        self._ray = library("serve", "--engine ray")
        self._serve: Any = self._ray.serve
        # Not measured: a replica has a share of some machine's cores, not this one's.
        threads = options.threads or 1
        workers = options.workers or max(1, usable_cores() // (where.replicas * threads))
        self.options = replace(options, workers=workers, threads=threads)
        self.where = where
        self._ours = False
        self._deployed: Any = None

    def start(self, host: str, port: int, *, log_level: str = "info") -> None:
        """Starts the replicas and waits until all of them are ready.

        Raises:
            ModelError: a model cannot be opened, or its replicas do not start.
            JobError: the cluster cannot be used, or serves something of this name already.
        """
        options, where = self.options, self.where
        for model in options.models.values():
            read_config(find_model(model))
        cpus = (options.workers or 1) * (options.threads or 1)
        self._ours = not self._ray.is_initialized()
        connect(self._ray, where.address, cpus * where.replicas)
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        try:
            self._deploy(host, port, cpus, log_level)
        except BaseException:
            self._leave()
            raise

    def _deploy(self, host: str, port: int, cpus: int, log_level: str) -> None:
        serve, options, where = self._serve, self.options, self.where
        quiet = {"log_level": "ERROR", "enable_access_log": False}
        status = serve.status()
        if where.name in status.applications:
            raise JobError(
                f"the cluster serves an application {where.name!r} already: end it, or name "
                "another cluster by --address"
            )
        if not status.proxies:  # those of a cluster that serves something else have their port
            listen(host, port).close()
        serve.start(
            proxy_location="EveryNode",
            http_options={"host": host, "port": port},
            logging_config=quiet,
        )
        deployment = serve.deployment(
            serve.ingress()(Replica),
            name="replica",
            num_replicas=where.replicas,
            ray_actor_options={"num_cpus": cpus},
            # Beyond it the server itself refuses, with 429 and a time to come back.
            max_ongoing_requests=2 * options.limits.max_requests,
            graceful_shutdown_timeout_s=options.drain_timeout_s,
            graceful_shutdown_wait_loop_s=0.2,
            health_check_period_s=_HEALTH_S,
            user_config={"draining": False},
            logging_config=quiet,
        )
        values = {name: getattr(options, name) for name in ServeOptions.__slots__}
        values |= {"limits": asdict(options.limits), "models": dict(options.models)}
        self._deployed = deployment, (values, log_level)
        self._run(deployment)

    def _run(self, deployment: Any) -> None:
        values, log_level = self._deployed[1]
        application = deployment.bind(values, log_level)
        options, n = self.options, self.where.replicas
        cpus = n * (options.workers or 1) * (options.threads or 1)
        remedy = "end what holds the others, or ask for fewer --replicas, --workers or --threads"
        try:
            with saying_waits(self._ray, cpus, remedy):
                self._serve.run(application, name=self.where.name, route_prefix="/")
        except RuntimeError as error:  # Ray Serve's own, for whatever a replica fails at
            raise ModelError(
                f"Ray Serve could not start {self.where.replicas} replicas ({first_line(error)}): "
                "`ray status` shows what the cluster has room for"
            ) from None

    def drain(self) -> None:
        """``/ready`` says no on every replica, which go on answering."""
        deployment, _ = self._deployed
        self._run(deployment.options(user_config={"draining": True}))

    def stop(self) -> None:
        """Answers what was accepted, and ends the replicas, and the cluster where it is ours."""
        if self._deployed is not None:
            self._serve.delete(self.where.name)
        self._leave()

    def _leave(self) -> None:
        if self._ours:
            self._serve.shutdown()
            self._ray.shutdown()


def run(
    options: ServeOptions, where: RayOptions, *, host: str, port: int, log_level: str = "info"
) -> int:
    """Serves under Ray Serve until a signal ends it.

    SIGTERM drains as the plain server does: ``/ready`` says no, requests are taken for
    ``drain_delay_s``, those that were accepted are answered within ``drain_timeout_s``. Ctrl-C does
    the same without the delay.

    Returns:
        The exit status.

    Raises:
        MissingExtraError: Ray Serve is not installed.
        ModelError: a model cannot be opened.
        JobError: the cluster cannot be used.
        InputError: the port is taken.
    """
    from potstill.serving.logs import set_up

    set_up(log_level)
    server = RayServer(options, where)
    port = port or _free_port(host)
    server.start(host, port, log_level=log_level)
    ended = threading.Event()
    signals: list[int] = []

    def end(number: int, _: Any) -> None:
        signals.append(number)
        ended.set()

    # After Ray's own, which would end the process at once.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    log.info("listening on http://%s:%s", host, port)
    while not ended.wait(0.5):
        pass
    if signals[0] == signal.SIGTERM:
        server.drain()
        time.sleep(options.drain_delay_s)
    server.stop()
    return 0


def _free_port(host: str) -> int:
    """A port that is free now: Ray has to be told a number."""
    with listen(host, 0) as listener:
        return listener.getsockname()[1]
