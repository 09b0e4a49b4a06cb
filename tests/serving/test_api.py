"""What each path answers, against the same models in this process."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket

import numpy as np
import pytest

from potstill import Classifier, QAClient, Tagger, pipeline
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.runtime.plans import Row, run_batch
from potstill.serving.options import Limits, ServeOptions
from running import Running, encoded, question, wait_until

CONTEXT = "Denver Broncos won the game in Denver. The old king built a tower by the river Thames."
LONG = f"{CONTEXT} " * 12
"""Several windows of the tiny models."""


@pytest.fixture(scope="module")
def reader(folders):
    return pipeline("question-answering", folders["reader"], threads=1)


@pytest.fixture
def online(monkeypatch):
    """Lets the hub's client ask the server of the test; elsewhere it stays offline."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)


def same(found, expected):
    found, expected = ([one] if isinstance(one, dict) else one for one in (found, expected))
    assert [(a["answer"], a["start"], a["end"]) for a in found] == [
        (a["answer"], a["start"], a["end"]) for a in expected
    ]
    assert [a["score"] for a in found] == pytest.approx([a["score"] for a in expected], abs=1e-5)


@pytest.mark.parametrize("path", ["/", "/question-answering", "/predict"])
@pytest.mark.parametrize("context", [CONTEXT, LONG])
def test_an_answer_is_the_pipelines(server, reader, path, context):
    status, headers, found = server.ask(path, question("Who won the game?", context))
    assert status == 200
    same(found, reader(question="Who won the game?", context=context))
    assert context[found["start"] : found["end"]] == found["answer"]
    for name in ("prepare", "queue", "inference"):
        assert float(headers[f"x-{name}-time"]) >= 0


def test_every_parameter_is_the_pipelines(server, reader):
    parameters = {
        "top_k": 3,
        "doc_stride": 8,
        "max_answer_len": 4,
        "max_seq_len": 40,
        "handle_impossible_answer": True,
        "align_to_words": False,
    }
    expected = reader(question="Who won?", context=LONG, **parameters)
    assert len(expected) == 3
    camel = {"topK": 3, "docStride": 8, "maxAnswerLen": 4, "maxSeqLen": 40,
             "handleImpossibleAnswer": True, "alignToWords": False}  # fmt: skip
    for names in (parameters, camel):
        status, _, found = server.ask("/", question("Who won?", LONG, **names))
        assert status == 200
        same(found, expected)
    assert len(reader(question="Who won?", context=LONG, top_k=2)) == 2


def test_a_list_gets_a_list_in_its_order(server, reader):
    asked = [{"question": q, "context": c} for q, c in [("Who?", CONTEXT), ("What river?", LONG)]]
    _, _, found = server.ask("/", {"inputs": asked})
    assert len(found) == 2
    for one, item in zip(found, asked, strict=True):
        same(one, reader(item))
    assert len(server.ask("/", {"inputs": asked[:1]})[2]) == 1


def test_a_question_that_is_cut_is_reported(server, reader):
    long = "who won the game " * 20
    status, headers, found = server.ask("/", question(long, CONTEXT, max_question_len=6))
    assert (status, headers["x-truncated"]) == (200, "1")
    with pytest.warns(UserWarning):
        same(found, reader(question=long, context=CONTEXT, max_question_len=6))
    assert "x-truncated" not in server.ask("/", question("Who?", CONTEXT))[1]


def test_the_hugging_face_client_unchanged(server, reader, online):
    from huggingface_hub import InferenceClient

    client = InferenceClient(server.url)
    found = client.question_answering(question="Who won?", context=CONTEXT)
    same(dict(found), reader(question="Who won?", context=CONTEXT))
    several = client.question_answering(question="Who won?", context=LONG, top_k=3)
    same([dict(one) for one in several], reader(question="Who won?", context=LONG, top_k=3))


def test_classifiers_and_taggers_answer_the_hugging_face_client(folders, online):
    from huggingface_hub import InferenceClient

    own = Classifier.from_options(folders["classifier"]).classify(CONTEXT)
    with Running(ServeOptions(models={"only": folders["classifier"]})) as running:
        found = InferenceClient(running.url).text_classification(CONTEXT, top_k=2)
    assert [one.label for one in found] == [label.label for label in own.labels[:2]]
    entities = Tagger.from_options(folders["tagger"]).tag(CONTEXT)
    with Running(ServeOptions(models={"only": folders["tagger"]})) as running:
        tagged = InferenceClient(running.url).token_classification(CONTEXT)
    assert [(one.word, one.start, one.end, one.entity_group) for one in tagged] == [
        (one.text, one.start, one.end, one.label) for one in entities
    ]


