"""The runtime that is quickest here: measured once, kept with its evidence, and only where safe."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import tiny
from potstill import Chooser, Classifier, Filler, QAClient, Tagger, pipeline
from potstill.bundle.cache import ensure_onnx
from potstill.errors import InputError, MissingExtraError
from potstill.runtime import evidence, machine, opening, runtimes, tuning
from potstill.runtime.plans import TOKEN_BUDGET
from potstill.runtime.probes import LENGTHS
from potstill.runtime.runtimes import Layout, Runnable, runtime_name

ASKED = ("Who won the game?", "Denver Broncos won the game in Denver.")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder, and nobody who names a runtime."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("POTSTILL_CACHE", str(folder))
    monkeypatch.delenv("POTSTILL_RUNTIME", raising=False)
    return folder


@pytest.fixture
def folder(tmp_path):
    return tiny.write_model(tmp_path / "model")


class Clock:
    """The time that sessions say they took, whatever the machine is busy with."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Fake:
    """onnxruntime's logits, moved by a little, and a run that takes so many seconds.

    After a rest it takes ``waking`` more.
    """

    def __init__(self, session, clock, *, pause=0.001, off=0.0, waking=0.0, workers=1):
        self.session, self.clock, self.off = session, clock, off
        self.pause = pause / workers  # as many runs go on at the same time
        self.waking, self.ended = waking, 0.0
        self.runs = 0

    def run(self, batch):
        self.runs += 1
        self.clock.now += self.pause + (self.waking if self.clock.now > self.ended else 0)
        self.ended = self.clock.now
        if self.off < 0:  # the least likely becomes the likeliest
            return tuple(-out for out in self.session.run(batch))
        return tuple(out + self.off * out.std() for out in self.session.run(batch))


@pytest.fixture
def rivals(cache, monkeypatch):
    """Lets a test say how each runtime but the reference behaves; gives what was opened."""
    opened = []
    clock = Clock()
    monkeypatch.setattr(tuning, "time", SimpleNamespace(perf_counter=clock, sleep=clock.sleep))

    def install(**behaviours):
        def names(model):
            return ["onnxruntime", *behaviours]

        def open_runtime(model, name, share):
            session = runtimes.open_runtime(model, "onnxruntime", share)
            if name != "onnxruntime":
                behaviour = behaviours[name]
                if isinstance(behaviour, Exception):
                    raise behaviour
                session = Fake(session, clock, **behaviour, workers=share.workers)
            else:
                session = Fake(session, clock, pause=0.004, workers=share.workers)
            opened.append((name, share, session))
            return session

        monkeypatch.setattr(opening, "candidates", names)
        monkeypatch.setattr(opening, "open_runtime", open_runtime)
        monkeypatch.setattr(tuning, "open_runtime", open_runtime)
        return opened

    return install


def chosen(client):
    assert client.opened is not None
    return client.opened.runtime


def test_tuning_takes_the_quickest_that_agrees(folder, rivals):
    rivals(quick={}, slow={"pause": 0.02}, wrong={"pause": 0.0001, "off": -1.0})
    client = QAClient.from_options(folder, runtime="auto")
    assert chosen(client) == "quick"
    assert client.predict(*ASKED)
    found = {one.runtime: one for one in client.opened.tuning.candidates}
    assert set(found) == {"onnxruntime", "quick", "slow", "wrong"}
    assert "decides otherwise in 100.0%" in found["wrong"].reason
    assert found["quick"].difference < 1e-5
    assert found["quick"].rows_per_second > found["onnxruntime"].rows_per_second
    assert found["slow"].rows_per_second < found["onnxruntime"].rows_per_second
    assert list(found["quick"].ms) == ["128", "96", "40"]  # as many tokens as the model reads


def test_threads_that_sleep_between_answers_are_woken_in_the_measurement(folder, rivals):
    """The reference takes 4 ms, rested or not."""
    rivals(eager={"waking": 0.01})
    assert chosen(QAClient.from_options(folder, runtime="auto")) == "onnxruntime"
    assert chosen(QAClient.from_options(folder, runtime="auto", workers="auto")) == "eager"


def test_tuning_is_remembered_with_its_evidence(folder, rivals, cache):
    opened = rivals(quick={})
    first = QAClient.from_options(folder, runtime="auto").opened
    (file,) = (cache / "tuning").glob("*.json")
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["chosen"]["runtime"] == "quick"
    assert kept["key"]["processor"] == machine.processor()
    assert kept["key"]["versions"]["onnxruntime"]
    assert kept["measured"].endswith("+00:00")
    assert kept["near"] == evidence.NEAR
    del opened[:]
    again = QAClient.from_options(folder, runtime="auto").opened
    assert [name for name, _, _ in opened] == ["quick"]  # nothing else is even loaded
    assert again.tuning == first.tuning
    assert opened[0][2].runs == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda m, folder: m.setattr(machine, "processor", lambda: "another"),
        lambda m, folder: m.setattr(machine, "abilities", lambda: ("amx_int8",)),
        lambda m, folder: m.setattr(machine, "usable_cores", lambda: 64),
        lambda m, folder: m.setattr(evidence, "versions", lambda: {"onnxruntime": "9"}),
        lambda m, folder: tiny.write_model(folder, seed=1),
    ],
    ids=["processor", "abilities", "cores", "versions", "model"],
)
def test_tuning_of_something_else_is_not_taken(folder, rivals, cache, monkeypatch, change):
    opened = rivals(quick={})
    QAClient.from_options(folder, runtime="auto", threads=1)
    assert [one.is_of_this_machine for one in evidence.recall_all()] == [True]
    change(monkeypatch, folder)
    del opened[:]
    QAClient.from_options(folder, runtime="auto", threads=1)
    assert ("onnxruntime", Layout(1, 1)) in [(name, share) for name, share, _ in opened]
    assert len(list((cache / "tuning").glob("*.json"))) == 2


