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
"""Chunks of a stream that are drawn, by several workers, for one that a lone worker draws."""
_LEFT = 3
"""A worker takes this part of its share of the items that are left: large chunks first, whose rows
can be sorted, and single items at the end, so that no worker waits long for another's last one."""


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
    hundred are held at a time, and they are drawn in the caller's thread.

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
    if workers == 1:
        return _in_turn(prepare, run, _chunks(items, itertools.repeat(chunk)))
    chunks = _chunks(items, _shares(items, chunk, workers))
    return _at_once(prepare, run, chunks, workers, most=2 * workers * chunk)


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
    *,
    most: int,
) -> Iterator[Found]:
    # So many items are held, not so many chunks: the last chunks are small, and a worker must not
    # run out of them while the results of a large one are waited for.

    def both(first: int, own: list[Item]) -> list[Found]:
        return run(prepare(first, own))

    with ThreadPoolExecutor(workers, thread_name_prefix="potstill-read") as pool:
        running: deque[tuple[Future[list[Found]], int]] = deque()
        held = 0
        try:
            for first, own in chunks:
                running.append((pool.submit(both, first, own), len(own)))
                held += len(own)
                while held > most:
                    oldest, n = running.popleft()
                    held -= n
                    yield from oldest.result()
            while running:
                yield from running.popleft()[0].result()
        finally:
            for future, _ in running:
                future.cancel()


def _shares(items: Iterable[Item], most: int, workers: int) -> Iterator[int]:
    """Sizes of the chunks that several workers take."""
    if not isinstance(items, Sized):
        yield from itertools.repeat(max(1, most // _TURNS))
        return
    left = len(items)
    while left > 0:
        size = max(1, min(most, left // (_LEFT * workers)))
        yield size
        left -= size


def _chunks(items: Iterable[Item], sizes: Iterator[int]) -> Iterator[tuple[int, list[Item]]]:
    iterator = iter(items)
    first = 0
    for size in sizes:
        chunk = list(itertools.islice(iterator, size))
        if not chunk:
            return
        yield first, chunk
        first += len(chunk)