def test_classification(server, folders):
    own = Classifier.from_options(folders["classifier"])
    body = {"model": "classifier", "inputs": [CONTEXT, {"text": "Who?", "text_pair": "Denver."}]}
    _, _, found = server.ask("/predict", body)
    expected = own.classify_many([CONTEXT, ("Who?", "Denver.")])
    for labels, one in zip(found, expected, strict=True):
        assert [x["label"] for x in labels] == [x.label for x in one.labels]
        assert [x["score"] for x in labels] == pytest.approx(
            [x.score for x in one.labels], abs=1e-5
        )
    _, headers, _ = server.ask("/predict", {"model": "classifier", "inputs": LONG})
    assert headers["x-truncated"] == "1"


def test_a_classifier_that_reads_to_the_end_does_so_here(folders, tmp_path):
    folder = shutil.copytree(folders["classifier"], tmp_path / "whole")
    write_manifest(folder, Manifest(task="text-classification", seq_len=32, max_windows=0))
    (expected,) = Classifier.from_options(folder, workers=1).classify_many([LONG])
    body = {"inputs": [LONG, CONTEXT]}
    with Running(ServeOptions(models={"whole": str(folder)}, workers=1)) as running:
        _, headers, found = running.ask("/predict", body)
    assert headers.get("x-truncated", "0") == "0"
    assert [x["label"] for x in found[0]] == [x.label for x in expected.labels]
    assert [x["score"] for x in found[0]] == pytest.approx(
        [x.score for x in expected.labels], abs=1e-5
    )
    few = ServeOptions(models={"whole": str(folder)}, workers=1, limits=Limits(max_windows=2))
    with Running(few) as running:
        status, _, refused = running.ask("/predict", body)
    assert status == 413
    assert "the limit is 2" in str(refused)


@pytest.mark.parametrize("aggregation", [None, "none", "simple", "max"])
def test_tagging(server, folders, aggregation):
    own = Tagger.from_options(folders["tagger"])
    parameters = {"aggregation_strategy": aggregation, "ignore_labels": []}
    body = {"model": "tagger", "inputs": LONG, "parameters": parameters}
    _, _, found = server.ask("/predict", body)
    expected = own.tag(LONG, aggregation=aggregation, ignore=())
    key = "entity" if aggregation == "none" else "entity_group"
    assert [(e[key], e["word"], e["start"]) for e in found] == [
        (e.label, e.text, e.start) for e in expected
    ]


def test_explain_shows_how_an_answer_was_found(server, folders):
    _, _, found = server.ask("/explain", question("Who won?", LONG, handle_impossible_answer=True))
    client = QAClient.from_options(folders["reader"])
    reading = client.read(
        "Who won?", LONG, max_answer_tokens=15, align_to_words=True, no_answer=True,
        stride=client.options.seq_len // 2,
    )  # fmt: skip
    assert found["windows"] == reading.n_read > 1
    assert found["null_score"] == pytest.approx(reading.null_score, abs=1e-5)
    assert found["answers"][0]["answer"] == reading.spans[0].text
    tokens = found["tokens"]
    assert len(tokens) == len(client.prepare(LONG))
    for name in ("p_start", "p_end"):
        assert sum(token[name] for token in tokens) == pytest.approx(1)


def test_tokenize(server, folders):
    _, _, found = server.ask("/tokenize", {"inputs": "Denver won."})
    tokenizer = QAClient.from_options(folders["reader"]).tokenizer
    assert found["ids"] == tokenizer.encode("Denver won.").ids.tolist()
    assert found["tokens"][0] == "denver"
    assert found["offsets"] == [[0, 6], [7, 10], [10, 11]]


