"""`QAClient`: questions and contexts in, answers out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, overload

from potstill.bundle.config import read_config
from potstill.bundle.layout import find_model
from potstill.bundle.manifest import Manifest, read_manifest
from potstill.errors import InputError, ModelError
from potstill.records import Answer
from potstill.runtime.asking import Context, Contexts, Pair, PreparedContext, prepare, requests
from potstill.runtime.many import each
from potstill.runtime.opening import Opened, Workers, open_model
from potstill.runtime.plans import Plan, run_plans
from potstill.runtime.reading import QuestionLogits, Reading, ReadOptions, plan, search_all
from potstill.runtime.session import Session
from potstill.text.tokenizer import Tokenizer

_OPTIONS = frozenset(field.name for field in fields(ReadOptions))


class QAClient:
    """Answers questions from texts with one model. Safe to share between threads.

    Examples:
        >>> reader = QAClient.from_options()
        >>> reader.predict("Who won?", "The Broncos won.").text
        'The Broncos'
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        session: Session,
        options: ReadOptions | None = None,
        *,
        workers: int = 1,
    ) -> None:
        """Puts a client together from its parts; most callers want `from_options`."""
        self.tokenizer = tokenizer
        self.session = session
        self.workers = workers
        self.opened: Opened | None = None
        """How it was opened, by `from_options`."""
        self.options = _checked(options or ReadOptions())

    @classmethod
    def from_options(
        cls,
        model: str | Path = "default",
        *,
        revision: str | None = None,
        precision: Literal["fp32", "fp16", "int8"] | None = None,
        onnx_file: str | Path | None = None,
        threads: int | None = None,
        runtime: str | None = None,
        workers: Workers = None,
        seq_len: int | None = None,
        stride: int | None = None,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        null_threshold: float | None = None,
        temperature: float | None = None,
        token_budget: int | None = None,
    ) -> QAClient:
        """Opens a model.

        Args:
            model: ``"default"`` or ``"small"`` (the embedded readers), a model folder or a hub id.
            revision: branch, tag or commit of a hub id.
            precision: which of the folder's ONNX files to run; by default the one it has, and
                where it has none a float32 file is written into the cache on first use.
            onnx_file: run this file instead of the folder's own.
            threads: threads of one question; by default one for each core.
            runtime: what runs the model, one of `potstill.runtime.runtimes.RUNTIMES`; ``"auto"``
                for the quickest here, which is measured once and remembered; by default what
                ``POTSTILL_RUNTIME`` says, or onnxruntime.
            workers: runs at the same time, of calls that read many texts; ``"auto"`` for as many
                as read most, and then ``threads`` too are chosen where they are not given.
            seq_len: longest window in tokens; by default the manifest's, or 384, but never more
                than the model has positions.
            stride: tokens that consecutive windows of a long context share; by default the
                manifest's, or 128.
            max_answer_tokens: longest answer in tokens; by default the manifest's, or 30.
            no_answer: whether "no answer" competes with the spans; by default as the model was
                trained.
            null_threshold: "no answer" wins where its logit exceeds the best span's by more than
                this; by default the manifest's, or 0.
            temperature: scores are probabilities of the logits divided by this, which changes no
                answer; by default what the model was calibrated to, or 1.
            token_budget: most tokens of one batch of windows, padding included.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is no question-answering model.
            InputError: an option is out of range, or there is no such runtime.
            MissingExtraError: the runtime is not installed.
        """
        folder = find_model(model, revision=revision)
        manifest = read_manifest(folder) or Manifest()
        if manifest.task != "question-answering":
            raise ModelError(f"{folder} was trained for {manifest.task}, not question answering")
        max_positions = read_config(folder).max_positions
        if seq_len is not None and seq_len > max_positions:
            raise InputError(
                f"seq_len {seq_len} is more than the {max_positions} positions of {folder}"
            )
        given = {
            "seq_len": seq_len,
            "stride": stride,
            "max_answer_tokens": max_answer_tokens,
            "no_answer": no_answer,
            "null_threshold": null_threshold,
            "temperature": temperature,
            "token_budget": token_budget,
        }
        options = ReadOptions(
            seq_len=min(manifest.seq_len, max_positions),
            stride=manifest.stride,
            max_answer_tokens=manifest.max_answer_tokens,
            no_answer=manifest.no_answer,
            null_threshold=manifest.null_threshold,
            temperature=manifest.calibration.get("temperature", 1.0),
        )
        options = _checked(_updated(options, given))
        tokenizer = Tokenizer.from_folder(folder)
        opened = open_model(
            folder,
            tokenizer,
            manifest,
            head="qa",
            longest=options.seq_len,
            precision=precision,
            onnx_file=onnx_file,
            runtime=runtime,
            threads=threads,
            workers=workers,
        )
        options = replace(
            options,
            batch_of_one=opened.alone,
            token_budget=opened.token_budget(token_budget) or options.token_budget,
        )
        client = cls(tokenizer, opened.session, options, workers=opened.layout.workers)
        client.opened = opened
        return client

    def prepare(self, context: str) -> PreparedContext:
        """Tokenizes a context once, to be asked many questions.

        Raises:
            EmptyInputError: the context holds no text.
        """
        return prepare(self.tokenizer, context)

    @overload
    def predict(
        self,
        question: str,
        context: Contexts,
        *,
        top_k: Literal[1] = 1,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        align_to_words: bool | None = None,
    ) -> Answer | None: ...
    @overload
    def predict(
        self,
        question: str,
        context: Contexts,
        *,
        top_k: int,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        align_to_words: bool | None = None,
    ) -> list[Answer]: ...
    @overload
    def predict(
        self,
        question: list[str] | tuple[str, ...],
        context: Context,
        *,
        top_k: Literal[1] = 1,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        align_to_words: bool | None = None,
    ) -> list[Answer | None]: ...
    @overload
    def predict(
        self,
        question: list[str] | tuple[str, ...],
        context: Context,
        *,
        top_k: int,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        align_to_words: bool | None = None,
    ) -> list[list[Answer]]: ...
    def predict(
        self,
        question: str | list[str] | tuple[str, ...],
        context: Contexts,
        *,
        top_k: int = 1,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        align_to_words: bool | None = None,
    ) -> Any:
        """Answers a question from a context, or from several.

        Several contexts are one body of text: their answers share one distribution, and
        ``Answer.source`` says which context each comes from. Several questions are asked of one
        context each by itself. For pairs, or many questions of several contexts, see
        `predict_many`.

        Args:
            question: a question, or a list of them.
            context: a text, a prepared context, or a list of either.
            top_k: most answers to return; they never overlap.
            max_answer_tokens: longest answer in tokens; by default as the client was opened.
            no_answer: whether "no answer" competes; by default as the client was opened.
            align_to_words: widen answers to whole words.

        Returns:
            An `Answer`, or ``None`` where there is none. With ``top_k`` above 1 a list of answers,
            best first, empty where there is none. For a list of questions a list of these.

        Raises:
            EmptyInputError: a question or context holds no text.
            QuestionTooLongError: a question leaves no room for context in a window.
        """
        options: dict[str, Any] = {
            "top_k": top_k,
            "max_answer_tokens": max_answer_tokens,
            "no_answer": no_answer,
            "align_to_words": align_to_words,
        }
        if isinstance(question, str):
            return self.predict_many([(question, context)], **options)[0]
        if not isinstance(context, (str, PreparedContext)):
            raise InputError(
                "a list of questions goes with one context: pass pairs to predict_many instead"
            )
        if not question:
            return []
        shared = self.prepare(context) if isinstance(context, str) else context
        return self.predict_many([(one, shared) for one in question], **options)

    def predict_many(
        self,
        pairs: Iterable[Pair],
        *,
        top_k: int = 1,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        align_to_words: bool | None = None,
        workers: int | None = None,
    ) -> list[Any]:
        """Answers many (question, context) pairs; each context may itself be a list.

        Args:
            pairs: the questions and what each is asked of.
            top_k: as for `predict`, and so are the next three.
            max_answer_tokens: see `predict`.
            no_answer: see `predict`.
            align_to_words: see `predict`.
            workers: threads that read different questions at the same time; by default as the
                client was opened. On a CPU as many workers as cores, with ``threads=1``, answer
                more questions a second than one.

        Returns:
            For each pair what `predict` returns for it.

        Raises:
            EmptyInputError: a question or context holds no text.
            QuestionTooLongError: a question leaves no room for context in a window.
        """
        readings = self.read_many(
            pairs,
            workers=workers,
            top_k=top_k,
            max_answer_tokens=max_answer_tokens,
            no_answer=no_answer,
            align_to_words=align_to_words,
        )
        if top_k > 1:
            return [reading.answers for reading in readings]
        return [next(iter(reading.answers), None) for reading in readings]

    def read(self, question: str, context: Contexts, **options: Any) -> Reading:
        """As `predict`, with all that was found; see `read_many` for the options."""
        return next(self.read_many([(question, context)], **options))

    def read_many(
        self, pairs: Iterable[Pair], *, workers: int | None = None, **options: Any
    ) -> Iterator[Reading]:
        """Reads many pairs and yields what was found for each, in order, as it is found.

        ``pairs`` may be an endless stream: only a few hundred are held at a time.

        Args:
            pairs: questions and what each is asked of, as for `predict_many`.
            workers: threads that read different questions at the same time; by default as the
                client was opened.
            **options: any of `ReadOptions` for this call, instead of the client's own; ``None``
                means the client's own.

        Raises:
            InputError: an option is unknown or out of range.
            EmptyInputError: a question or context holds no text.
            QuestionTooLongError: a question leaves no room for context in a window.
        """
        chosen = _checked(_updated(self.options, options))

        def run(plans: Sequence[Plan[QuestionLogits]]) -> list[Reading]:
            return search_all(self._run(plans, chosen), chosen)

        workers = self.workers if workers is None else workers
        return each(
            partial(self._plans, chosen),
            run,
            pairs,
            workers=workers,
        )

    def logits_many(
        self, pairs: Iterable[Pair], *, workers: int | None = None, **options: Any
    ) -> Iterator[QuestionLogits]:
        """As `read_many`, before the search: the model runs once, and its logits are kept.

        ``said.search(options)`` then gives what `read_many` would have given.
        """
        chosen = _checked(_updated(self.options, options))

        def run(plans: Sequence[Plan[QuestionLogits]]) -> list[QuestionLogits]:
            return self._run(plans, chosen)

        workers = self.workers if workers is None else workers
        return each(
            partial(self._plans, chosen),
            run,
            pairs,
            workers=workers,
        )

    def _plans(
        self, options: ReadOptions, first: int, pairs: list[Pair]
    ) -> list[Plan[QuestionLogits]]:
        asked = requests(self.tokenizer, first, pairs)
        return [plan(self.tokenizer, request, options) for request in asked]

    def _run(
        self, plans: Sequence[Plan[QuestionLogits]], options: ReadOptions
    ) -> list[QuestionLogits]:
        return run_plans(
            self.session,
            plans,
            pad_id=self.tokenizer.pad_id,
            layout=self.tokenizer.layout,
            token_budget=0 if options.batch_of_one else options.token_budget,
        )


def _updated(options: ReadOptions, given: dict[str, Any]) -> ReadOptions:
    unknown = given.keys() - _OPTIONS
    if unknown:
        raise InputError(f"there is no option {', '.join(sorted(unknown))}")
    other = {k: v for k, v in given.items() if v is not None and v != getattr(options, k)}
    return replace(options, **other) if other else options


def _checked(options: ReadOptions) -> ReadOptions:
    for name in ("seq_len", "max_answer_tokens", "top_k", "token_budget", "max_windows"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"{name} must be at least 1, not {value}")
    if options.stride < 0:
        raise InputError(f"stride must not be negative, not {options.stride}")
    if not 0 < options.temperature < math.inf:
        raise InputError(f"temperature must be a number above 0, not {options.temperature}")
    return options
