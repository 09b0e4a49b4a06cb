"""The HTTP app: paths, and what stands behind each."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from potstill.serving import files, open_inference, passages, schemas, tensors
from potstill.serving.faults import Refusal, error_body
from potstill.serving.gate import Entrance
from potstill.serving.http import ASKING, LIGHT, errors, parse, reply, takes, validate
from potstill.serving.qa import Explained, ServedReader
from potstill.serving.schemas import ExplainCall, QuestionCall, TextCall, TokenizeCall
from potstill.serving.served import Served
from potstill.serving.service import Disconnected, Service, Times, versions
from potstill.serving.tensor_schemas import InferCall

STATIC = Path(__file__).parent / "static"
_BODIES: tuple[type[BaseModel], ...] = (
    QuestionCall,
    TextCall,
    ExplainCall,
    TokenizeCall,
    schemas.AskCall,
    schemas.HighlightCall,
    schemas.PruneCall,
    schemas.CiteCall,
    schemas.TensorCall,
    InferCall,
)
_ABOUT = """Extractive question answering, text and token classification over HTTP.

`POST /` takes Hugging Face's task shape, so that `InferenceClient(base_url)` works unchanged.
Offsets count code points. Errors have one shape, `{"error": {"status", "kind", "message"}}`.
"""


def ask(service: Service, task: str | None = None) -> Any:
    """The endpoint that asks a model in Hugging Face's shape.

    Args:
        service: to ask.
        task: refuse models of others.
    """

    async def endpoint(request: Request) -> Response:
        values = await parse(request)
        name = values.get("model")
        if name is not None and not isinstance(name, str):
            raise Refusal(422, "model: must be a string", field="model")
        model = service.model(name)
        if task is not None and model.task != task:
            raise Refusal(404, f"the model {model.facts.name} is for {model.task}", field="model")
        inputs = values.get("inputs")
        if isinstance(inputs, list):  # counted before any of them is looked at
            model.check_count(len(inputs))
        call = validate(model.schema, values)
        with service.admitted(model.facts.name):
            found, times = await service.answer(
                model.facts.name,
                lambda: model.plans(call),
                call.timeout_ms,
                request.receive,
                light=len(await request.body()) <= LIGHT,
            )
            result, n_cut = model.shape(call, found)
        cut = {"x-truncated": str(n_cut)} if n_cut else {}
        return reply(result, headers={**times.headers(), **cut})

    return endpoint


def create_app(service: Service) -> Any:
    """The whole app: an ASGI callable, whose ``api`` is the `FastAPI` behind the gate."""
    api = FastAPI(
        title="Potstill",
        version=versions()["potstill"],
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
    )
    _add_asking(api, service)
    _add_texts(api, service)
    _add_state(api, service)
    _add_pages(api)
    passages.add_paths(api, service)
    tensors.add_paths(api, service)
    open_inference.add_paths(api, service)
    api.add_exception_handler(Refusal, _refused)
    api.add_exception_handler(HTTPException, _http_error)
    api.add_exception_handler(RequestValidationError, _invalid)
    app: Any = Shortcut(api)
    origins = service.options.origins
    if origins:
        app = CORSMiddleware(
            app,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-request-id"],
            expose_headers=["x-request-id", "x-queue-time", "x-inference-time", "retry-after"],
        )
    api.openapi = lambda: openapi(api)
    gate: Any = Entrance(app, service)
    gate.api = api
    return gate


class Shortcut:
    """The way past the router for what is asked most: POST to a path without parameters.

    Those endpoints take a `Request` and give a `Response`; the router, and what it wraps around
    each call, would do nothing for them.
    """

    def __init__(self, api: FastAPI) -> None:
        self._api: Any = api
        self._routes = {
            route.path: route
            for route in api.routes
            if isinstance(route, APIRoute) and route.methods == {"POST"} and "{" not in route.path
        }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answers one request."""
        asked = scope["type"] == "http" and scope["method"] == "POST" and not scope["root_path"]
        route = self._routes.get(scope["path"]) if asked else None
        if route is None:
            await self._api(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive)
        try:
            response = await route.endpoint(request)
        except Refusal as refusal:
            response = await _refused(request, refusal)
        await response(scope, receive, send)


def openapi(api: FastAPI) -> dict[str, Any]:
    """The description of the API; bodies are read by hand, so their schemas are added here."""
    if api.openapi_schema:
        return api.openapi_schema
    made = get_openapi(
        title=api.title, version=api.version, description=api.description, routes=api.routes
    )
    _, bodies = models_json_schema(
        [(model, "validation") for model in _BODIES], ref_template="#/components/schemas/{model}"
    )
    made["components"]["schemas"] |= bodies["$defs"]
    made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    api.openapi_schema = made
    return made


