"""Chaos and overload, in their short forms; POTSTILL_CHAOS and POTSTILL_OVERLOAD make them long."""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import threading
import time
from collections import Counter

import pytest
from load_client import Connection, load

from potstill import pipeline
from potstill.errors import ModelError
from potstill.serving.options import Limits, ServeOptions
from running import Running, encoded, question, wait_until

N_CHAOS = int(os.environ.get("POTSTILL_CHAOS", "600"))
"""Requests; the whole form has 10,000."""
HUNG_S = 300
"""Seconds without an answer, ten times its deadline, that are no longer put down to the machine."""
OVERLOAD_S = float(os.environ.get("POTSTILL_OVERLOAD", "3"))
"""Seconds; the whole form has 60."""

WORDS = "the king queen built a tower by river in paris london denver won game team old red".split()
BAD = [
    b"{", b"[]", b"{}", encoded(question("", "x")), encoded(question("Who?", " ")),
    encoded(question("Who?", "x", top_k=-1)), encoded({"inputs": [1]}), b"\xff" * 100,
    encoded(question("who " * 300, "x")), encoded(question("Who?", "x") | {"model": "nothere"}),
]  # fmt: skip


class Faulty:
    """Raises at random, as a stage does that is broken now and then."""

    def __init__(self, session, rate, seed):
        self.session, self.rate = session, rate
        self.random, self.lock = random.Random(seed), threading.Lock()

    def run(self, batch):
        with self.lock:
            fails = self.random.random() < self.rate
        if fails:
            raise ModelError("made to raise") if len(batch.input_ids) % 2 else OSError("odd")
        return self.session.run(batch)


def texts(seed, n):
    chance = random.Random(seed)
    return [
        (
            " ".join(chance.choices(WORDS, k=chance.randint(2, 8))),
            " ".join(chance.choices(WORDS, k=chance.randint(5, 400))) + ".",
        )
        for _ in range(n)
    ]


def asked(kind, numbers, pairs):
    """Path and body of a good request, and which pairs' answers it should get."""
    if kind >= 0.8:
        return "/", encoded({"inputs": [question(*pairs[j])["inputs"] for j in numbers]}), numbers
    path = "/explain" if kind >= 0.7 else "/"
    return path, encoded(question(*pairs[numbers[0]])), numbers[:1]


def answers_of(found):
    if isinstance(found, list):
        return found
    return found.get("answers", [found])


def test_chaos(folders):
    pairs = texts(0, 40)
    reader = pipeline("question-answering", folders["reader"], threads=1)
    expected = [reader(question=q, context=c) for q, c in pairs]
    chance = random.Random(1)
    seen: Counter[str] = Counter()

    async def one(line):
        kind = chance.random()
        if kind < 0.3:
            status, _, body = await line.request("POST", "/", chance.choice(BAD))
            assert json.loads(body)["error"]["status"] == status
            assert status in (400, 404, 422, 429, 503)
            seen["bad"] += 1
            return
        i = chance.randrange(len(pairs))
        body = encoded(question(*pairs[i]))
        if kind < 0.4:
            try:
                await asyncio.wait_for(line.request("POST", "/", body), chance.random() * 0.02)
            except asyncio.TimeoutError:
                pass
            seen["gone"] += 1
            return
        path, call, wanted = asked(kind, [i, chance.randrange(len(pairs)), i], pairs)
        status, _, body = await line.request("POST", path, call)
        while status == 503:  # a stage starts again: what a client does is to ask again
            assert json.loads(body)["error"]["status"] == status
            await asyncio.sleep(0.05)
            status, _, body = await line.request("POST", path, call)
        seen[str(status)] += 1
        found = json.loads(body)
        if status != 200:
            assert status in (424, 429, 504)
            assert found["error"]["status"] == status
            return
        for j, one in zip(wanted, answers_of(found), strict=True):
            assert (one["answer"], one["start"]) == (expected[j]["answer"], expected[j]["start"])
            assert one["score"] == pytest.approx(expected[j]["score"], abs=1e-5)

    async def client(port, n):
        line = Connection("127.0.0.1", port)
        for _ in range(n):
            await asyncio.wait_for(one(line), HUNG_S)
        line.close()

    async def storm(port):
        await asyncio.gather(*(client(port, N_CHAOS // 20) for _ in range(20)))

    with Running(ServeOptions(models={"reader": folders["reader"]}, workers=2)) as running:
        lane = running.service.batcher.lanes["reader"]
        lane.session = Faulty(lane.session, 0.25, 2)
        asyncio.run(storm(running.port))
        assert sum(seen.values()) == N_CHAOS // 20 * 20
        assert seen["200"] > N_CHAOS / 10, seen
        assert seen["424"], seen
        lane.session = lane.session.session
        wait_until(running.service.ready)
        wait_until(lambda: running.service.n_pending == 0)
        assert running.service.n_waiting == 0
        assert running.ask("/ready")[0] == 200
        assert "potstill_queue_windows 0.0" in running.ask("/metrics")[2]
        assert running.ask("/", question(*pairs[0]))[2]["answer"] == expected[0]["answer"]


class Paced:
    """A model of known speed: so many seconds a batch, most of them not on the processor."""

    def __init__(self, session, seconds):
        self.session, self.seconds = session, seconds

    def run(self, batch):
        time.sleep(self.seconds)
        return self.session.run(batch)


def test_overload(folders):
    limits = Limits(max_queue=24, timeout_ms=2000)
    options = ServeOptions(models={"reader": folders["reader"]}, workers=2, limits=limits)
    bodies = [encoded(question("Who won?", "the king won the game. " * 5))] * 8
    with Running(options) as running:
        lane = running.service.batcher.lanes["reader"]
        lane.session, lane.token_budget = Paced(lane.session, 0.02), 0
        # 100 windows a second, and 24 may wait: three times as many clients as can be served.
        found = asyncio.run(load("127.0.0.1", running.port, bodies, clients=72, seconds=OVERLOAD_S))
        assert set(found["statuses"]) <= {"200", "429", "504"}, found["statuses"]
        assert found["statuses"]["200"] > 10 * OVERLOAD_S
        assert found["statuses"]["429"] > 20  # how many more depends on who else uses the machine
        refused, served = (statistics.median(found["latencies"][x]) for x in ("429", "200"))
        # Milliseconds depend on who else uses the machine; that a refusal does not wait does not.
        assert refused < served / 3
        assert max(found["latencies"]["200"]) < 2 * limits.timeout_ms / 1000
        wait_until(lambda: running.service.n_pending == 0)
        assert running.service.n_waiting == 0
        assert running.service.ready()
