"""The queue by itself: what is batched, in which order, and what happens when a model raises."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest

from potstill.errors import ModelError
from potstill.runtime.plans import Plan, Row
from potstill.serving.batcher import Batcher, Lane, Observer
from potstill.serving.faults import Refusal
from potstill.text.tokenizer import BERT_PAIR
from running import wait_until


class Tokenizer:
    pad_id = 0
    layout = BERT_PAIR


class Session:
    """Gives back the first id of each row; can be held, and made to raise."""

    def __init__(self):
        self.batches = []
        self.open = threading.Event()
        self.open.set()
        self.bad = set()
        self.down = False

    def run(self, batch):
        firsts = batch.input_ids[:, 0].tolist()
        if firsts != [9999]:
            self.batches.append(firsts)
        assert self.open.wait(20)
        if self.down or self.bad & set(firsts):
            raise RuntimeError("the stage raised")
        return (np.array(firsts, np.float32)[:, None],)


def row(number, n=10):
    return Row(np.full(n, number, np.int64), n)


def plan(*numbers, n=10):
    return Plan([row(number, n) for number in numbers], lambda said: [int(x[0]) for (x,) in said])


@pytest.fixture
def session():
    return Session()


@pytest.fixture
def make(session):
    made = []

    def batcher(*, workers=1, budget=40, max_queue=100, lanes=("m",)):
        every = {name: Lane(session, Tokenizer(), budget, row(9999)) for name in lanes}
        made.append(Batcher(every, workers=workers, max_queue=max_queue))
        made[-1].start()
        wait_until(made[-1].healthy)
        return made[-1]

    yield batcher
    session.open.set()
    for one in made:
        assert one.close()


def soon(seconds=20):
    return time.monotonic() + seconds


def held(batcher, session):
    """A batcher whose one worker is busy, so that what follows waits."""
    session.open.clear()
    first = batcher.submit("m", [plan(1)], soon())
    wait_until(lambda: session.batches == [[1]])
    session.batches.clear()
    return first


def test_windows_of_several_requests_share_a_batch_and_come_back_to_their_own(make, session):
    batcher = make()
    held(batcher, session)
    two = batcher.submit("m", [plan(2, 3), plan(4)], soon())
    three = batcher.submit("m", [plan(5)], soon())
    session.open.set()
    assert two.future.result(20) == [[2, 3], [4]]
    assert three.future.result(20) == [[5]]
    assert session.batches == [[2, 3, 4, 5]]
    assert batcher.n_waiting == 0
    assert two.queue_s > 0
    assert two.inference_s > 0


def test_what_has_no_rows_is_there_at_once(make, session):
    batcher = make()
    session.open.clear()
    nothing = Plan((), lambda said: list(said))
    assert batcher.submit("m", [nothing, nothing], soon()).future.result(0) == [[], []]
    mixed = batcher.submit("m", [plan(7), nothing], soon())
    session.open.set()
    assert mixed.future.result(20) == [[7], []]


def test_the_nearest_deadline_goes_first(make, session):
    batcher = make(budget=0)
    held(batcher, session)
    tickets = [batcher.submit("m", [plan(n)], soon(100 - n)) for n in (2, 4, 3)]
    session.open.set()
    for ticket in tickets:
        ticket.future.result(20)
    assert session.batches == [[4], [3], [2]]


def test_a_batch_keeps_to_its_budget_and_holds_little_padding(make, session):
    batcher = make(budget=45)
    held(batcher, session)
    asked = [plan(2), plan(3, n=2), plan(4, n=9), plan(5), plan(6), plan(7)]
    tickets = [batcher.submit("m", [one], soon()) for one in asked]
    session.open.set()
    for ticket in tickets:
        ticket.future.result(20)
    assert session.batches == [[2, 4, 5, 6], [3], [7]]


def test_lanes_do_not_mix(make, session):
    batcher = make(lanes=("m", "other"))
    held(batcher, session)
    tickets = [batcher.submit(name, [plan(n)], soon()) for n, name in
               ((2, "m"), (3, "other"), (4, "m"))]  # fmt: skip
    session.open.set()
    for ticket in tickets:
        ticket.future.result(20)
    assert sorted(session.batches) == [[2, 4], [3]]


def test_what_is_late_or_given_up_never_reaches_the_model(make, session):
    batcher = make()
    held(batcher, session)
    late = batcher.submit("m", [plan(2)], soon(0.05))
    dropped = batcher.submit("m", [plan(3, 4)], soon())
    batcher.cancel(dropped)
    assert batcher.n_waiting == 1
    with pytest.raises(CancelledError):
        dropped.future.result(20)
    time.sleep(0.1)
    session.open.set()
    with pytest.raises(Refusal, match="deadline") as raised:
        late.future.result(20)
    assert raised.value.status == 504
    assert batcher.submit("m", [plan(5)], soon()).future.result(20) == [[5]]
    assert session.batches == [[5]]


def test_a_full_queue_refuses_and_says_when_to_come_back(make, session):
    batcher = make(max_queue=2)
    held(batcher, session)
    batcher.submit("m", [plan(2, 3)], soon())
    with pytest.raises(Refusal) as raised:
        batcher.submit("m", [plan(5)], soon())
    assert raised.value.status == 429
    assert int(raised.value.headers()["retry-after"]) >= 1


def test_only_the_request_that_cannot_be_read_fails(make, session):
    batcher = make()
    held(batcher, session)
    session.bad = {3}
    tickets = {n: batcher.submit("m", [plan(n)], soon()) for n in (2, 3, 4)}
    session.open.set()
    assert [tickets[n].future.result(20) for n in (2, 4)] == [[[2]], [[4]]]
    with pytest.raises(Refusal, match="failed: RuntimeError") as raised:
        tickets[3].future.result(20)
    assert raised.value.status == 424
    wait_until(batcher.healthy)


def test_what_was_given_up_is_not_run_again_where_its_batch_fails(make, session):
    batcher = make()
    held(batcher, session)
    kept, dropped = (batcher.submit("m", [plan(n)], soon()) for n in (2, 3))
    run = session.run

    def failing(batch):
        if batch.input_ids[:, 0].tolist() == [2, 3]:
            batcher.cancel(dropped)
            raise RuntimeError("the stage raised")
        return run(batch)

    session.run = failing
    session.open.set()
    assert kept.future.result(20) == [[2]]
    assert batcher.submit("m", [plan(4)], soon()).future.result(20) == [[4]]
    assert session.batches == [[2], [4]]


def test_a_model_that_is_down_is_said_to_be_and_comes_back(make, session):
    batcher = make()
    session.down = True
    with pytest.raises(Refusal):
        batcher.submit("m", [plan(2)], soon()).future.result(20)
    wait_until(lambda: not batcher.healthy("m"))
    waiting = batcher.submit("m", [plan(3)], soon())
    time.sleep(0.15)
    assert not batcher.healthy()
    assert not waiting.future.done()
    session.down = False
    assert waiting.future.result(20) == [[3]]
    assert batcher.healthy()


def test_a_model_that_stays_down_is_asked_less_and_less_often(make, session):
    batcher = make()
    asked, run = [], session.run
    session.down = True
    session.run = lambda batch: (asked.append(1), run(batch))[1]
    with pytest.raises(Refusal):
        batcher.submit("m", [plan(2)], soon()).future.result(20)
    asked.clear()
    time.sleep(0.5)
    assert 1 <= len(asked) <= 5  # at 0, 0.05, 0.15 and 0.35 s


def test_the_wait_that_is_told_is_of_what_still_waits(make, session):
    batcher = make()
    held(batcher, session)
    batcher.submit("m", [plan(2, 3, 4, 5, 6)], soon())
    dropped = batcher.submit("m", [plan(7, 8)], soon())
    session.open.set()
    assert batcher.submit("m", [plan(9)], soon()).future.result(20) == [[9]]
    batcher.cancel(dropped)
    wait_until(lambda: batcher.n_waiting == 0)
    assert batcher.wait_s() == 0


class Clock:
    """Time that goes on when a batch is run, and not otherwise."""

    def __init__(self, *seconds):
        self.now, self.seconds, self.asked = 1.0, list(seconds), 0

    def monotonic(self):
        self.asked += 1
        return self.now

    def far(self):
        """A deadline that does not come."""
        return self.now + 10_000


def test_how_long_things_took_and_how_long_the_queue_will_take(make, session, monkeypatch):
    """The rate is tokens a second of each worker, smoothed: a tenth of it is the last batch's."""
    clock, run = Clock(0.5, 2.0, 0.25), session.run
    monkeypatch.setattr("potstill.serving.batcher.time", clock)
    batcher = make(budget=0)
    assert batcher.wait_s() == 1  # as long as nothing is known

    def running(batch):
        found = run(batch)
        clock.now += clock.seconds.pop(0)
        return found

    session.run = running
    first = held(batcher, session)
    waiting = [
        batcher.submit("m", [plan(n, n=size)], clock.far()) for n, size in ((2, 10), (3, 30))
    ]
    clock.now += 4
    session.open.set()
    assert [one.future.result(20) for one in [first, *waiting]] == [[[1]], [[2]], [[3]]]
    assert (first.queue_s, first.inference_s) == (0, 4.5)
    assert (waiting[0].queue_s, waiting[0].inference_s) == (4.5, 2)
    assert (waiting[1].queue_s, waiting[1].inference_s) == (6.5, 0.25)
    session.batches.clear()
    clock.seconds = [1.0]
    held(batcher, session)
    batcher.submit("m", [plan(4, n=37)], clock.far())
    rate = 0.9 * (0.9 * 10 / 4.5 + 0.1 * 10 / 2) + 0.1 * 30 / 0.25
    assert batcher.wait_s() == pytest.approx(37 / rate)
    clock.seconds = [1.0, 1.0]
    session.open.set()
    wait_until(lambda: batcher.n_waiting == 0)


