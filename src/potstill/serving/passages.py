"""Questions of many passages: those that a request brings, or the documents of an index.

The same as `QAClient.highlight`, `prune` and `cite`, and as `Index.ask`: the rows of all of them
pass through the batches of the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from fastapi import FastAPI, Request, Response

from potstill.errors import PotstillError
from potstill.records import Sentence
from potstill.retrieval import highlighting
from potstill.retrieval.asking import WINDOWS, Citation, answer_plan
from potstill.runtime.asking import Request as Asked
from potstill.runtime.highlighting import ENOUGH, Having, Plans, Support
from potstill.runtime.plans import Plan
from potstill.serving import schemas
from potstill.serving.documents import Documents, SentCache, SentDocuments
from potstill.serving.faults import Refusal, refusal_of
from potstill.serving.http import ASKING, parse, reply, takes
from potstill.serving.qa import ServedReader
from potstill.serving.schemas import AskCall, CiteCall, HighlightCall, PruneCall
from potstill.serving.service import Service
from potstill.text.sentences import sentences
from potstill.text.tokenizer import Encoded

PlanOf: TypeAlias = "Callable[[Asked], Plan[list[Sentence]]]"


def add_paths(api: FastAPI, service: Service) -> None:
    """Adds ``/ask``, ``/highlight``, ``/prune`` and ``/cite`` to the app."""
    paths: tuple[tuple[str, type[Any], Any, Any, str], ...] = (
        (
            "/ask",
            AskCall,
            list[schemas.CitationOut],
            _ask,
            "Answer a question from the server's documents, or from some that are sent.",
        ),
        (
            "/highlight",
            HighlightCall,
            list[schemas.SentenceOut],
            _highlight,
            "The sentences of passages, or of the index, that answer a question, best first.",
        ),
        (
            "/prune",
            PruneCall,
            list[schemas.SentenceOut],
            _prune,
            "The sentences that are worth keeping for a question, in their order.",
        ),
        (
            "/cite",
            CiteCall,
            list[schemas.ClaimOut],
            _cite,
            "For each sentence of an answer the sentences that support it.",
        ),
    )
    for path, schema, out, plans, about in paths:
        api.add_api_route(
            path,
            _endpoint(service, schema, plans),
            methods=["POST"],
            name=path.strip("/"),
            summary=about,
            responses={200: {"model": out}, **ASKING},
            openapi_extra=takes(schema),
        )


def _endpoint(
    service: Service, schema: type[Any], plans: Callable[..., Iterable[Plan[Any]]]
) -> Any:
    async def endpoint(request: Request) -> Response:
        call = await parse(request, schema)
        model = service.model(call.model)
        if not isinstance(model, ServedReader):
            raise Refusal(404, f"the model {model.facts.name} is for {model.task}", field="model")
        documents = service.documents
        passages = getattr(call, "passages", None)
        sent = getattr(call, "documents", None)
        if passages is None and sent is None and documents is None:
            what = "documents" if schema is AskCall else "passages"
            raise Refusal(
                404, f"the server has no index: start it with --index DIR, or send {what}"
            )
        if passages is not None and call.windows is not None:
            raise Refusal(
                422, "windows: is of the server's documents, not of passages", field="windows"
            )
        with service.admitted(model.facts.name):
            found, times = await service.answer(
                model.facts.name,
                lambda: plans(model, call, documents if sent is None else service.sent),
                call.timeout_ms,
                request.receive,
            )
        result = found if schema is CiteCall else found[0]
        return reply(result, headers=times.headers())

    return endpoint


def _ask(model: ServedReader, call: AskCall, documents: Documents | SentCache) -> list[Plan[Any]]:
    model.check_text(call.question, "question")
    _check_windows(model, call)
    asked = documents if isinstance(documents, Documents) else _sent(model, call, documents)
    hits, pieces = asked.likely(call.question, model.client, call.windows or WINDOWS)
    options = {"no_answer": call.no_answer, "max_answer_tokens": call.max_answer_tokens}
    try:
        found = answer_plan(
            model.client,
            call.question,
            hits,
            model.counted_plan,
            pieces=pieces,
            top_k=call.top_k,
            **options,
        )
    except PotstillError as error:
        raise refusal_of(error, "question") from None
    return [found.then(_citations)]


def _sent(model: ServedReader, call: AskCall, cache: SentCache) -> SentDocuments:
    """The documents that a call brings.

    Raises:
        Refusal: one of them is empty, they are too long alone or together, or two have one name.
    """
    texts = [(one.name, one.text) for one in call.documents or ()]
    if not texts:
        raise Refusal(400, "documents is an empty list: give at least one", field="documents")
    # A name before each: to index equal texts takes as long as others.
    model.check_texts((f"{i}{text}" for i, (_, text) in enumerate(texts)), "documents")
    names: set[str] = set()
    for i, (name, text) in enumerate(texts):
        model.check_text(text, f"documents.{i}.text")
        if name in names:
            field = f"documents.{i}.name"
            raise Refusal(422, f"{field}: another document is called {name!r}, too", field=field)
        names.add(name)
    return cache.get(texts)


def _citations(found: Sequence[Citation]) -> list[dict[str, Any]]:
    return [
        {**one.to_dict(), "passage": one.passage, "passage_start": one.passage_start}
        for one in found
    ]


def _highlight(
    model: ServedReader, call: HighlightCall, documents: Documents | None
) -> list[Plan[list[dict[str, Any]]]]:
    found = _sentences(model, call, documents, _plans(model).highlight)
    return [found.then(lambda said: said[: call.top_k])]


def _prune(
    model: ServedReader, call: PruneCall, documents: Documents | None
) -> list[Plan[list[dict[str, Any]]]]:
    enough = ENOUGH if call.enough is None else call.enough
    plan_of = partial(_plans(model).prune, tokens=call.tokens, enough=enough)
    return [_sentences(model, call, documents, plan_of)]


def _sentences(
    model: ServedReader,
    call: HighlightCall | PruneCall,
    documents: Documents | None,
    plan_of: PlanOf,
) -> Plan[list[dict[str, Any]]]:
    """The plan of what is found for a question, as JSON has it."""
    model.check_text(call.question, "question")
    try:
        if call.passages is not None:
            contexts = model.contexts(call.passages, "passages", call.question)
            request = model.asked(call.question, contexts)
            return plan_of(request).then(lambda said: [one.to_dict() for one in said])
        assert documents is not None
        _check_windows(model, call)
        hits = documents.search(call.question, model.client, call.windows or WINDOWS)
        placed = highlighting.placed_plan(model.client, call.question, hits, plan_of)
    except PotstillError as error:
        raise refusal_of(error, "question") from None
    return placed.then(lambda found: [one.to_dict("text") for one in found])


def _cite(
    model: ServedReader, call: CiteCall, documents: Documents | None
) -> Iterator[Plan[dict[str, Any]]]:
    model.check_text(call.answer, "answer")
    spans = list(sentences(call.answer))
    most = model.limits.max_items
    if len(spans) > most:
        raise Refusal(
            413, f"the answer has {len(spans)} sentences; the limit is {most}", field="answer"
        )
    plans = _plans(model)
    try:
        if call.passages is not None:
            contexts = model.contexts(call.passages, "passages", call.answer)
            having = Having(model.client.tokenizer, contexts)
            yield from model.gather(_support(call, span, having, plans) for span in spans)
            return
        assert documents is not None
        _check_windows(model, call, len(spans))
        known: dict[str, Encoded] = {}
        yield from model.gather(
            _claim(model, call, span, documents, plans, known) for span in spans
        )
    except PotstillError as error:
        raise refusal_of(error, "answer") from None


def _support(
    call: CiteCall, span: tuple[int, int], having: Having, plans: Plans
) -> Plan[dict[str, Any]]:
    said = call.answer[slice(*span)]
    return plans.support(said, having, top_k=call.top_k).then(
        lambda found: Support(said, *span, tuple(found)).to_dict()
    )


def _claim(
    model: ServedReader,
    call: CiteCall,
    span: tuple[int, int],
    documents: Documents,
    plans: Plans,
    known: dict[str, Encoded],
) -> Plan[dict[str, Any]]:
    said = call.answer[slice(*span)]
    hits = documents.search(said, model.client, call.windows or WINDOWS, known)
    pieces = [known[hit.text] for hit in hits]
    found = highlighting.claim_plan(
        model.client, call.answer, span, hits, plans, top_k=call.top_k, pieces=pieces
    )
    return found.then(highlighting.Claim.to_dict)


def _check_windows(
    model: ServedReader, call: AskCall | HighlightCall | PruneCall | CiteCall, n: int = 1
) -> None:
    """Refuses more passages of documents, for ``n`` questions, than a request may look at."""
    wanted = n * (call.windows or WINDOWS)
    most = max(model.limits.max_windows, model.limits.max_items * WINDOWS)
    if wanted > most:
        raise Refusal(
            413,
            f"windows: {wanted} passages of documents would be looked at; the limit is {most}",
            field="windows",
        )


def _plans(model: ServedReader) -> Plans:
    return Plans(model.client.tokenizer, model.client.options, model.counted_plan)
