"""The Open Inference Protocol over HTTP: string tensors in, answers out.

As its REST description of version 2.0 says (github.com/kserve/open-inference-protocol), which
KServe, Triton and MLServer speak; errors under ``/v2`` have the protocol's shape. What a task takes
and gives as tensors is said by its `Served`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response

from potstill.serving.faults import Refusal
from potstill.serving.http import errors, parse, reply, takes, validate
from potstill.serving.served import Served
from potstill.serving.service import Service, versions
from potstill.serving.tensor_schemas import (
    InferCall,
    InferInput,
    InferOut,
    InferOutput,
    ModelOut,
    PlainErrorOut,
    ServerOut,
)

VERSION = "1"
"""Of every model: a server holds one of each."""
_BYTES = "BYTES"
_BINARY = ("binary_data", "binary_data_size", "binary_data_output")
_PLATFORM = "potstill_onnx"


def add_paths(api: FastAPI, service: Service) -> None:
    """Adds ``/v2`` to the app."""

    def model_of(name: str, version: str = VERSION) -> Served[Any, Any]:
        if version != VERSION:
            raise Refusal(404, f"{name} has no version {version!r:.40}; it has {VERSION}")
        return service.model(name)

    @api.get("/v2/", include_in_schema=False)
    @api.get("/v2", summary="Open Inference: the server.", response_model=ServerOut)
    async def server() -> Response:
        return reply({"name": "potstill", "version": versions()["potstill"], "extensions": []})

    @api.get("/v2/health/live", summary="Open Inference: whether the process answers.")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @api.get(
        "/v2/health/ready",
        summary="Open Inference: whether requests should be sent here.",
        responses={503: {"description": "Not now.", "model": dict[str, bool]}},
    )
    async def ready() -> Response:
        found = service.ready()
        return reply({"ready": found}, status=200 if found else 503)

    async def metadata(name: str, version: str = VERSION) -> Response:
        return reply(_metadata(name, model_of(name, version)))

    async def model_ready(name: str, version: str = VERSION) -> Response:
        model_of(name, version)
        found = service.state == "serving" and service.batcher.healthy(name)
        return reply({"name": name, "ready": found}, status=200 if found else 503)

    async def infer(request: Request, name: str, version: str = VERSION) -> Response:
        model = model_of(name, version)
        try:
            call: InferCall = await parse(request, InferCall)
            asked = _asked(model, call)
            wanted = _wanted(model, call)
            with service.admitted(name):
                found, times = await service.answer(
                    name, lambda: model.plans(asked), None, request.receive
                )
        except Refusal as refusal:
            if refusal.status == 422:  # the protocol's status for what is wrong with a request
                raise Refusal(400, str(refusal), field=refusal.field) from None
            raise
        rows, _ = model.shape(asked, found)
        outputs = [_output(name, model, rows, call.inputs[0].shape) for name in wanted]
        said = {"model_name": name, "model_version": VERSION, "outputs": outputs}
        given = {} if call.id is None else {"id": call.id}
        return reply({**said, **given}, headers=times.headers())

    known = errors(401, 404, 421, 503, model=PlainErrorOut)
    not_now = {503: {"description": "Not now.", "model": dict[str, Any]}}
    asking = errors(400, 401, 404, 408, 413, 415, 421, 424, 429, 500, 503, 504, model=PlainErrorOut)
    for path, tail in (("/v2/models/{name}", ""), ("/v2/models/{name}/versions/{version}", " of")):
        of = "a version" if tail else "a model"
        api.add_api_route(
            path,
            metadata,
            summary=f"Open Inference: the inputs and outputs of {of}.",
            responses={200: {"model": ModelOut}, **known},
        )
        api.add_api_route(
            f"{path}/ready",
            model_ready,
            summary=f"Open Inference: whether {of} answers.",
            responses={**known, **not_now},
        )
        api.add_api_route(
            f"{path}/infer",
            infer,
            methods=["POST"],
            summary=f"Open Inference: texts in, answers of {of} out.",
            responses={200: {"model": InferOut}, **asking},
            openapi_extra=takes(InferCall),
        )


def _metadata(name: str, model: Served[Any, Any]) -> dict[str, Any]:
    inputs = [{"name": one, "datatype": _BYTES, "shape": [-1]} for one in model.texts]
    outputs = [
        {"name": one, "datatype": column.datatype, "shape": [-1] * (1 + column.many)}
        for one, column in model.columns.items()
    ]
    facts = {"name": name, "versions": [VERSION], "platform": _PLATFORM}
    return {**facts, "inputs": inputs, "outputs": outputs}


def _asked(model: Served[Any, Any], call: InferCall) -> Any:
    """The call of the model's task that tensors stand for."""
    parameters = {k: v for k, v in (call.parameters or {}).items() if not _is_off(k, v)}
    columns: dict[str, list[str]] = {}
    for number, tensor in enumerate(call.inputs):
        field = f"inputs.{number}"
        if tensor.name not in model.texts or tensor.name in columns:
            again = "is there twice" if tensor.name in columns else "is no input of the model"
            raise _refuse(f"{field}.name", f"{tensor.name!r:.80} {again}: {_names(model.texts)}")
        columns[tensor.name] = _strings(tensor, field)
    for name, needed in model.texts.items():
        if needed and name not in columns:
            raise _refuse("inputs", f"{name} is missing: {_names(model.texts)}")
    n = {len(values) for values in columns.values()}
    if len(n) > 1:
        raise _refuse("inputs", "tensors differ in their number of texts")
    model.check_count(n.pop())
    items = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    asked = validate(model.schema, {"inputs": items, "parameters": parameters or None})
    model.check_tensors(asked)
    return asked


