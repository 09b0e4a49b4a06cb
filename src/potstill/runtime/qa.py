"""`QAClient`: questions and contexts in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from potstill.bundle.config import ModelConfig
from potstill.bundle.manifest import Manifest
from potstill.errors import InputError
from potstill.records import Answer, Sentence
from potstill.runtime.asking import (
    Context,
    Contexts,
    Pair,
    PreparedContext,
    Request,
    prepare,
    requests,
)
from potstill.runtime.client import Client
from potstill.runtime.opening import Opening
from potstill.runtime.plans import Plan
from potstill.runtime.reading import QuestionLogits, Reading, ReadOptions, plan, search_all

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from potstill.runtime.highlighting import Support


class QAClient(Client[ReadOptions]):
    """Answers questions from texts with one model. Safe to share between threads.

    Examples:
        >>> reader = QAClient.from_options()
        >>> reader.predict("Who won?", "The Broncos won.").text
        'The Broncos'
    """

    head = "qa"

    @classmethod
    def from_options(
        cls,
        model: str | Path = "default",
        *,
        seq_len: int | None = None,
        stride: int | None = None,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        null_threshold: float | None = None,
        temperature: float | None = None,
        **opening: Unpack[Opening],
    ) -> QAClient:
        """Opens a model.

        Args:
            model: ``"default"``, ``"small"`` or ``"tiny"`` (the embedded readers), a model
                folder or a hub id.
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
            **opening: what every client takes; see `Opening`.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is no question-answering model.
            InputError: an option is out of range, or there is no such runtime; or a null threshold
                is given where "no answer" does not compete.
            MissingExtraError: the runtime is not installed.
        """
        given = {
            "seq_len": seq_len,
            "stride": stride,
            "max_answer_tokens": max_answer_tokens,
            "no_answer": no_answer,
            "null_threshold": null_threshold,
            "temperature": temperature,
        }
        client = cls._open(model, given, opening)
        if null_threshold is not None and not client.options.no_answer:
            raise InputError(
                f"null_threshold is given, but {model} was not trained to say that there is no "
                'answer: omit it, or let "no answer" compete all the same with no_answer=True'
            )
        return client

    @classmethod
    def own_options(cls, config: ModelConfig, manifest: Manifest | None) -> ReadOptions:
        manifest = manifest or Manifest()
        return ReadOptions(
            seq_len=min(manifest.seq_len, config.max_positions),
            stride=manifest.stride,
            max_answer_tokens=manifest.max_answer_tokens,
            no_answer=manifest.no_answer,
            null_threshold=manifest.null_threshold,
            temperature=manifest.calibration.get("temperature", 1.0),
            tidy_questions=manifest.tidy_questions,
        )

    def prepare(self, context: str) -> PreparedContext:
        """Tokenizes a context once, to be asked many questions.

        Raises:
            EmptyInputError: the context holds no text.
        """
        return prepare(self.tokenizer, context)

    def request(self, question: str, context: Contexts) -> Request:
        """A question and what it is asked of, tokenized, for `potstill.runtime.reading.plan`.

        Raises:
            InputError: the question or a context is not a string.
            EmptyInputError: the question or a context holds no text.
        """
        tidy = self.options.tidy_questions
        return requests(self.tokenizer, [(question, context)], tidy=tidy)[0]

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

    @overload
    def predict_many(
        self,
        pairs: Iterable[Pair],
        *,
        top_k: Literal[1] = 1,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        align_to_words: bool | None = None,
        workers: int | None = None,
    ) -> list[Answer | None]: ...
    @overload
    def predict_many(
        self,
        pairs: Iterable[Pair],
        *,
        top_k: int,
        max_answer_tokens: int | None = None,
        no_answer: bool | None = None,
        align_to_words: bool | None = None,
        workers: int | None = None,
    ) -> list[list[Answer]]: ...
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
        given = {"top_k": top_k, "max_answer_tokens": max_answer_tokens}
        chosen = self.options_with(
            {**given, "no_answer": no_answer, "align_to_words": align_to_words}
        )
        search = partial(search_all, options=chosen)
        readings = self._many("predict_many", pairs, chosen, workers, search)
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
        chosen = self.options_with(options)
        return self._many("read_many", pairs, chosen, workers, partial(search_all, options=chosen))

    def logits_many(
        self, pairs: Iterable[Pair], *, workers: int | None = None, **options: Any
    ) -> Iterator[QuestionLogits]:
        """As `read_many`, before the search: `search` gives the readings of what is found here."""
        chosen = self.options_with(options)
        return self._many("logits_many", pairs, chosen, workers)

    def highlight(
        self, question: str, passages: Contexts, *, top_k: int | None = None
    ) -> list[Sentence]:
        """The sentences of passages, those that answer a question first.

        A sentence's score is the probability that the answer begins in it.

        Args:
            question: to answer.
            passages: a text, a prepared context, or a list of either.
            top_k: most sentences; all by default.

        Raises:
            EmptyInputError: the question or a passage holds no text.
            QuestionTooLongError: the question leaves no room for a passage.
        """
        from potstill.runtime.highlighting import highlight

        return highlight(self, question, passages, top_k=top_k)

    def prune(
        self,
        question: str,
        passages: Contexts,
        *,
        tokens: int | None = None,
        enough: float | None = None,
    ) -> list[Sentence]:
        """The sentences of passages that are worth keeping for a question, in their order.

        Args:
            question: to answer.
            passages: a text, a prepared context, or a list of either.
            tokens: most tokens to keep; without it as few sentences as have scores that add up to
                ``enough``.
            enough: share of the probability that is kept, by default
                `potstill.runtime.highlighting.ENOUGH`.

        Raises:
            InputError: an option is out of range.
            EmptyInputError: the question or a passage holds no text.
            QuestionTooLongError: the question leaves no room for a passage.
        """
        from potstill.runtime.highlighting import ENOUGH, prune

        share = ENOUGH if enough is None else enough
        return prune(self, question, passages, tokens=tokens, enough=share)

    def cite(self, answer: str, passages: Contexts, *, top_k: int = 1) -> list[Support]:
        """For each sentence of an answer, made by whomever, the sentences of passages that say so.

        Args:
            answer: what was said.
            passages: a text, a prepared context, or a list of either.
            top_k: most sentences for each of the answer's.

        Raises:
            EmptyInputError: the answer or a passage holds no text.
        """
        from potstill.runtime.highlighting import cite

        return cite(self, answer, passages, top_k=top_k)

    def search(self, said: QuestionLogits, **options: Any) -> Reading:
        """Finds the answers in what `logits_many` gave; options as there."""
        return said.search(self.options.updated(options))

    def _many(
        self,
        call: str,
        pairs: Iterable[Pair],
        options: ReadOptions,
        workers: int | None,
        finish: Callable[[list[QuestionLogits]], list[Any]] | None = None,
    ) -> Iterator[Any]:
        def plans(first: int, chunk: list[Pair]) -> list[Plan[QuestionLogits]]:
            asked = requests(self.tokenizer, chunk, first=first, tidy=options.tidy_questions)
            return [plan(self.tokenizer, request, options) for request in asked]

        budget = options.token_budget
        return self.many(call, pairs, plans, workers=workers, finish=finish, token_budget=budget)
