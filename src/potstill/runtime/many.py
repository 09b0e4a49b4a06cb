"""Many texts → chunks that are tokenized, run and finished, in order, by one thread or several."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from potstill.errors import InputError

Item = TypeVar("Item")
Work = TypeVar("Work")
Found = TypeVar("Found")

CHUNK = 64
"""Items that are tokenized, sorted by length and run together."""
_TURNS = 4
"""Chunks that each of several workers gets at least, where there are items enough."""


def each(
    prepare: Callable[[int, list[Item]], Work],
    run: Callable[[Work], list[Found]],
    items: Iterable[Item],
    *,
    workers: int = 1,
    chunk: int = CHUNK,
) -> Iterator[Found]:
    """What is found for each item, in order, as it is found.

    One worker has the next chunk prepared by a thread of its own while the model runs this one;
    several each prepare and run chunks of their own. ``items`` may be an endless stream: a few
    chunks are held at a time, and they are drawn in the caller's thread.

    Args:
        prepare: tokenizes a chunk, given the number of its first item; errors appear where the
            chunk's results would.
        run: runs the model on what was prepared, and gives what was found for each item.
        items: to read.
        workers: chunks that run at the same time.
        chunk: most items of one.

    Raises:
        InputError: ``workers`` is not a positive number.
    """
    if workers < 1:
        raise InputError(f"workers must be at least 1, not {workers}")
    chunks = _chunks(items, chunk if workers == 1 else _share(items, chunk, workers))
    return (
        _in_turn(prepare, run, chunks) if workers == 1 else _at_once(prepare, run, chunks, workers)
    )


def _in_turn(
    prepare: Callable[[int, list[Item]], Work],
    run: Callable[[Work], list[Found]],
    chunks: Iterator[tuple[int, list[Item]]],
) -> Iterator[Found]:
    first = next(chunks, None)
    if first is None:
        return
    second = next(chunks, None)
    if second is None:  # a thread would cost more than it saves
        yield from run(prepare(*first))
        return
    with ThreadPoolExecutor(1, thread_name_prefix="potstill-prepare") as pool:
        waiting = pool.submit(prepare, *first)
        for following in itertools.chain([second], chunks):
            work = waiting.result()
            waiting = pool.submit(prepare, *following)
            yield from run(work)
        yield from run(waiting.result())


def _at_once(
    prepare: Callable[[int, list[Item]], Work],
    run: Callable[[Work], list[Found]],
    chunks: Iterator[tuple[int, list[Item]]],
    workers: int,
) -> Iterator[Found]:
    def both(first: int, own: list[Item]) -> list[Found]:
        return run(prepare(first, own))

    with ThreadPoolExecutor(workers, thread_name_prefix="potstill-read") as pool:
        running: deque[Future[list[Found]]] = deque()
        try:
            for following in chunks:
                running.append(pool.submit(both, *following))
                if len(running) > 2 * workers:
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def _share(items: Iterable[Item], chunk: int, workers: int) -> int:
    """Items of a chunk so that no worker waits long for another's last one."""
    if isinstance(items, Sized):
        return max(1, min(chunk, -(-len(items) // (_TURNS * workers))))
    return max(1, chunk // _TURNS)


def _chunks(items: Iterable[Item], size: int) -> Iterator[tuple[int, list[Item]]]:
    iterator = iter(items)
    first = 0
    while chunk := list(itertools.islice(iterator, size)):
        yield first, chunk
        first += len(chunk)
