"""`QAClient`: questions and contexts in, answers out."""

from __future__ import annotations

import itertools
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, overload

from potstill.bundle.config import read_config
from potstill.bundle.layout import ONNX_FILES, find_model, onnx_file
from potstill.bundle.manifest import Manifest, read_manifest
from potstill.bundle.names import HeadName
from potstill.errors import InputError, ModelError, ModelNotFoundError
from potstill.records import Answer
from potstill.runtime.asking import Context, Contexts, Pair, PreparedContext, prepare, requests
from potstill.runtime.reading import QuestionLogits, Reading, ReadOptions, read, read_logits
from potstill.runtime.session import OnnxSession, Session
from potstill.text.tokenizer import Tokenizer

_Chunk: TypeAlias = "tuple[int, list[Pair]]"
"""Consecutive pairs, and the number of the first of them."""

_Found = TypeVar("_Found")

_CHUNK = 64
"""Requests of `QAClient.read_many` that are tokenized, sorted by length and run together."""


class QAClient:
    """Answers questions from texts with one model. Safe to share between threads.

    Examples:
        >>> reader = QAClient.from_options()
        >>> reader.predict("Who won?", "The Broncos won.").text
        'The Broncos'
    """

    def __init__(
        self, tokenizer: Tokenizer, session: Session, options: ReadOptions | None = None
    ) -> None:
        """Puts a client together from its parts; most callers want `from_options`."""
        self.tokenizer = tokenizer
        self.session = session
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
            model: ``"default"`` (the embedded model), a model folder or a hub id.
            revision: branch, tag or commit of a hub id.
            precision: which of the folder's ONNX files to run; by default the one it has, and
                where it has none a float32 file is written into the cache on first use.
            onnx_file: run this file instead of the folder's own.
            threads: threads of one question; by default one for each core.
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
            InputError: an option is out of range.
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
        file = _find_file(folder, precision, onnx_file)
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
            batch_of_one=_batch_of_one(manifest, folder, file),
        )
        options = _checked(_updated(options, given))
        return cls(Tokenizer.from_folder(folder), OnnxSession(file, threads=threads), options)

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
        workers: int = 1,
    ) -> list[Any]:
        """Answers many (question, context) pairs; each context may itself be a list.

        Args:
            pairs: the questions and what each is asked of.
            top_k: as for `predict`, and so are the next three.
            max_answer_tokens: see `predict`.
            no_answer: see `predict`.
            align_to_words: see `predict`.
            workers: threads that read different questions at the same time. On a CPU as many
                workers as cores, with ``threads=1``, answer more questions a second than one.

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
        self, pairs: Iterable[Pair], *, workers: int = 1, **options: Any
    ) -> Iterator[Reading]:
        """Reads many pairs and yields what was found for each, in order, as it is found.

        ``pairs`` may be an endless stream: only a few hundred are held at a time.

        Args:
            pairs: questions and what each is asked of, as for `predict_many`.
            workers: threads that read different questions at the same time.
            **options: any of `ReadOptions` for this call, instead of the client's own; ``None``
                means the client's own.

        Raises:
            InputError: an option is unknown or out of range.
            EmptyInputError: a question or context holds no text.
            QuestionTooLongError: a question leaves no room for context in a window.
        """
        chosen = _checked(_updated(self.options, options))

        def answer(chunk: _Chunk) -> list[Reading]:
            return read(self.session, self.tokenizer, requests(self.tokenizer, *chunk), chosen)

        return _each(answer, pairs, workers)

    def logits_many(
        self, pairs: Iterable[Pair], *, workers: int = 1, **options: Any
    ) -> Iterator[QuestionLogits]:
        """As `read_many`, before the search: the model runs once, and its logits are kept.

        ``said.search(options)`` then gives what `read_many` would have given.
        """
        chosen = _checked(_updated(self.options, options))

        def say(chunk: _Chunk) -> list[QuestionLogits]:
            asked = requests(self.tokenizer, *chunk)
            return read_logits(self.session, self.tokenizer, asked, chosen)

        return _each(say, pairs, workers)


def _each(
    work: Callable[[_Chunk], list[_Found]], pairs: Iterable[Pair], workers: int
) -> Iterator[_Found]:
    """What ``work`` finds for each pair, in order; ``pairs`` may be an endless stream."""
    if workers < 1:
        raise InputError(f"workers must be at least 1, not {workers}")
    chunks = _chunks(pairs)
    if workers == 1:
        return itertools.chain.from_iterable(work(chunk) for chunk in chunks)
    return _each_parallel(work, chunks, workers)


def _each_parallel(
    work: Callable[[_Chunk], list[_Found]], chunks: Iterable[_Chunk], workers: int
) -> Iterator[_Found]:
    with ThreadPoolExecutor(workers) as pool:
        running: deque[Future[list[_Found]]] = deque()
        try:
            for chunk in chunks:
                running.append(pool.submit(work, chunk))
                if len(running) > 2 * workers:
                    yield from running.popleft().result()
            while running:
                yield from running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def _find_file(
    folder: Path,
    precision: str | None,
    given: str | Path | None,
    head: HeadName | None = None,
) -> Path:
    if given is not None:
        return Path(given)
    if precision is None:
        # Imported late: only a folder without an ONNX file needs what it imports.
        from potstill.bundle.cache import ensure_onnx

        return ensure_onnx(folder, head=head)
    if precision not in ONNX_FILES:
        raise InputError(f"precision {precision!r} is none of {', '.join(ONNX_FILES)}")
    file = onnx_file(folder, precision)
    if file is None:
        raise ModelNotFoundError(
            f"{folder} has no {ONNX_FILES[precision]}: write one with "
            f"`potstill export {folder} OUT --format {precision}`"
        )
    return file


def _batch_of_one(manifest: Manifest, folder: Path, file: Path) -> bool:
    name = os.path.relpath(file, folder).replace(os.sep, "/")
    record = manifest.files.get(name)
    return record is not None and record.batch_of_one


def _updated(options: ReadOptions, given: dict[str, Any]) -> ReadOptions:
    unknown = given.keys() - {field.name for field in fields(ReadOptions)}
    if unknown:
        raise InputError(f"there is no option {', '.join(sorted(unknown))}")
    return replace(options, **{k: v for k, v in given.items() if v is not None})


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


def _chunks(pairs: Iterable[Pair]) -> Iterator[_Chunk]:
    iterator = iter(pairs)
    first = 0
    while chunk := list(itertools.islice(iterator, _CHUNK)):
        yield first, chunk
        first += len(chunk)
