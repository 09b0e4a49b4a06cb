# pyright: reportMissingImports=false, reportUntypedBaseClass=false
# (txtai is the user's own, and no dependency of ours)
"""Potstill's reader where txtai takes its ``Questions`` pipeline: by itself, or under ``RAG``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from txtai.pipeline import Questions as TxtaiQuestions

from potstill.runtime.qa import QAClient


class Questions(TxtaiQuestions):
    """Answers questions from contexts, one context each.

    txtai's own cuts a long context off at the model's length and takes the best start and the best
    end each by itself; this reads all of it in windows and takes the best span.

    Examples:
        >>> questions = Questions()
        >>> questions(["Who won?"], ["The Broncos won."])
        ['The Broncos']
        >>> rag = RAG(embeddings, questions)
    """

    def __init__(self, path: str | None = None, minscore: float = 0.05, **options: Any) -> None:
        """Opens a model. What txtai's own does, which loads torch's, is not called.

        Args:
            path: ``"default"`` (the embedded model), a model folder or a hub id.
            minscore: answers below it are ``None``.
            options: of `QAClient.from_options`.

        Raises:
            ModelError: there is no such model, or it answers no questions.
        """
        self.minscore = minscore
        self.client = QAClient.from_options(path or "default", **options)

    def __call__(
        self, questions: Sequence[str], contexts: Sequence[str], **kwargs: Any
    ) -> list[str | None]:
        """Answers each question from the context of the same number.

        Args:
            questions: an empty one is answered with ``None``.
            contexts: an empty one answers nothing.
            kwargs: not used, as in txtai's own.

        Returns:
            The answers' texts; ``None`` where there is none, or its score is below ``minscore``.

        Raises:
            InputError: a question is too long.
        """
        pairs = list(zip(questions, contexts, strict=True))
        asked = [i for i, (q, c) in enumerate(pairs) if (q or "").strip() and (c or "").strip()]
        found = self.client.predict_many(pairs[i] for i in asked)
        answers: list[str | None] = [None] * len(pairs)
        for i, answer in zip(asked, found, strict=True):
            if answer and answer.score >= self.minscore:
                answers[i] = answer.text
        return answers
