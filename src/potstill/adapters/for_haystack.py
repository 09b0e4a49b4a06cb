# pyright: reportMissingImports=false, reportUntypedClassDecorator=false
# pyright: reportUntypedFunctionDecorator=false
# (haystack is the user's own, and no dependency of ours)
"""The reader that left haystack's core, as a component for its pipelines.

Parameters and results are those of ``ExtractiveReader`` of haystack 2 where both have them. What
differs: scores are of one distribution over all documents of a query, not of each by itself; and
there is no answer that stands for "none" beside the others: where none is the best, the list is
empty.
"""

from __future__ import annotations

from typing import Any

from haystack import Document, ExtractedAnswer, component, default_from_dict, default_to_dict

from potstill.runtime.qa import QAClient


@component
class ExtractiveReader:
    """Finds the words in documents that answer a query.

    Examples:
        >>> reader = ExtractiveReader(top_k=1)
        >>> reader.run(query="Who won?", documents=[Document(content="The Broncos won.")])
    """

    def __init__(
        self,
        model: str = "default",
        top_k: int = 20,
        score_threshold: float | None = None,
        max_seq_length: int | None = None,
        stride: int | None = None,
        no_answer: bool | None = None,
        threads: int | None = None,
    ) -> None:
        """Keeps the settings; the model is opened by `warm_up` or the first `run`.

        Args:
            model: ``"default"`` (the embedded model), a model folder or a hub id.
            top_k: most answers to a query.
            score_threshold: answers below it are left out.
            max_seq_length: longest window in tokens; by default the model's own.
            stride: tokens that neighbouring windows share; by default the model's own.
            no_answer: whether "no answer" may win; by default as the model was trained.
            threads: by default one for each core.
        """
        self.model = model
        self.top_k = top_k
        self.score_threshold = score_threshold
        self.max_seq_length = max_seq_length
        self.stride = stride
        self.no_answer = no_answer
        self.threads = threads
        self._client: QAClient | None = None

    def to_dict(self) -> dict[str, Any]:
        """The settings, for a pipeline's YAML."""
        settings = {k: v for k, v in vars(self).items() if not k.startswith("_")}
        return default_to_dict(self, **settings)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ExtractiveReader:
        """The reader of a pipeline's YAML."""
        return default_from_dict(cls, data)

    def warm_up(self) -> None:
        """Opens the model.

        Raises:
            ModelError: there is no such model, or it answers no questions.
        """
        if self._client is None:
            self._client = QAClient.from_options(
                self.model, seq_len=self.max_seq_length, stride=self.stride, threads=self.threads
            )

    @component.output_types(answers=list[ExtractedAnswer])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
        no_answer: bool | None = None,
    ) -> dict[str, list[ExtractedAnswer]]:
        """Answers a query from documents.

        Args:
            query: the question.
            documents: those without text are passed over.
            top_k: see the class, and so are the next two.
            score_threshold: see the class.
            no_answer: see the class.

        Returns:
            ``answers``, best first: each with its text (``data``), score, document, and place in
            the document's content, half-open, in code points.

        Raises:
            InputError: the query is empty or too long.
        """
        self.warm_up()
        assert self._client is not None
        kept = [document for document in documents if (document.content or "").strip()]
        if not kept:
            return {"answers": []}
        reading = self._client.read(
            query,
            [document.content for document in kept],
            top_k=self.top_k if top_k is None else top_k,
            no_answer=self.no_answer if no_answer is None else no_answer,
        )
        least = self.score_threshold if score_threshold is None else score_threshold
        return {
            "answers": [
                ExtractedAnswer(
                    query=query,
                    score=answer.score,
                    data=answer.text,
                    document=kept[answer.source],
                    document_offset=ExtractedAnswer.Span(answer.start, answer.end),
                )
                for answer in reading.answers
                if least is None or answer.score >= least
            ]
        }


@component
class SentencePruner:
    """Keeps of documents the sentences that are worth most for a query, word for word.

    Examples:
        >>> pruner = SentencePruner(tokens=300)
        >>> pruner.run(query="Who won?", documents=[Document(content="Denver won.")])
    """

    def __init__(
        self, model: str = "default", tokens: int | None = None, threads: int | None = None
    ) -> None:
        """Keeps the settings; the model is opened by `warm_up` or the first `run`.

        Args:
            model: ``"default"`` (the embedded model), a model folder or a hub id.
            tokens: most tokens that are kept; by default as `QAClient.prune` has it.
            threads: by default one for each core.
        """
        self.model = model
        self.tokens = tokens
        self.threads = threads
        self._client: QAClient | None = None

    def to_dict(self) -> dict[str, Any]:
        """The settings, for a pipeline's YAML."""
        settings = {k: v for k, v in vars(self).items() if not k.startswith("_")}
        return default_to_dict(self, **settings)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SentencePruner:
        """The component of a pipeline's YAML."""
        return default_from_dict(cls, data)

    def warm_up(self) -> None:
        """Opens the model.

        Raises:
            ModelError: there is no such model, or it answers no questions.
        """
        if self._client is None:
            self._client = QAClient.from_options(self.model, threads=self.threads)

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], tokens: int | None = None
    ) -> dict[str, list[Document]]:
        """Prunes documents for a query.

        Args:
            query: the question.
            documents: those without text are left out.
            tokens: see the class.

        Returns:
            ``documents`` of which something is kept, in their order; ``meta["kept"]`` has score and
            offsets of each sentence in the document's content.

        Raises:
            InputError: the query is empty or too long.
        """
        self.warm_up()
        assert self._client is not None
        given = [document for document in documents if (document.content or "").strip()]
        if not given:
            return {"documents": []}
        texts = [document.content or "" for document in given]
        budget = self.tokens if tokens is None else tokens
        kept = self._client.prune(query, texts, tokens=budget)
        found: list[Document] = []
        for number, document in enumerate(given):
            own = [one for one in kept if one.source == number]
            if own:
                places = [{"start": o.start, "end": o.end, "score": o.score} for o in own]
                text = " ".join(one.text for one in own)
                meta = {**document.meta, "kept": places}
                found.append(Document(content=text, meta=meta, score=document.score))
        return {"documents": found}
