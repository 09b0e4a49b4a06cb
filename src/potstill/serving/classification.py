"""Text classification over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from potstill.bundle.heads import LOGITS
from potstill.records import Classification
from potstill.runtime.classification import Classifier, TextLogits
from potstill.runtime.opening import Opening
from potstill.runtime.plans import Outputs, Plan
from potstill.serving.cache import ContextCache
from potstill.serving.faults import Refusal
from potstill.serving.options import Limits
from potstill.serving.schemas import PairInput, TextCall, texts_of
from potstill.serving.served import Column, Facts, Served


class ServedClassifier(Served[TextCall, Classifier]):
    """A model that gives texts, or pairs of texts, their labels."""

    task = "text-classification"
    schema = TextCall
    outputs = LOGITS
    texts: ClassVar = {"text": True, "text_pair": False}
    columns: ClassVar = {
        "label": Column("BYTES", lambda found: [one["label"] for one in found], many=True),
        "score": Column("FP64", lambda found: [one["score"] for one in found], many=True),
    }

    def __init__(self, facts: Facts, limits: Limits, cache: ContextCache, opening: Opening) -> None:
        client = Classifier.from_options(facts.folder, **opening)
        super().__init__(facts, limits, cache, client)

    def plans(self, call: TextCall) -> Iterable[Plan[Classification]]:
        many = isinstance(call.inputs, list)
        items = call.inputs if isinstance(call.inputs, list) else [call.inputs]
        self.check_count(len(items))
        self.check_texts(text for item in items for text in texts_of(item))
        if call.parameters and call.parameters.aggregation_strategy:
            raise Refusal(
                422,
                "parameters.aggregation_strategy is of token classification",
                field="parameters.aggregation_strategy",
            )
        return self.gather(
            self._plan(item, f"inputs.{i}" if many else "inputs") for i, item in enumerate(items)
        )

    def _plan(self, item: str | PairInput, field: str) -> Plan[Classification]:
        first = item if isinstance(item, str) else item.text
        second = None if isinstance(item, str) else item.text_pair
        self.check_text(first, field)
        if second is not None:
            self.check_text(second, f"{field}.text_pair")
        inner: Plan[TextLogits] = self.client.plan(first if second is None else (first, second))

        def finish(said: Sequence[Outputs]) -> Classification:
            return self.client.judge(inner.finish(said))

        return Plan(inner.rows, finish)

    def shape(self, call: TextCall, found: Sequence[Classification]) -> tuple[Any, int]:
        """A list of labels for each text: one text too gets a list of one, as on the hub."""
        top_k = call.parameters.top_k if call.parameters else None
        results = [
            [{"label": label.label, "score": label.score} for label in one.labels[:top_k]]
            for one in found
        ]
        return results, sum(one.truncated for one in found)