def _add_asking(api: FastAPI, service: Service) -> None:
    qa_out = schemas.AnswerOut | list[schemas.AnswerOut] | list[list[schemas.AnswerOut]]
    text_out = (
        list[list[schemas.LabelOut]] | list[schemas.EntityOut] | list[list[schemas.EntityOut]]
    )
    paths: tuple[tuple[str, str | None, Any, tuple[type[BaseModel], ...], str], ...] = (
        ("/", None, qa_out | text_out, (QuestionCall, TextCall), "Ask the model, of any task."),
        ("/question-answering", ServedReader.task, qa_out, (QuestionCall,), "Answer questions."),
        ("/predict", None, qa_out | text_out, (TextCall, QuestionCall), "Label texts."),
    )
    for path, task, out, bodies, about in paths:
        api.add_api_route(
            path,
            ask(service, task),
            methods=["POST"],
            name=path.strip("/") or "ask",
            summary=about,
            responses={200: {"model": out}, **ASKING},
            openapi_extra=takes(*bodies),
        )

    @api.post(
        "/explain",
        summary="Answer one question, and show what the model said of every token.",
        responses={200: {"model": schemas.ExplainOut}, **ASKING},
        openapi_extra=takes(ExplainCall),
    )
    async def explain(request: Request) -> Response:
        call: ExplainCall = await parse(request, ExplainCall)
        model = service.model(call.model)
        if not isinstance(model, ServedReader):
            raise Refusal(404, f"the model {model.facts.name} is for {model.task}", field="model")
        with service.admitted(model.facts.name):
            found, times = await service.answer(
                model.facts.name,
                lambda: [model.explain(call)],
                call.timeout_ms,
                request.receive,
            )
        return reply(_explained(model, call, found[0], times), headers=times.headers())


def _add_texts(api: FastAPI, service: Service) -> None:
    @api.post(
        "/tokenize",
        summary="The tokens of a text, as the model sees it.",
        responses={
            200: {"model": schemas.TokenizeOut},
            **errors(400, 401, 404, 408, 413, 415, 421, 422, 500, 503),
        },
        openapi_extra=takes(TokenizeCall),
    )
    async def tokenize(request: Request) -> Response:
        call: TokenizeCall = await parse(request, TokenizeCall)
        model = service.model(call.model)
        model.check_text(call.inputs, "inputs")
        tokenizer = model.client.tokenizer

        def tokens() -> bytes:
            encoded = tokenizer.encode(call.inputs)
            ids = encoded.ids.tolist()
            offsets = encoded.offsets.tolist()
            return to_json({"ids": ids, "tokens": tokenizer.tokens(ids), "offsets": offsets})

        short = len(call.inputs) <= LIGHT
        return Response(
            tokens() if short else await asyncio.to_thread(tokens), media_type="application/json"
        )

    reader = files.FileReader(service.options.limits.max_context)
    service.closing.append(reader.close)
    file = {"schema": {"type": "string", "format": "binary"}}
    name = {"name": "name", "in": "query", "schema": {"type": "string"}}

    @api.post(
        files.PATH,
        summary="The text of a file: PDF, DOCX, HTML, EPUB, mail, tables and others.",
        responses={
            200: {"model": schemas.TextOut},
            **errors(401, 408, 413, 415, 421, 422, 429, 500, 503),
        },
        openapi_extra={
            "parameters": [{**name, "description": "Of the file: its end tells the format."}],
            "requestBody": {"required": True, "content": dict.fromkeys(files.KINDS, file)},
        },
    )
    async def text(request: Request) -> Response:
        kind = request.headers.get("content-type", files.PDF).partition(";")[0].strip().lower()
        named = "file.pdf" if kind == files.PDF else request.query_params.get("name", "file")
        data = await request.body()
        with service.counted():
            try:
                return reply(await reader.read(data, named, request.receive))
            except Disconnected:
                service.metrics.dropped.labels("disconnect").inc()
                raise


def _explained(
    model: Served[Any, Any], call: ExplainCall, found: Explained, times: Times
) -> dict[str, Any]:
    null = call.parameters is not None and call.parameters.handle_impossible_answer
    reading = found.reading
    tokens = zip(found.offsets.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True)
    return {
        "answers": [answer.to_dict() for answer in reading.spans],
        "null_score": reading.null_score if null else None,
        "tokens": [
            {"start": start, "end": end, "p_start": p, "p_end": q} for (start, end), p, q in tokens
        ],
        "windows": reading.n_read,
        "milliseconds": {
            "prepare": 1000 * times.prepare,
            "queue": 1000 * times.queue,
            "inference": 1000 * times.inference,
        },
        "model": model.facts.name,
    }


def _add_state(api: FastAPI, service: Service) -> None:
    @api.get("/live", summary="Whether the process answers.")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @api.get(
        "/ready",
        summary="Whether requests should be sent here.",
        responses={503: {"description": "Not now.", "model": dict[str, Any]}},
    )
    async def ready() -> Response:
        found = service.ready()
        headers = {} if found else {"retry-after": "1"}
        return reply({"ready": found, "state": service.state},
                     status=200 if found else 503, headers=headers)  # fmt: skip

    @api.get(
        "/health",
        summary="As /ready, with each model's state.",
        responses={503: {"description": "Not ready.", "model": dict[str, Any]}},
    )
    async def health() -> Response:
        found = service.health()
        return reply(found, status=200 if found["ready"] else 503)

    @api.get("/info", summary="Models, limits and versions.", responses=errors(401, 421))
    async def info() -> Response:
        return reply(service.info())

    @api.get(
        "/metrics",
        summary="Counters, in Prometheus's format.",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}, **errors(401, 421)},
    )
    async def metrics() -> Response:
        return Response(service.metrics.render(), headers={"content-type": CONTENT_TYPE_LATEST})


def _add_pages(api: FastAPI) -> None:
    @api.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @api.get("/docs", include_in_schema=False)
    async def docs() -> FileResponse:
        return FileResponse(STATIC / "docs.html")

    api.mount("/static", StaticFiles(directory=STATIC), name="static")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return reply(error.body(request.url.path), status=error.status, headers=error.headers())


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    body = error_body(error.status_code, f"{request.method} {path}: {error.detail}", path=path)
    return reply(body, status=error.status_code, headers=error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    path = request.url.path
    return reply(error_body(422, f"{name}: {first['msg']}", name, path=path), status=422)