def test_a_deadline_that_has_come_has_passed(make, session, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("potstill.serving.batcher.time", clock)
    batcher = make()
    held(batcher, session)
    late = batcher.submit("m", [plan(2)], clock.now + 3)
    kept = batcher.submit("m", [plan(3)], clock.now + 3.5)
    clock.now += 3
    session.open.set()
    with pytest.raises(Refusal, match="the deadline passed while the request waited"):
        late.future.result(20)
    assert kept.future.result(20) == [[3]]


def test_pauses_of_a_model_that_is_down_double(make, session, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("potstill.serving.batcher.time", clock)
    batcher, asked, run = make(), [], session.run
    lane = batcher.lanes["m"]
    session.run = lambda batch: (asked.append(clock.now), run(batch))[1]
    session.down = True
    with pytest.raises(Refusal):
        batcher.submit("m", [plan(2)], clock.far()).future.result(20)
    began = clock.now
    for n, until in enumerate([0.05, 0.15, 0.35, 0.75, 1.55, 3.15, 6.35, 11.35, 16.35], 2):
        wait_until(lambda n=n: len(asked) >= n and not lane.probing)
        assert lane.rest_until == pytest.approx(began + until)
        clock.now = lane.rest_until
    session.down = False
    wait_until(batcher.healthy)
    session.down = True  # and then they are short again
    with pytest.raises(Refusal):
        batcher.submit("m", [plan(2)], clock.far()).future.result(20)
    wait_until(lambda: lane.rest_until == pytest.approx(clock.now + 0.05))
    session.down = False
    clock.now += 1


def test_workers_with_nothing_to_do_sleep(make, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("potstill.serving.batcher.time", clock)
    batcher = make(workers=2)
    assert batcher.submit("m", [plan(1)], clock.far()).future.result(20) == [[1]]
    time.sleep(0.05)
    asked = clock.asked
    time.sleep(0.1)
    assert clock.asked - asked < 10


def test_rows_of_a_model_that_is_down_wait_while_others_pass_them(session, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("potstill.serving.batcher.time", clock)
    down = Session()
    lanes = {
        "m": Lane(session, Tokenizer(), 40, row(9999)),
        "down": Lane(down, Tokenizer(), 40, row(9999)),
    }
    batcher = Batcher(lanes, workers=1, max_queue=100)
    batcher.start()
    wait_until(batcher.healthy)
    down.down = True
    with pytest.raises(Refusal):
        batcher.submit("down", [plan(2)], clock.far()).future.result(20)
    wait_until(lambda: not batcher.healthy("down") and not lanes["down"].probing)
    assert batcher.healthy("m") and not batcher.healthy()
    first = held(batcher, session)
    waiting = [batcher.submit("down", [plan(n)], clock.far()) for n in (3, 4)]
    others = [batcher.submit("m", [plan(n)], clock.far()) for n in (5, 6)]
    last = batcher.submit("down", [plan(7)], clock.far())
    others.append(batcher.submit("m", [plan(8)], clock.far()))
    session.open.set()
    assert [one.future.result(20) for one in [first, *others]] == [[[1]], [[5]], [[6]], [[8]]]
    assert session.batches == [[5, 6, 8]]
    assert batcher.n_waiting == 3
    down.down = False
    clock.now = lanes["down"].rest_until
    batcher.submit("m", [plan(9)], clock.far()).future.result(20)  # which wakes the worker
    assert [one.future.result(20) for one in [*waiting, last]] == [[[3]], [[4]], [[7]]]
    assert batcher.close()


def test_closing_waits_no_longer_than_is_asked(make, session):
    batcher = make(workers=2)
    running = held(batcher, session)
    began = time.monotonic()
    assert not batcher.close(0.0)
    assert time.monotonic() - began < 0.8
    with pytest.raises(Refusal, match="the server is stopping") as raised:
        batcher.submit("m", [plan(3)], soon())
    assert raised.value.status == 503
    assert raised.value.headers()["retry-after"] == "1"
    session.open.set()
    assert running.future.result(20) == [[1]]


def test_one_worker_that_hangs_leaves_the_other(make, session, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("potstill.serving.batcher.time", clock)
    batcher = make(workers=2, budget=0)
    session.open.clear()
    one = batcher.submit("m", [plan(1)], clock.far())
    wait_until(lambda: session.batches == [[1]])
    clock.now += 61
    assert batcher.healthy()
    two = batcher.submit("m", [plan(2)], clock.far())
    wait_until(lambda: session.batches == [[1], [2]])
    clock.now += 59
    assert batcher.healthy()
    clock.now += 2
    assert not batcher.healthy()
    session.open.set()
    assert [one.future.result(20), two.future.result(20)] == [[[1]], [[2]]]
    wait_until(batcher.healthy)


def test_the_queue_is_full_at_its_last_place(make, session):
    batcher = make(max_queue=2)
    held(batcher, session)
    batcher.submit("m", [plan(2)], soon())
    batcher.submit("m", [plan(3, 4, 5)], soon())  # a request comes in whole
    with pytest.raises(Refusal, match="4 windows are waiting: try again later"):
        batcher.submit("m", [plan(6)], soon())


class Told(Observer):
    def __init__(self):
        self.batches, self.failures = [], []

    def batch(self, lane, n_rows, n_tokens, n_padded, seconds):
        self.batches.append((lane, n_rows, n_tokens, n_padded))

    def failure(self, lane):
        self.failures.append(lane)


def test_an_observer_is_told_of_every_batch(session):
    told = Told()
    lane = Lane(session, Tokenizer(), 100, row(9999))
    batcher = Batcher({"m": lane}, workers=1, max_queue=9, observer=told)
    batcher.start()
    wait_until(batcher.healthy)
    held(batcher, session)
    tickets = [batcher.submit("m", [plan(n, n=size)], soon()) for n, size in ((2, 10), (3, 9))]
    session.open.set()
    for one in tickets:
        one.future.result(20)
    session.bad = {4}
    with pytest.raises(Refusal):
        batcher.submit("m", [plan(4)], soon()).future.result(20)
    assert batcher.close()
    assert told.batches == [("m", 1, 10, 10), ("m", 2, 19, 20)]
    assert told.failures == ["m"]


def test_a_worker_that_hangs_is_said_to_be(make, session, monkeypatch):
    batcher = make()
    monkeypatch.setattr("potstill.serving.batcher._STUCK_S", 0.05)
    held(batcher, session)
    wait_until(lambda: not batcher.healthy(), 5)  # before the session gives up by itself
    assert batcher.lanes["m"].proven
    session.open.set()
    wait_until(batcher.healthy)


@pytest.mark.parametrize(("error", "status"), [(ModelError("no numbers"), 424), (KeyError(), 500)])
def test_a_result_that_cannot_be_made_fails_its_request_alone(make, error, status):
    batcher = make()

    def finish(said):
        raise error

    with pytest.raises(Refusal) as raised:
        batcher.submit("m", [Plan([row(2)], finish)], soon()).future.result(20)
    assert raised.value.status == status
    assert batcher.submit("m", [plan(3)], soon()).future.result(20) == [[3]]


def test_closing_answers_everyone(make, session):
    batcher = make()
    running = held(batcher, session)
    waiting = batcher.submit("m", [plan(2)], soon())
    closing = threading.Thread(target=batcher.close)
    closing.start()
    with pytest.raises(Refusal) as raised:
        waiting.future.result(20)
    assert raised.value.status == 503
    session.open.set()
    assert running.future.result(20) == [[1]]
    closing.join(20)
    with pytest.raises(Refusal):
        batcher.submit("m", [plan(3)], soon())
