"""Question answering over HTTP, in the shape of Hugging Face's task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, ClassVar

import numpy as np

from potstill.bundle.heads import QA_OUTPUTS
from potstill.errors import InputError, PotstillError
from potstill.runtime.asking import PreparedContext, Request
from potstill.runtime.opening import Opening
from potstill.runtime.pipeline_inputs import cut_question
from potstill.runtime.pipelines import read_options, results_of
from potstill.runtime.plans import Outputs, Plan
from potstill.runtime.qa import QAClient
from potstill.runtime.reading import QuestionLogits, Reading, ReadOptions, plan
from potstill.serving.cache import ContextCache
from potstill.serving.faults import Refusal, refusal_of
from potstill.serving.options import Limits
from potstill.serving.schemas import ExplainCall, QuestionCall, QuestionInput, QuestionParameters
from potstill.serving.served import Column, Facts, Served
from potstill.text.windows import split


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What was found for one question."""

    reading: Reading
    cut: bool
    """Whether the question was longer than ``max_question_len``."""


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What was found for one question, and what the model said of every token."""

    reading: Reading
    offsets: Any
    """Code-point range of each token of the context, ``[n, 2]``."""
    starts: Any
    """Probability that an answer begins with each token, ``[n]``."""
    ends: Any
    """The same of its end."""


class ServedReader(Served[QuestionCall, QAClient]):
    """A question-answering model."""

    task = "question-answering"
    schema = QuestionCall
    outputs = QA_OUTPUTS
    texts: ClassVar = {"question": True, "context": True}
    columns: ClassVar = {
        "answer": Column("BYTES", itemgetter("answer")),
        "score": Column("FP64", itemgetter("score")),
        "start": Column("INT64", itemgetter("start")),
        "end": Column("INT64", itemgetter("end")),
    }

    def __init__(self, facts: Facts, limits: Limits, cache: ContextCache, opening: Opening) -> None:
        client = QAClient.from_options(facts.folder, **opening)
        super().__init__(facts, limits, cache, client)

    @property
    def seq_len(self) -> int:
        return self.facts.config.max_positions

    def plans(self, call: QuestionCall) -> Iterable[Plan[_Found]]:
        items = call.inputs if isinstance(call.inputs, list) else [call.inputs]
        self.check_count(len(items))
        self.check_texts(text for item in items for text in (item.question, item.context))
        parameters = call.parameters or QuestionParameters()
        options = self._options(parameters)
        many = isinstance(call.inputs, list)
        return self.gather(
            self._plan(item, f"inputs.{i}" if many else "inputs", parameters, options)
            for i, item in enumerate(items)
        )

    def shape(self, call: QuestionCall, found: Sequence[_Found]) -> tuple[Any, int]:
        parameters = call.parameters or QuestionParameters()
        results = [self._result(one.reading, parameters) for one in found]
        n_cut = sum(one.cut for one in found)
        return (results if isinstance(call.inputs, list) else results[0]), n_cut

    def check_tensors(self, call: QuestionCall) -> None:
        if call.parameters and call.parameters.top_k > 1:
            raise Refusal(
                422,
                "parameters.top_k: tensors hold one answer each; POST / gives several",
                field="parameters.top_k",
            )

    def explain(self, call: ExplainCall) -> Plan[Explained]:
        """The plan of a question of which everything is to be shown."""
        parameters = call.parameters or QuestionParameters()
        options = self._options(parameters)
        request, _ = self._request(call.inputs, "inputs", parameters)
        inner = self._windows(request, options)

        def finish(said: Sequence[Outputs]) -> Explained:
            logits = inner.finish(said)
            starts, ends = _heat(logits, options.temperature)
            offsets = request.contexts[0].encoded.offsets
            return Explained(logits.search(options), offsets, starts, ends)

        return Plan(inner.rows, finish)

    def _options(self, parameters: QuestionParameters) -> ReadOptions:
        own = self.client.options
        longest = self.facts.config.max_positions
        if (parameters.max_seq_len or 0) > longest:
            raise refusal_of(
                InputError(f"parameters.max_seq_len: the model has {longest} positions"),
                "parameters.max_seq_len",
            )
        # The model may have been trained to say "no answer": whoever asks for it gets it as one.
        return replace(own, **read_options(parameters.model_dump(), own))

    def _plan(
        self, item: QuestionInput, field: str, parameters: QuestionParameters, options: ReadOptions
    ) -> Plan[_Found]:
        request, cut = self._request(item, field, parameters)
        inner = self._windows(request, options, field)

        def finish(said: Sequence[Outputs]) -> _Found:
            return _Found(inner.finish(said).search(options), cut)

        return Plan(inner.rows, finish)

    def _request(
        self, item: QuestionInput, field: str, parameters: QuestionParameters
    ) -> tuple[Request, bool]:
        self.check_text(item.question, f"{field}.question")
        self.check_text(item.context, f"{field}.context")
        question = item.question
        if parameters.max_question_len is not None:
            question = cut_question(self.client.tokenizer, question, parameters.max_question_len)
        try:
            context = self.cache.get(self.facts.name, item.context, self._prepare)
            request = self.client.request(question, context)
        except PotstillError as error:
            raise refusal_of(error, field) from None
        return request, len(question) < len(item.question)

    def _prepare(self, text: str) -> PreparedContext:
        return self.client.prepare(text)

    def contexts(self, passages: str | list[str], field: str, beside: str) -> list[PreparedContext]:
        """The passages of a call, tokenized; ``beside``: what else there is to read.

        Raises:
            Refusal: one of them cannot be used, or there are none or too many.
        """
        texts = [passages] if isinstance(passages, str) else passages
        self.check_count(len(texts), field)
        self.check_texts((beside, *texts), field)
        found: list[PreparedContext] = []
        for i, text in enumerate(texts):
            own = field if isinstance(passages, str) else f"{field}.{i}"
            self.check_text(text, own)
            try:
                found.append(self.cache.get(self.facts.name, text, self._prepare))
            except PotstillError as error:
                raise refusal_of(error, own) from None
        return found

    def asked(self, question: str, contexts: Sequence[PreparedContext]) -> Request:
        """A question of several contexts."""
        return self.client.request(question, contexts)

    def counted_plan(self, request: Request, options: ReadOptions) -> Plan[QuestionLogits]:
        """The plan of a request that takes no more windows than one may.

        Counted before rows are made: short windows of a long context can be very many.
        """
        n = 0
        for context in request.contexts:
            n += len(
                split(
                    len(request.question),
                    len(context),
                    seq_len=options.seq_len,
                    stride=options.stride,
                    layout=self.client.tokenizer.layout,
                )
            )
            self.check_windows(n)
        return plan(self.client.tokenizer, request, options)

    def _windows(
        self, request: Request, options: ReadOptions, field: str = "inputs"
    ) -> Plan[QuestionLogits]:
        try:
            return self.counted_plan(request, options)
        except InputError as error:
            raise refusal_of(error, f"{field}.question") from None

    @staticmethod
    def _result(reading: Reading, parameters: QuestionParameters) -> Any:
        answers = results_of(reading, parameters.handle_impossible_answer)[: parameters.top_k]
        if parameters.top_k > 1:
            return answers
        return answers[0] if answers else {"score": 0.0, "start": 0, "end": 0, "answer": ""}


def _heat(logits: QuestionLogits, temperature: float) -> tuple[Any, Any]:
    """Probability of each token of the context to begin and to end an answer, ``[n]`` each.

    A token that several windows hold counts with the highest of its logits.
    """
    n = len(logits.request.contexts[0])
    found: list[Any] = []
    for name in ("start", "end"):
        best = np.full(n, -np.inf, np.float64)
        for window in logits.windows:
            values = getattr(window, name)
            part = best[window.at : window.at + len(values)]
            np.maximum(part, values, out=part)
        mass = np.exp((best - best.max()) / temperature)
        found.append(mass / mass.sum())
    return found[0], found[1]
