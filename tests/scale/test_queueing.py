"""The simulation beside what is known of queues in closed form, and what must hold of any."""

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.errors import InputError
from potstill.scale.queueing import Machine, simulate


def queue(workers, draw, **more):
    """A queue in which every question is one row that runs alone, with nothing before it."""
    return Machine(
        workers=workers,
        token_budget=0,
        service=lambda lengths, random: 2 * (draw(random),),
        front=lambda lengths: (0.0, 0.0),
        **{"max_queue": 10**9, **more},
    )


def erlang_c(workers, offered):
    """Probability that an arrival has to wait in M/M/c (Erlang, 1917)."""
    share = offered / workers
    last = offered**workers / math.factorial(workers) / (1 - share)
    return last / (sum(offered**k / math.factorial(k) for k in range(workers)) + last)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_exponential_times_are_erlangs(workers, share):
    rate = share * workers
    found = simulate(queue(workers, lambda r: r.expovariate(1)), [1], rate=rate, n=25_000)
    wait = erlang_c(workers, rate) / (workers - rate)
    assert found.latencies.mean() == pytest.approx(1 + wait, rel=0.1)
    assert found.utilisation == pytest.approx(share, rel=0.05)
    assert (found.refused, found.rows_a_batch) == (0, 1)


def test_the_latency_of_one_worker_is_exponential():
    """M/M/1: a stay is exponential with rate 1 - share, so every percentile is known."""
    found = simulate(queue(1, lambda r: r.expovariate(1)), [1], rate=0.5, n=30_000)
    for at in (50, 90, 99):
        expected = -math.log(1 - at / 100) / 0.5
        assert found.percentile(at) == pytest.approx(expected, rel=0.12)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_equal_times_wait_as_pollaczek_and_khinchine_say(share):
    """M/D/1: mean wait is share / (2 (1 - share)) of a service."""
    found = simulate(queue(1, lambda r: 1.0), [1], rate=share, n=25_000)
    assert found.latencies.mean() == pytest.approx(1 + share / (2 * (1 - share)), rel=0.08)


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_workers_that_halve_each_other_are_as_one(share):
    """Two that together do no more than one alone: questions in the system are M/M/1's."""

    def service(_, random):
        alone = random.expovariate(1)
        return alone, 2 * alone

    machine = dataclasses.replace(queue(2, lambda r: 0.0), service=service)
    found = simulate(machine, [1], rate=share, n=25_000)
    assert found.latencies.mean() == pytest.approx(1 / (1 - share), rel=0.08)


def test_a_busy_worker_slows_the_front_down():
    """Of two questions at once, the second passes the front while the first is worked on."""
    machine = Machine(
        workers=2, token_budget=0, service=lambda *_: (8.0, 8.0), front=lambda _: (1.0, 3.0),
        max_queue=10**9,
    )  # fmt: skip
    (second,) = simulate(machine, [1], rate=1e9, n=2).latencies
    assert second == pytest.approx(1 + 3 + 8)


def test_the_front_is_a_queue_of_its_own():
    machine = Machine(
        workers=9,
        token_budget=0,
        service=lambda *_: (0.5, 0.5),
        front=lambda _: (1.0, 1.0),
        max_queue=10**9,
    )
    found = simulate(machine, [1], rate=0.6, n=20_000)
    assert found.latencies.mean() == pytest.approx(0.5 + 1 + 0.6 / 0.8, rel=0.08)


def test_batches_are_those_of_the_server():
    machine = Machine(
        workers=1, token_budget=400, service=lambda lengths, _: 2 * (float(len(lengths)),),
        front=lambda _: (0.0, 0.0), max_queue=10**9,
    )  # fmt: skip
    found = simulate(machine, [100, 100, 100, 100, 100], rate=1e-4, n=200)
    assert found.rows_a_batch == 2.5
    assert found.percentile(50) == 5.0


def test_a_full_queue_refuses():
    found = simulate(queue(1, lambda r: 1.0, max_queue=3), [1], rate=4, n=4000)
    assert found.refused == pytest.approx(0.75, abs=0.03)
    assert found.utilisation == pytest.approx(1, abs=0.01)
    assert found.percentile(100) <= 5


@settings(max_examples=15, deadline=None)
@given(
    st.floats(0.05, 2.0), st.floats(1.0, 3.0), st.integers(1, 4), st.integers(0, 999),
    st.lists(st.integers(10, 384), min_size=1, max_size=4),
)  # fmt: skip
def test_more_load_is_slower_and_more_workers_are_faster(rate, times, workers, seed, windows):
    def at(rate, workers):
        machine = queue(workers, lambda r: 0.2 + 0.1 * r.random())
        return simulate(machine, windows, rate=rate, n=300, seed=seed)

    less, more = at(rate, workers), at(rate * times, workers)
    for share in (50, 99):
        assert more.percentile(share) >= less.percentile(share) * (1 - 0.05)
    wider = at(rate, workers + 3)
    assert wider.percentile(50) <= less.percentile(50) * 1.05
    assert less.latencies.min() >= 0.2


@given(st.integers(0, 99))
@settings(max_examples=5, deadline=None)
def test_one_seed_gives_one_result(seed):
    one, other = (simulate(queue(2, lambda r: r.expovariate(1)), [1], rate=1, n=300, seed=seed)
                  for _ in range(2))  # fmt: skip
    assert (one.latencies == other.latencies).all()


@pytest.mark.parametrize(
    ("values", "says"),
    [({"rate": 0}, "rate"), ({"rate": math.nan}, "rate"), ({"rate": math.inf}, "rate"),
     ({"n": 0}, "n must"), ({"windows": []}, "no windows")],
)  # fmt: skip
def test_what_cannot_be_simulated(values, says):
    with pytest.raises(InputError, match=says):
        simulate(queue(1, lambda r: 1.0), **{"windows": [1], "rate": 1.0, "n": 10, **values})
    with pytest.raises(InputError, match="workers"):
        simulate(queue(0, lambda r: 1.0), [1], rate=1, n=1)
