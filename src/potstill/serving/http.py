"""What every path does alike: bodies in, JSON out, and what OpenAPI is told of both."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json

from potstill.serving import schemas
from potstill.serving.bodies import FREE, too_many_parts
from potstill.serving.faults import KINDS, Refusal


def errors(
    *statuses: int, model: type[BaseModel] = schemas.ErrorOut
) -> dict[int | str, dict[str, Any]]:
    """What a path may answer beside 200, for OpenAPI."""
    return {status: {"model": model, "description": KINDS[status][1]} for status in statuses}


LIGHT = 4096
"""Bytes of a body whose texts are tokenized where it was read: in about a millisecond at most."""
ASKING = errors(400, 401, 404, 408, 413, 415, 421, 422, 424, 429, 500, 503, 504)


def takes(*models: type[BaseModel]) -> dict[str, Any]:
    """The body of a path, for OpenAPI."""
    refs = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    schema = refs[0] if len(refs) == 1 else {"anyOf": refs}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def parse(request: Request, schema: type[BaseModel] | None = None) -> Any:
    """The body as JSON, or as a model.

    Raises:
        Refusal: 400 where it is no JSON object, 413 where it holds more than is read, 422 where a
            field is wrong.
    """
    body = await request.body()
    if len(body) <= FREE:
        return _parsed(body, schema)
    # Not on the loop: others, probes among them, must not wait for a large body.
    return await asyncio.to_thread(_parsed, body, schema)


def _parsed(body: bytes, schema: type[BaseModel] | None) -> Any:
    reason = too_many_parts(body)
    if reason:
        raise Refusal(413, f"{reason}: send less at a time", field="body")
    try:
        values = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(400, f"the body is not JSON that can be read: {error!s:.200}") from None
    if not isinstance(values, dict):
        raise Refusal(400, f"the body is a {type(values).__name__}: send a JSON object")
    return values if schema is None else validate(schema, values)


def validate(schema: type[BaseModel], values: Any) -> Any:
    """Values as a model.

    Raises:
        Refusal: 422, naming the field that is wrong.
    """
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise schemas.invalid(error) from None


def reply(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON."""
    return Response(to_json(value), status, headers, "application/json")