def _wanted(model: Served[Any, Any], call: InferCall) -> Sequence[str]:
    """Names of the outputs that are asked for, in their order."""
    if call.outputs is None:
        return list(model.columns)
    for number, output in enumerate(call.outputs):
        field = f"outputs.{number}"
        if output.name not in model.columns:
            raise _refuse(
                f"{field}.name",
                f"{output.name!r:.80} is no output of the model: {_names(model.columns)}",
            )
        _check_parameters(output, field)
    return list(dict.fromkeys(output.name for output in call.outputs))


def _strings(tensor: InferInput, field: str) -> list[str]:
    """A tensor's texts.

    Raises:
        Refusal: it is no tensor of strings, or not of the shape that it says.
    """
    if tensor.datatype != _BYTES:
        raise _refuse(f"{field}.datatype", f"{tensor.datatype!r:.40}: texts are {_BYTES}")
    _check_parameters(tensor, field)
    shape = tensor.shape
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise _refuse(f"{field}.shape", f"{str(shape)[:80]}: a tensor of texts is [n] or [n, 1]")
    found = list(_flat(tensor.data, len(shape)))
    if len(found) != shape[0]:
        raise _refuse(f"{field}.data", f"holds {len(found)} texts, and shape says {shape[0]}")
    for i, text in enumerate(found):
        if not isinstance(text, str):
            raise _refuse(f"{field}.data.{i}", f"{type(text).__name__} is no string")
    return found


def _flat(data: Sequence[Any], rank: int) -> Iterator[Any]:
    """The elements of a tensor, which may come flat or nested as its shape is."""
    for one in data:
        if rank > 1 and isinstance(one, list):
            yield from one
        else:
            yield one


def _check_parameters(tensor: InferInput | InferOutput, field: str) -> None:
    for name, value in (tensor.parameters or {}).items():
        if _is_off(name, value) or (name, value) == ("content_type", "str"):
            continue
        why = "tensors are JSON here: switch binary data off" if name in _BINARY else "is not known"
        raise _refuse(f"{field}.parameters.{name:.80}", why)


def _is_off(name: str, value: Any) -> bool:
    return name in _BINARY and value is False


def _output(
    name: str, model: Served[Any, Any], rows: Sequence[Any], like: Sequence[int]
) -> dict[str, Any]:
    """An output of as many rows as ``like``, the shape of the inputs."""
    column = model.columns[name]
    values = [column.of(row) for row in rows]
    data = [one for row in values for one in row] if column.many else values
    tail = [len(values[0])] if column.many else list(like[1:])
    return {
        "name": name,
        "shape": [len(rows), *tail],
        "datatype": column.datatype,
        "data": data,
    }


def _names(names: Mapping[str, Any]) -> str:
    return f"there are {', '.join(names)}"


def _refuse(field: str, why: str) -> Refusal:
    return Refusal(400, f"{field}: {why}", field=field)
