"""Rows of ids in, logits out: TF Serving's REST paths.

For clients that tokenize by themselves. Their rows pass through the same batches as everyone's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response

from potstill.bundle.heads import HEADS
from potstill.runtime.plans import Plan, Row
from potstill.serving.faults import Refusal
from potstill.serving.http import errors, parse, reply, takes
from potstill.serving.schemas import TensorCall
from potstill.serving.served import Served
from potstill.serving.service import Service

SIGNATURE = "serving_default"
_NAMES = ("input_ids", "attention_mask", "token_type_ids")


def add_paths(api: FastAPI, service: Service) -> None:
    """Adds ``/v1`` to the app."""

    @api.get(
        "/v1/models/{name}", summary="TF Serving: state.", responses=errors(401, 404, 421, 503)
    )
    async def status(name: str) -> Response:
        service.model(name)
        state = "AVAILABLE" if service.ready() else "LOADING"
        row = {"version": "1", "state": state, "status": {"error_code": "OK", "error_message": ""}}
        return reply({"model_version_status": [row]})

    @api.get(
        "/v1/models/{name}/metadata",
        summary="TF Serving: signature.",
        responses=errors(401, 404, 421, 503),
    )
    async def metadata(name: str) -> Response:
        return reply(_metadata(service.model(name)))

    @api.post(
        "/v1/models/{name}:predict",
        summary="TF Serving: rows of ids in, logits out.",
        responses=errors(400, 401, 404, 408, 413, 415, 421, 422, 424, 429, 500, 503, 504),
        openapi_extra=takes(TensorCall),
    )
    async def predict(name: str, request: Request) -> Response:
        call: TensorCall = await parse(request, TensorCall)
        model = service.model(name)
        with service.admitted(name):
            found, times = await service.answer(
                name, lambda: _plans(model, call), None, request.receive
            )
        return reply(_result(model, call, found), headers=times.headers())


def _inputs(model: Served[Any, Any]) -> tuple[str, ...]:
    return _NAMES if model.client.tokenizer.layout.token_types and _has_types(model) else _NAMES[:2]


def _has_types(model: Served[Any, Any]) -> bool:
    return model.facts.config.n_token_types > 0


def _tensor(dtype: str, rank: int) -> dict[str, Any]:
    dims = [{"size": "-1", "name": ""} for _ in range(rank)]
    return {"dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": ""}


def _metadata(model: Served[Any, Any]) -> dict[str, Any]:
    head = HEADS[model.client.head]
    rank = 1 + head.by_token + len(head.output_shape(model.facts.config))
    signature = {
        "inputs": {name: _tensor("DT_INT32", 2) for name in _inputs(model)},
        "outputs": {f"output_{i}": _tensor("DT_FLOAT", rank) for i in range(len(model.outputs))},
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": model.facts.name, "signature_name": "", "version": "1"},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: signature}}},
    }


def _plans(model: Served[Any, Any], call: TensorCall) -> list[Plan[Any]]:
    if call.signature_name not in (None, "", SIGNATURE):
        raise Refusal(422, f"signature_name: only {SIGNATURE} is served", field="signature_name")
    rows, where = _instances(call)
    model.check_count(len(rows))
    plans = [_plan(model, row, f"{where}.{i}") for i, row in enumerate(rows)]
    if where == "inputs" and len({len(row["input_ids"]) for row in rows}) > 1:
        raise Refusal(422, "inputs.input_ids: rows differ in length", field="inputs.input_ids")
    return plans


def _instances(call: TensorCall) -> tuple[list[dict[str, list[int]]], str]:
    """The rows, each by input name, and where in the body they were."""
    if (call.instances is None) == (call.inputs is None):
        raise Refusal(422, "instances: give these or inputs, one of the two", field="instances")
    if call.instances is not None:
        return call.instances, "instances"
    inputs = call.inputs or {}
    n = {len(rows) for rows in inputs.values()}
    if len(n) != 1:
        raise Refusal(422, "inputs: tensors differ in their number of rows", field="inputs")
    return [{name: rows[i] for name, rows in inputs.items()} for i in range(n.pop())], "inputs"


def _plan(model: Served[Any, Any], row: dict[str, list[int]], field: str) -> Plan[Any]:
    def refuse(name: str, why: str) -> Refusal:
        return Refusal(422, f"{field}.{name}: {why}", field=f"{field}.{name}")

    for name in row:
        if name not in _NAMES:
            raise refuse(name, f"there is no such input; there are {', '.join(_NAMES)}")
    if not row.get("input_ids"):
        raise refuse("input_ids", "is missing or empty")
    ids = row["input_ids"]
    longest, size = model.facts.config.max_positions, model.facts.config.vocab_size
    if len(ids) > longest:
        raise refuse("input_ids", f"{len(ids)} ids; the model has {longest} positions")
    if not all(0 <= number < size for number in ids):
        raise refuse("input_ids", f"ids must be from 0 to {size - 1}")
    mask = row.get("attention_mask", [1] * len(ids))
    kept = sum(mask) if set(mask) <= {0, 1} else 0
    if len(mask) != len(ids) or not kept or mask != [1] * kept + [0] * (len(ids) - kept):
        raise refuse("attention_mask", "must be as long as input_ids: ones, then zeros")
    given = row.get("token_type_ids", [0] * len(ids))
    types = given[:kept]
    n_second = sum(types) if set(types) <= {0, 1} else -1
    if len(given) != len(ids) or types != [0] * (kept - n_second) + [1] * n_second:
        raise refuse("token_type_ids", "must be as long as input_ids: zeros, then ones")
    return model.tensor_plan(Row(np.array(ids[:kept], np.int64), kept - n_second), len(ids))


def _result(model: Served[Any, Any], call: TensorCall, found: list[list[Any]]) -> dict[str, Any]:
    names = [f"output_{i}" for i in range(len(model.outputs))]
    single = len(names) == 1
    if call.instances is not None:
        rows = [row[0] if single else dict(zip(names, row, strict=True)) for row in found]
        return {"predictions": rows}
    columns = [[row[i] for row in found] for i in range(len(names))]
    return {"outputs": columns[0] if single else dict(zip(names, columns, strict=True))}