def test_tuning_for_other_threads_is_another(folder, rivals, cache):
    rivals(quick={})
    for threads in (1, 2, 1):
        QAClient.from_options(folder, runtime="auto", threads=threads)
    assert len(list((cache / "tuning").glob("*.json"))) == 2


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"chosen": {"runtime": 3}}'])
def test_a_damaged_tuning_is_measured_again(folder, rivals, cache, damage):
    rivals(quick={})
    QAClient.from_options(folder, runtime="auto")
    (file,) = (cache / "tuning").glob("*.json")
    file.write_text(damage, encoding="utf-8")
    assert evidence.recall_all() == []
    assert chosen(QAClient.from_options(folder, runtime="auto")) == "quick"
    assert json.loads(file.read_text(encoding="utf-8"))["chosen"]["runtime"] == "quick"


def test_tuning_without_a_cache_warns_once_and_answers(tmp_path, folder, rivals, monkeypatch):
    rivals(quick={})
    ensure_onnx(folder)
    export = tiny.write_model(tmp_path / "other")
    (export / "onnx").mkdir()
    (export / "onnx" / "model.onnx").write_bytes(ensure_onnx(export).read_bytes())
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("POTSTILL_CACHE", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="POTSTILL_CACHE") as warned:
        client = QAClient.from_options(export, runtime="auto")
    assert len(warned) == 1
    assert "\n" not in str(warned[0].message)
    assert chosen(client) == "quick"
    assert client.predict(*ASKED)


def test_a_rival_that_fails_is_left_out(folder, rivals):
    rivals(broken=MissingExtraError("it", "x", "this"), quick={})
    client = QAClient.from_options(folder, runtime="auto")
    assert chosen(client) == "quick"
    reasons = {one.runtime: one.reason for one in client.opened.tuning.candidates}
    assert "pip install" in reasons["broken"]


def test_what_was_chosen_has_gone(folder, rivals):
    rivals(quick={})
    QAClient.from_options(folder, runtime="auto")
    rivals(quick=MissingExtraError("it", "x", "this"))
    assert chosen(QAClient.from_options(folder, runtime="auto")) == "onnxruntime"