def test_tensors_in_the_rows_of_tf_serving(server, folders):
    client = QAClient.from_options(folders["reader"], threads=1)
    ids = [[2, 30, 31, 3, 40, 41, 42, 3], [2, 30, 3, 44, 3, 0, 0, 0]]
    kept, second = [8, 5], [4, 3]
    mask = [[1] * n + [0] * (8 - n) for n in kept]
    types = [[0] * at + [1] * (n - at) + [0] * (8 - n)
             for n, at in zip(kept, second, strict=True)]  # fmt: skip
    tensors = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    _, _, found = server.ask("/v1/models/reader:predict", {"inputs": tensors})
    rows = [{name: value[i] for name, value in tensors.items()} for i in range(2)]
    _, _, by_row = server.ask("/v1/models/reader:predict", {"instances": rows})
    for i in range(2):
        row = Row(np.array(ids[i][: kept[i]]), second[i])
        (expected,) = run_batch(client.session, [row], pad_id=0, layout=client.tokenizer.layout)
        for number, logits in enumerate(expected):
            given = found["outputs"][f"output_{number}"][i]
            assert given[: kept[i]] == pytest.approx(logits.tolist(), abs=1e-4)
            assert len(given) == 8
            assert by_row["predictions"][i][f"output_{number}"] == pytest.approx(given, abs=1e-4)
    _, _, facts = server.ask("/v1/models/reader/metadata")
    signature = facts["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert set(signature["inputs"]) == set(tensors)
    _, _, state = server.ask("/v1/models/reader")
    assert state["model_version_status"][0]["state"] == "AVAILABLE"


def test_info_and_metrics(server):
    before = server.ask("/metrics")[2]
    assert server.ask("/", question("Who?", CONTEXT))[0] == 200
    after = server.ask("/metrics")[2]

    def value(page, name):
        return float(next(x for x in page.splitlines() if x.startswith(name)).rsplit(" ", 1)[1])

    for name in ('potstill_requests_total{path="/",status="200"}',
                 'potstill_windows_total{model="reader"}',
                 'potstill_stage_seconds_count{stage="queue"}'):  # fmt: skip
        assert value(after, name) == (value(before, name) if name in before else 0) + 1
    assert value(after, "potstill_queue_windows") == 0
    assert value(after, "potstill_ready") == 1
    _, _, info = server.ask("/info")
    assert info["limits"] == dataclasses.asdict(Limits())
    assert info["models"]["tagger"]["labels"] == ["O", "B-X", "I-X"]
    assert json.dumps(info).count("/tmp") == 0


def test_workers_and_threads_are_those_that_read_most(folders, monkeypatch):
    monkeypatch.setattr("potstill.runtime.machine.usable_cores", lambda: 2)
    models = {name: folders[name] for name in ("reader", "classifier")}
    with Running(ServeOptions(models=models, runtime="auto")) as running:
        service = running.service
        tuning = service.models["reader"].client.opened.tuning
        assert {(c.workers, c.threads) for c in tuning.candidates} >= {(1, 2), (2, 1)}
        chosen = (tuning.chosen.workers, tuning.chosen.threads)
        info = running.ask("/info")[2]
        assert (info["workers"], info["threads"]) == chosen
        layout = service.models["classifier"].client.opened.layout  # one pool runs both
        assert (layout.workers, layout.threads) == chosen
        assert running.ask("/", question("Who?", CONTEXT))[0] == 200


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, (3, 1)), ({"workers": 2}, (2, 1)), ({"threads": 3}, (1, 3)),
     ({"workers": 2, "threads": 2}, (2, 2))],
)  # fmt: skip
def test_workers_and_threads_that_are_given_are_kept(folders, monkeypatch, given, expected):
    monkeypatch.setattr("potstill.runtime.machine.usable_cores", lambda: 3)
    monkeypatch.setattr("potstill.serving.service.usable_cores", lambda: 3)
    with Running(ServeOptions(models={"r": folders["reader"]}, **given)) as running:
        info = running.ask("/info")[2]
    assert (info["workers"], info["threads"]) == expected


def test_a_context_is_prepared_once(server, monkeypatch):
    reader = server.service.models["reader"]
    seen = []
    prepare = reader.client.prepare
    monkeypatch.setattr(reader.client, "prepare", lambda text: seen.append(text) or prepare(text))
    text = f"{CONTEXT} A context that no other test has."
    for name in ("Who?", "What river?", "Which city?"):
        assert server.ask("/", question(name, text))[0] == 200
    assert seen == [text]


def test_request_ids_come_back(server):
    assert server.ask("/live", x_request_id="a-1")[1]["x-request-id"] == "a-1"
    made = server.ask("/live", x_request_id="a b")[1]["x-request-id"]
    assert len(made) == 32


def test_a_token_is_asked_for(folders):
    options = ServeOptions(models={"reader": folders["reader"]}, token="secret")
    with Running(options) as running:
        call = question("Who?", CONTEXT)
        for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic secret"}):
            status, headers, body = running.ask("/", call, **given)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert body["error"]["kind"] == "unauthorized"
        assert running.ask("/metrics")[0] == running.ask("/info")[0] == 401
        assert running.ask("/", call, authorization="Bearer secret")[0] == 200
        for path in ("/", "/live", "/ready", "/health", "/docs", "/static/page.js"):
            assert running.ask(path)[0] == 200


def test_pages_of_other_origins_may_call_where_they_are_named(server, folders):
    origin = {"origin": "https://a.example"}
    assert "access-control-allow-origin" not in server.ask("/live", **origin)[1]
    options = ServeOptions(models={"r": folders["reader"]}, origins=("https://a.example",))
    with Running(options, load=False) as running:
        assert running.ask("/live", **origin)[1]["access-control-allow-origin"] == origin["origin"]
        other = running.ask("/live", origin="https://b.example")[1]
        assert "access-control-allow-origin" not in other


def test_answers_do_not_wait_for_acknowledgements(server):
    """An answer is two packets; with Nagle's algorithm the second came 40 ms after the first."""
    with socket.create_connection(("127.0.0.1", server.port)):
        wait_until(lambda: server.server.server_state.connections)
        (connection, *_) = server.server.server_state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_bodies_may_come_in_pieces(server):
    body = encoded(question("Who?", CONTEXT))
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(x), x) for x in (body[:9], body[9:])) + b"0\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    assert server.send(head + chunks)[0] == 200
