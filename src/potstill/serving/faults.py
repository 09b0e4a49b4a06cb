"""What a service answers where it cannot do what was asked: one JSON shape, one table of statuses.

::

    {"error": {"status": 422, "kind": "invalid", "message": "…", "field": "parameters.top_k"}}
"""

from __future__ import annotations

import math
from typing import Any

from potstill.errors import EmptyInputError, InputError, ModelError, PotstillError

KINDS = {
    400: ("bad-request", "the body is not JSON, or a question, context or text is empty"),
    401: ("unauthorized", "the bearer token is missing or wrong"),
    404: ("not-found", "there is no such path or model"),
    405: ("method-not-allowed", "the path does not take this method"),
    408: ("too-slow", "the body did not arrive in time"),
    413: ("too-large", "the body, a text or the number of items is above the limit"),
    415: (
        "unsupported-media-type",
        "the body is of another type than the path takes, or compressed",
    ),
    421: ("wrong-host", "the header Host has a name that is not the server's"),
    422: ("invalid", "a field has a wrong value; `field` names it"),
    424: ("model-failed", "the model could not be run on this input"),
    429: ("overloaded", "the queue is full; Retry-After says when to try again"),
    500: ("internal", "an error of the server; the log has it under the request's id"),
    503: ("unavailable", "loading, draining or unhealthy; Retry-After says when to try again"),
    504: ("deadline", "the answer was not ready before the request's deadline"),
}
"""Status → kind, and when it is given."""


class Refusal(PotstillError):
    """A request that gets an error for an answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.retry_after_s = retry_after_s

    def body(self, path: str) -> dict[str, Any]:
        """The JSON of the answer to a request for ``path``."""
        return error_body(self.status, str(self), self.field, path=path)

    def headers(self) -> dict[str, str]:
        """Headers that go with it."""
        headers: dict[str, str] = {}
        if self.retry_after_s is not None:
            headers["retry-after"] = str(max(1, math.ceil(self.retry_after_s)))
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return headers


def error_body(
    status: int, message: str, field: str | None = None, *, path: str = "/"
) -> dict[str, Any]:
    """The one shape of errors; under ``/v2`` that of the Open Inference Protocol."""
    if path == "/v2" or path.startswith("/v2/"):
        return {"error": message}
    kind = KINDS.get(status, ("error", ""))[0]
    error: dict[str, Any] = {"status": status, "kind": kind, "message": message}
    if field is not None:
        error["field"] = field
    return {"error": error}


def refusal_of(error: PotstillError, field: str | None = None) -> Refusal:
    """The refusal that an error of the rooms below stands for."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, EmptyInputError):
        return Refusal(400, str(error), field=field)
    if isinstance(error, InputError):
        return Refusal(422, str(error), field=field)
    if isinstance(error, ModelError):
        return Refusal(424, str(error))
    return Refusal(500, str(error))
