"""Masked language modelling: all of it but how it is trained."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import ModelConfig
from potstill.data.text import documents
from potstill.runtime.lm import Filler
from potstill.runtime.plans import Outputs, Plan, Row
from potstill.tasks.task import Card, Evaluated, Loaded, Scores, Task
from potstill.text.tokenizer import Encoded, Tokenizer

_PARAGRAPHS = 400
"""Paragraphs that a model is measured on: about 6,000 hidden tokens of an encyclopedia."""
_FIRST, _EVERY = 3, 7
"""Of each paragraph the tokens 3, 10, 17, … are hidden: a seventh, as in training."""


class MaskedLanguageModelling(Task[Filler]):
    """Fills in masked words."""

    head = "mlm"
    client = Filler
    trained = "potstill.training.lm.training:LMTraining"
    recipes = (
        "potstill.training.recipe.lm:LMRecipe",
        "potstill.training.recipe.lm:LMDistilRecipe",
    )
    verb = "fill", "TEXT WITH [MASK]"
    does = "fill in masked words"
    pipeline = "fill-mask", "potstill.runtime.token_pipelines:FillMaskPipeline"
    aliases = ("masked-lm",)
    shown = False
    card = Card(
        auto="AutoModelForMaskedLM",
        tags=("potstill", "fill-mask", "masked-lm"),
        does="that fills in masked words",
        code=(
            "from potstill import Filler",
            "",
            'filler = Filler.from_options("path/to/this/folder")',
            'filler.fill("The capital of France is [MASK].")',
        ),
        limits="It gives what is usual in its training text, true or not, and repeats the bias of "
        "that text. It is meant to be fine-tuned.",
        metrics=(),
    )

    def read(self, path: str | Path, model: Path | None, columns: Mapping[str, Any]) -> Loaded:
        """Paragraphs of plain text, the first 400."""
        every = (paragraph for document in documents(path) for paragraph in document.paragraphs)
        return Loaded(examples=list(itertools.islice(every, _PARAGRAPHS)))

    def answer(
        self, client: Filler, examples: Sequence[str], **given: Any
    ) -> Iterable[tuple[int, int]]:
        """Of each paragraph, how many hidden tokens were found again, and how many were hidden."""

        def plans(first: int, chunk: list[str]) -> list[Plan[tuple[int, int]]]:
            encoded = client.tokenizer.encode_batch(chunk)
            return [_plan(client, one) for one in encoded]

        return client.many("answer", examples, plans)

    def score(self, evaluated: Evaluated[Filler]) -> Scores:
        right, total = (sum(column) for column in zip(*evaluated.answers, strict=True))
        return {"accuracy": 100.0 * right / max(1, total), "total": total}

    def metric(self, loaded: Loaded) -> str:
        return "accuracy"

    def main_score(self, config: ModelConfig) -> str:
        return "mlm_loss"

    def item(self, client: Filler, text: str) -> str:
        return f"{client.mask} {text}"

    def extra_tokens(self, tokenizer: Tokenizer) -> int:
        return 3

    def ask(self, client: Filler, items: Sequence[str]) -> Sequence[Any]:
        return client.fill_many(items)


def _plan(client: Filler, encoded: Encoded) -> Plan[tuple[int, int]]:
    tokenizer = client.tokenizer
    inner = encoded.ids[: client.options.seq_len - 2]
    ids: npt.NDArray[np.int64] = np.concatenate(
        [[tokenizer.cls_id], inner, [tokenizer.sep_id]]
    ).astype(np.int64)
    hidden = np.arange(1 + _FIRST, len(ids) - 1, _EVERY)
    shown = ids.copy()
    shown[hidden] = tokenizer.mask_id

    def finish(said: Sequence[Outputs]) -> tuple[int, int]:
        ((logits,),) = said
        return int((logits[hidden].argmax(axis=-1) == ids[hidden]).sum()), len(hidden)

    return Plan([Row(shown, len(shown))], finish)
