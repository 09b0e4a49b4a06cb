import itertools
import threading

import pytest

from potstill.errors import InputError
from potstill.runtime.many import each


def numbered(first, chunk):
    return [(first + i, item) for i, item in enumerate(chunk)]


def doubled(work):
    return [(number, 2 * item) for number, item in work]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 3, 4, 8, 23])
def test_order_and_numbers(workers, n):
    found = list(each(numbered, doubled, range(n), workers=workers, chunk=4))
    assert found == [(i, 2 * i) for i in range(n)]


@pytest.mark.parametrize("workers", [1, 3])
def test_an_endless_stream_is_drawn_as_it_is_used(workers):
    drawn = itertools.count()
    found = each(numbered, doubled, (next(drawn) for _ in itertools.count()), workers=workers)
    assert [item for _, item in itertools.islice(found, 200)] == [2 * i for i in range(200)]
    found.close()
    assert next(drawn) < 200 + 64 * (2 * workers + 3)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_where_its_results_would(workers):
    def prepare(first, chunk):
        if first <= 8 < first + len(chunk):
            raise InputError("bad")
        return numbered(first, chunk)

    found = each(prepare, doubled, range(20), workers=workers, chunk=4)
    assert [next(found)[0] for _ in range(8 if workers == 1 else 1)]
    with pytest.raises(InputError, match="bad"):
        list(found)


def test_the_next_chunk_is_prepared_while_one_runs():
    prepared, overlapped = threading.Event(), []

    def prepare(first, chunk):
        if first:
            prepared.set()
        return numbered(first, chunk)

    def run(work):
        overlapped.append(prepared.wait(10))
        return doubled(work)

    assert len(list(each(prepare, run, range(8), chunk=4))) == 8
    assert overlapped[0]


def test_no_workers():
    with pytest.raises(InputError, match="at least 1"):
        each(numbered, doubled, [1], workers=0)


@pytest.mark.parametrize("kind", [list, iter])
def test_a_few_items_keep_all_workers_busy(kind):
    together = threading.Barrier(2, timeout=20)

    def run(chunk):
        together.wait()  # breaks where one worker gets all of them
        return chunk

    found = each(lambda _, own: own, run, kind(range(32)), workers=2)
    assert list(found) == list(range(32))
