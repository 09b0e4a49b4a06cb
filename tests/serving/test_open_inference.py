"""The Open Inference Protocol: as its REST description has it, answering as the other paths do."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CONTEXT = "Denver Broncos won the game. Carolina lost."
QUESTIONS = ["Who won?", "Who lost?"]
N_EXAMPLES = int(os.environ.get("POTSTILL_FUZZ", "15"))
"""Requests of each kind to each path."""


def texts(name, values, shape=None):
    return {
        "name": name, "shape": shape or [len(values)], "datatype": "BYTES", "data": values
    }  # fmt: skip


def reading(**more):
    inputs = [texts("question", QUESTIONS), texts("context", [CONTEXT] * 2)]
    return {"inputs": inputs, **more}


def by_name(found):
    """Outputs as arrays of the shapes that they say."""
    kinds = {"BYTES": object, "FP64": np.float64, "INT64": np.int64}
    return {
        one["name"]: np.array(one["data"], kinds[one["datatype"]]).reshape(one["shape"])
        for one in found["outputs"]
    }


def test_questions_in_answers_out(server):
    items = [{"question": q, "context": CONTEXT} for q in QUESTIONS]
    expected = server.ask("/", {"inputs": items})[2]
    status, headers, found = server.ask("/v2/models/reader/infer", reading(id="42"))
    assert status == 200 and float(headers["x-inference-time"]) >= 0
    assert (found["model_name"], found["model_version"], found["id"]) == ("reader", "1", "42")
    columns = by_name(found)
    assert list(columns) == ["answer", "score", "start", "end"]
    for i, one in enumerate(expected):
        assert {name: columns[name][i] for name in ("answer", "start", "end")} == {
            name: one[name] for name in ("answer", "start", "end")
        }
        assert columns["score"][i] == pytest.approx(one["score"], abs=1e-6)
        assert CONTEXT[columns["start"][i] : columns["end"][i]] == columns["answer"][i]
    assert "id" not in server.ask("/v2/models/reader/infer", reading())[2]


def test_a_version_is_named(server):
    path = "/v2/models/reader/versions/1"
    assert by_name(server.ask(f"{path}/infer", reading())[2])["answer"].shape == (2,)
    assert server.ask(path)[2] == server.ask("/v2/models/reader")[2]
    assert server.ask(f"{path}/ready")[2] == {"name": "reader", "ready": True}
    for tail in ("", "/ready"):
        status, _, body = server.ask(f"/v2/models/reader/versions/2{tail}")
        assert (status, body) == (404, {"error": "reader has no version '2'; it has 1"})
    assert server.ask("/v2/models/reader/versions/2/infer", reading())[0] == 404


@pytest.mark.parametrize("data", [QUESTIONS, [[one] for one in QUESTIONS]])
def test_tensors_of_one_column(server, data):
    """As clients of Triton and MLServer send them, flat or nested."""
    call = {"inputs": [texts("question", data, [2, 1]), texts("context", [CONTEXT] * 2, [2, 1])]}
    found = by_name(server.ask("/v2/models/reader/infer", call)[2])
    assert found["answer"].shape == found["score"].shape == (2, 1)
    plain = by_name(server.ask("/v2/models/reader/infer", reading())[2])
    assert found["answer"][:, 0].tolist() == plain["answer"].tolist()


def test_labels_of_texts(server):
    values = ["Denver won.", "Carolina lost."]
    call = {"inputs": [texts("text", values)], "parameters": {"top_k": 2}}
    found = by_name(server.ask("/v2/models/classifier/infer", call)[2])
    expected = server.ask("/", {"inputs": values, "model": "classifier"})[2]
    assert found["label"].tolist() == [[one["label"] for one in row[:2]] for row in expected]
    for i in range(2):
        scores = [one["score"] for one in expected[i][:2]]
        assert found["score"][i].tolist() == pytest.approx(scores, abs=1e-6)
    pair = {"inputs": [texts("text", values[:1]), texts("text_pair", values[1:])]}
    found = by_name(server.ask("/v2/models/classifier/infer", pair)[2])
    one = {"text": values[0], "text_pair": values[1]}
    (expected,) = server.ask("/", {"inputs": [one], "model": "classifier"})[2]
    assert found["label"].tolist() == [[one["label"] for one in expected]]


def test_entities_of_texts(server):
    values = ["Denver won in Paris.", "Carolina lost."]
    call = {"inputs": [texts("text", values)], "parameters": {"aggregation_strategy": "none"}}
    found = by_name(server.ask("/v2/models/tagger/infer", call)[2])
    expected = server.ask("/", {"inputs": values, "model": "tagger",
                                "parameters": {"aggregation_strategy": "none"}})[2]  # fmt: skip
    for text, rows in zip(found["entities"], expected, strict=True):
        said = json.loads(text)
        assert [{**one, "score": 0} for one in said] == [{**one, "score": 0} for one in rows]


def test_outputs_that_are_asked_for_come_in_their_order(server):
    wanted = [{"name": "end"}, {"name": "answer", "parameters": {"binary_data": False}}]
    found = server.ask("/v2/models/reader/infer", reading(outputs=wanted))[2]
    assert [one["name"] for one in found["outputs"]] == ["end", "answer"]


def test_metadata_is_true(server):
    calls = {
        "reader": reading(),
        "classifier": {"inputs": [texts("text", ["a b"]), texts("text_pair", ["c"])]},
        "tagger": {"inputs": [texts("text", ["a b"])]},
    }
    for name, call in calls.items():
        facts = server.ask(f"/v2/models/{name}")[2]
        assert (facts["name"], facts["versions"]) == (name, ["1"])
        assert {one["name"] for one in facts["inputs"]} == {one["name"] for one in call["inputs"]}
        assert all((one["datatype"], one["shape"]) == ("BYTES", [-1]) for one in facts["inputs"])
        found = server.ask(f"/v2/models/{name}/infer", call)[2]["outputs"]
        assert [
            (one["name"], one["datatype"], len(one["shape"])) for one in facts["outputs"]
        ] == [(one["name"], one["datatype"], len(one["shape"])) for one in found]  # fmt: skip
    for path in ("/v2", "/v2/"):
        said = server.ask(path)[2]
        assert said["name"] == "potstill" and said["extensions"] == []


WHO, WHERE = texts("question", ["Who?"]), texts("context", ["Denver won."])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({}, "inputs: Field required"),
        ({"inputs": []}, "inputs: List should have at least 1"),
        ({"inputs": [WHO]}, "inputs: context is missing"),
        ({"inputs": [WHO, WHO, WHERE]}, "inputs.1.name: 'question' is there twice"),
        ({"inputs": [WHO, WHERE, texts("ids", ["1"])]}, "inputs.2.name: 'ids' is no input"),
        ({"inputs": [{**WHO, "datatype": "INT64"}, WHERE]}, "inputs.0.datatype: 'INT64'"),
        ({"inputs": [{**WHO, "shape": [2]}, WHERE]}, "inputs.0.data: holds 1 texts"),
        ({"inputs": [{**WHO, "shape": [1, 2]}, WHERE]}, "inputs.0.shape: [1, 2]"),
        ({"inputs": [{**WHO, "shape": []}, WHERE]}, "inputs.0.shape: []"),
        ({"inputs": [{**WHO, "shape": [-1]}, WHERE]}, "inputs.0.shape.0:"),
        ({"inputs": [{**WHO, "data": [1]}, WHERE]}, "inputs.0.data.0: int is no string"),
        ({"inputs": [{**WHO, "data": [["Who?"]]}, WHERE]}, "inputs.0.data.0: list is no string"),
        ({"inputs": [{**WHO, "parameters": {"content_type": "base64"}}, WHERE]},
         "inputs.0.parameters.content_type: is not known"),
        ({"inputs": [{**WHO, "parameters": {"binary_data_size": 9}}, WHERE]},
         "inputs.0.parameters.binary_data_size: tensors are JSON here"),
        ({"inputs": [WHO, texts("context", ["a", "b"])]}, "inputs: tensors differ"),
        ({"inputs": [WHO, texts("context", [" "])]}, "inputs.0.context is empty"),
        ({"inputs": [WHO, WHERE], "outputs": [{"name": "logits"}]}, "outputs.0.name: 'logits'"),
        ({"inputs": [WHO, WHERE],
          "outputs": [{"name": "end", "parameters": {"binary_data": True}}]},
         "outputs.0.parameters.binary_data: tensors are JSON here"),
        ({"inputs": [WHO, WHERE], "parameters": {"top_k": 2}}, "parameters.top_k: tensors hold"),
        ({"inputs": [WHO, WHERE], "parameters": {"topk": 2}}, "parameters.topk:"),
        ({"inputs": [WHO, WHERE], "more": 1}, "more:"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_as_the_protocol_says_it(server, call, said):
    status, _, body = server.ask("/v2/models/reader/infer", call)
    assert (status, list(body)) == (400, ["error"])
    assert body["error"].startswith(said), body


def test_errors_of_all_kinds_have_the_protocols_shape(server):
    infer = "/v2/models/reader/infer"
    many = {"inputs": [texts("question", ["a"] * 129), texts("context", ["b"] * 129)]}
    answers = {
        400: server.ask(infer, b"no json"),
        404: server.ask("/v2/models/nothere/infer", reading()),
        405: server.ask("/v2/models/reader", reading()),
        413: server.ask(infer, many),
        415: server.ask(infer, b"{}", content_type="application/octet-stream"),
    }
    for status, (found, _, body) in answers.items():
        assert (found, list(body)) == (status, ["error"]) and isinstance(body["error"], str)
    assert server.ask("/v2/nothere")[2] == {"error": "GET /v2/nothere: Not Found"}
    assert "error" in server.ask("/v3")[2] and server.ask("/v3")[2]["error"]["status"] == 404


def protocol(server) -> dict[str, Any]:
    """What the protocol's REST description asks of answers, for one model that there is."""
    facts = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
        },
    }
    data = {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "number"},
                {"type": "string"},
                {"type": "boolean"},
                {"type": "array"},
            ]
        },
    }
    tensor = {
        **facts,
        "required": [*facts["required"], "data"],
        "properties": {**facts["properties"], "data": data, "parameters": {"type": "object"}},
    }
    name = {"type": "string"}
    error = {"type": "object", "required": ["error"], "properties": {"error": name}}
    bare = {"200": {"description": "OK"}}

    def answer(schema):
        return {"description": "", "content": {"application/json": {"schema": schema}}}

    model = {
        "type": "object",
        "required": ["name", "platform"],
        "properties": {
            "name": name,
            "platform": name,
            "versions": {"type": "array", "items": name},
            "inputs": {"type": "array", "items": facts},
            "outputs": {"type": "array", "items": facts},
        },
    }
    whole = {
        "type": "object",
        "required": ["name", "version", "extensions"],
        "properties": {
            "name": name,
            "version": name,
            "extensions": {"type": "array", "items": name},
        },
    }
    asked = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": name,
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": tensor},
            "outputs": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {"name": name, "parameters": {"type": "object"}},
                },
            },
        },
    }
    found = {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": name,
            "model_version": name,
            "id": name,
            "outputs": {"type": "array", "items": tensor},
        },
    }
    paths: dict[str, Any] = {
        "/v2/": {"get": {"responses": {"200": answer(whole), "400": answer(error)}}},
        "/v2/health/live": {"get": {"responses": bare}},
        "/v2/health/ready": {"get": {"responses": bare}},
    }
    for one in ("/v2/models/reader", "/v2/models/tagger/versions/1"):
        body = {"content": {"application/json": {"schema": asked}}, "required": True}
        paths[one] = {"get": {"responses": {"200": answer(model)}}}
        paths[f"{one}/ready"] = {"get": {"responses": bare}}
        paths[f"{one}/infer"] = {
            "post": {"requestBody": body, "responses": {"200": answer(found), "400": answer(error)}}
        }
    return {"openapi": "3.0.0", "info": {"title": "", "version": "2.0"}, "paths": paths}


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_generated_requests_get_the_protocols_answers(server, mode):
    checks = [content_type_conformance, response_schema_conformance, status_code_conformance]
    asked = set()
    for found in schemathesis.openapi.from_dict(protocol(server)).get_all_operations():
        operation = found.ok()
        if mode is schemathesis.GenerationMode.NEGATIVE and operation.method == "get":
            continue  # nothing about it can be wrong

        @settings(
            max_examples=N_EXAMPLES,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode))
        def ask(case):
            case.call_and_validate(base_url=server.url, checks=checks)
            asked.add(case.operation.label)

        ask()
    assert {"POST /v2/models/reader/infer", "POST /v2/models/tagger/versions/1/infer"} <= asked


@settings(max_examples=40, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=4), st.booleans())
def test_generated_texts_are_answered_or_refused_by_place(server, values, nested):
    data = [[one] for one in values] if nested else values
    shape = [len(values), 1] if nested else [len(values)]
    call = {"inputs": [texts("text", data, shape)], "id": "x"}
    status, _, body = server.ask("/v2/models/classifier/infer", call)
    if status == 200:
        label, score = body["outputs"]
        assert label["shape"] == score["shape"] == [len(values), 3]
        assert len(label["data"]) == len(score["data"]) == 3 * len(values)
    else:
        assert status == 400 and body["error"].startswith("inputs.")