def test_one_answer_after_the_other_may_take_one_core(folder, rivals, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    rivals()
    opened = QAClient.from_options(folder, runtime="auto").opened
    assert [one.layout for one in opened.tuning.candidates] == [Layout(1, 2), Layout(1, 1)]
    assert opened.token_budget == TOKEN_BUDGET  # batches were not measured
    two, one = (one.rows_per_second for one in opened.tuning.candidates)
    assert opened.layout.threads == (1 if one > tuning.MARGIN * two else 2)


def test_tuning_of_layouts(folder, rivals, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    rivals()
    client = QAClient.from_options(folder, runtime="auto", workers="auto")
    assert (client.opened.layout, client.workers) == (Layout(2, 1), 2)
    tried = [(one.layout, one.batch_tokens) for one in client.opened.tuning.candidates]
    assert tried == [(Layout(1, 2), 1), (Layout(2, 1), 1), (Layout(2, 1), TOKEN_BUDGET)]
    assert client.options.token_budget == TOKEN_BUDGET  # in batches there are fewer runs
    answers = client.predict_many([ASKED] * 70)
    assert {answer.text for answer in answers} == {client.predict(*ASKED).text}


def test_the_threads_of_the_engine_are_measured_in_company(folder, rivals, monkeypatch):
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    rivals(native={})
    client = QAClient.from_options(folder, runtime="auto", workers="auto")
    tried = [(one.runtime, one.layout, one.batch_tokens) for one in client.opened.tuning.candidates]
    together = 2 * runtimes.ENGINE_TOKENS
    assert tried == [
        ("onnxruntime", Layout(1, 2), 1),
        ("onnxruntime", Layout(2, 1), 1),
        ("native", Layout(1, 2), together),
        ("native", Layout(2, 1), 1),
    ]
    # One run of all rows is quicker than a run of each.
    assert (chosen(client), client.opened.layout) == ("native", Layout(1, 2))
    assert client.options.token_budget == together
    best = client.opened.tuning.chosen
    assert best.rows_per_second == pytest.approx(len(LENGTHS) * 2 / 0.001)  # for each thread


def test_one_runtime_and_one_layout_are_not_measured(folder, cache, monkeypatch):
    monkeypatch.setattr(opening, "candidates", lambda model: ["onnxruntime"])
    monkeypatch.setattr(machine, "usable_cores", lambda: 1)
    client = QAClient.from_options(folder, runtime="auto", workers="auto")
    assert client.opened.tuning is None
    assert client.opened.layout == Layout(1, 1)
    assert not (cache / "tuning").exists()


def test_the_environment_and_the_argument_switch_tuning_off(folder, rivals, cache, monkeypatch):
    rivals(quick={})
    assert chosen(QAClient.from_options(folder)) == "onnxruntime"
    monkeypatch.setenv("POTSTILL_RUNTIME", "auto")
    assert chosen(QAClient.from_options(folder, runtime="onnxruntime")) == "onnxruntime"
    assert not (cache / "tuning").exists()
    assert chosen(QAClient.from_options(folder)) == "quick"
    monkeypatch.setenv("POTSTILL_RUNTIME", "onnxruntime")
    assert runtime_name(None, otherwise="auto") == "onnxruntime"
    monkeypatch.setenv("POTSTILL_RUNTIME", "steam")
    with pytest.raises(InputError, match="POTSTILL_RUNTIME: .* none of auto, native"):
        QAClient.from_options(folder)


@pytest.mark.parametrize(
    ("head", "opener"),
    [("classification", Classifier), ("tagging", Tagger), ("choice", Chooser), ("mlm", Filler)],
)
def test_tuning_of_every_task(tmp_path, rivals, head, opener):
    rivals(quick={}, wrong={"off": 0.5})
    labels = ("a", "b", "c") if head in ("classification", "tagging") else ()
    folder = tiny.write_model(tmp_path / head, head=head, labels=labels)
    assert chosen(opener.from_options(folder, runtime="auto", workers=2)) == "quick"


def test_the_pipelines_take_a_runtime(folder, rivals):
    rivals(quick={})
    found = pipeline(model=folder, runtime="auto", workers=2)
    assert chosen(found.client) == "quick"
    assert found.client.workers == 2
    assert found(question=ASKED[0], context=ASKED[1])["answer"]


def test_how_far_apart():
    one = [(np.array([[0.0, 1.0], [1.0, 0.0]], np.float32),)]
    assert tuning.compare(one, one) == (0.0, 1.0)
    moved = [(one[0][0] + 0.5,)]
    assert tuning.compare(one, moved) == (pytest.approx(1.0), 1.0)
    assert tuning.compare(one, [(1 - one[0][0],)])[1] == 0.0
    assert tuning.compare(one, [(one[0][0] * np.nan,)]) == (float("inf"), 0.0)
    # What the reference has as good as chosen is no other decision.
    tie = [(np.array([[0.0, 1.0, 1.01]], np.float32),)]
    assert tuning.compare(tie, [(np.array([[0.0, 1.02, 1.0]], np.float32),)])[1] == 1.0
    assert tuning.compare(tie, [(np.array([[1.2, 1.02, 1.0]], np.float32),)])[1] == 0.0


def test_logits_that_are_off_decide_alike(folder, rivals):
    rivals(quick={"off": 1.0})
    assert chosen(QAClient.from_options(folder, runtime="auto")) == "quick"


def test_heavy_models_are_measured_one_by_one(folder, rivals, monkeypatch):
    monkeypatch.setattr(tuning, "_HELD_BYTES", 1)
    rivals(quick={}, slow={"pause": 0.02})
    client = QAClient.from_options(folder, runtime="auto")
    assert chosen(client) == "quick"
    assert all(one.rows_per_second for one in client.opened.tuning.candidates)


def test_candidates_are_those_installed(folder, monkeypatch):
    model = Runnable(folder=folder, file=ensure_onnx(folder), head="qa", from_floats=True)
    monkeypatch.setattr(runtimes, "_has_cuda_driver", lambda: False)
    monkeypatch.setattr(runtimes, "_installed", lambda name: name == "torch")
    monkeypatch.setattr(machine, "has_bf16", lambda: False)
    assert runtimes.candidates(model) == ["onnxruntime"]  # torch could not win
    monkeypatch.setattr(machine, "has_bf16", lambda: True)
    assert runtimes.candidates(model) == ["onnxruntime", "torch:bf16"]
    assert runtimes.candidates(replace(model, from_floats=False)) == ["onnxruntime"]
    monkeypatch.setattr(runtimes, "_installed", lambda name: name == "openvino")
    assert runtimes.candidates(model) == ["onnxruntime", "openvino", "openvino:bf16"]


def test_layouts():
    assert runtimes.layouts(1) == [Layout(1, 1)]
    assert runtimes.layouts(2) == [Layout(1, 2), Layout(2, 1)]
    assert runtimes.layouts(8) == [Layout(1, 8), Layout(8, 1), Layout(4, 2)]
    assert runtimes.layouts(8, 3) == [Layout(2, 3)]
