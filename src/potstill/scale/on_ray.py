"""The same work as `potstill.scale.local`, by a pool of actors of Ray Data.

One task reads the input, on the machine that the job was started on, and streams its batches; the
actors, anywhere in the cluster, hold a predictor each; the job takes what they say in order. Ray
starts an actor again that died, and gives its batches to another.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from potstill.errors import JobError, PotstillError
from potstill.scale.parts import Left, Part
from potstill.scale.predict import PredictOptions, Predictor, RowResult
from potstill.scale.ray_cluster import connect, first_line, library, saying_waits


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Runs a job's parts on Ray; see `potstill.scale.job.Engine`."""

    left: Left
    """The same parts that the job asks for, to be read by the cluster."""
    workers: int
    address: str

    def __call__(
        self, parts: Iterable[Part], options: PredictOptions
    ) -> Iterator[tuple[Part, list[RowResult]]]:
        """Each part with what came of its rows.

        Raises:
            MissingExtraError: Ray is not installed.
            JobError: the cluster cannot be reached, or a worker could not do its work.
        """
        ray = library("data", "--engine ray")
        ours = not ray.is_initialized()
        connect(ray, self.address, self.workers * options.threads)
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        cpus = self.workers * options.threads
        remedy = "end what holds the others, or ask for fewer --workers"
        try:
            with saying_waits(ray, cpus, remedy) as begun:
                answers = _answers(ray, self.left, options, self.workers)
                for part in parts:
                    said: list[RowResult] = []
                    for _ in part.batches:
                        said += next(answers)
                        begun()
                    yield part, part.join(said)
        except ray.exceptions.RayError as error:
            raise JobError(
                f"Ray gave up ({first_line(error)}): run the same command to go on"
            ) from None
        finally:
            if ours:
                ray.shutdown()


class Actor:
    """A predictor in an actor of Ray Data: a block of one batch in, a block of its answers out."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._predictor = Predictor(PredictOptions(**options))

    def __call__(self, block: dict[str, Any]) -> dict[str, list[str]]:
        (batch,) = block["batch"]
        try:
            said = [[one.values, one.reason] for one in self._predictor(json.loads(batch))]
        except PotstillError as error:
            return {"said": [json.dumps(str(error))]}
        return {"said": [json.dumps(said)]}


class Reader:
    """Reads what is left of a job's input, a block a batch."""

    def __init__(self, left: Left) -> None:
        self._left = left

    def __call__(self, _: dict[str, Any]) -> Iterator[dict[str, list[str]]]:
        for part in self._left.parts():
            for batch in part.batches:
                yield {"batch": [json.dumps(batch)]}


def _answers(
    ray: Any, left: Left, options: PredictOptions, workers: int
) -> Iterator[list[RowResult]]:
    """What came of every batch of the parts that are left, in order."""
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    # A block for each batch: Ray would otherwise gather thousands, and one actor would read them.
    context.target_max_block_size = 1
    # Every node has a resource of its own name: what asks for a little of it runs there.
    here = {f"node:{ray.util.get_node_ip_address()}": 0.001}
    # Not `range`: that is a task which wants a processor, and the actors hold them all.
    batches = ray.data.from_items([0]).map_batches(
        Reader(left), batch_size=None, num_cpus=0, resources=here
    )
    answers = batches.map_batches(
        Actor,
        fn_constructor_args=(asdict(options),),
        batch_size=None,
        num_cpus=options.threads,
        compute=ray.data.ActorPoolStrategy(size=workers),
    )
    for block in answers.iter_batches(batch_size=None, prefetch_batches=0):
        for line in block["said"]:
            found = json.loads(line)
            if isinstance(found, str):
                raise JobError(found)
            yield [RowResult(values, reason) for values, reason in found]
