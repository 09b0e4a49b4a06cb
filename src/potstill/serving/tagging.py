"""Token classification over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from pydantic_core import to_json

from potstill.bundle.heads import LOGITS
from potstill.records import Entity
from potstill.runtime.opening import Opening
from potstill.runtime.plans import Plan
from potstill.runtime.tagging import Tagger
from potstill.serving.cache import ContextCache
from potstill.serving.faults import Refusal
from potstill.serving.options import Limits
from potstill.serving.schemas import PairInput, TextCall, TextParameters, texts_of
from potstill.serving.served import Column, Facts, Served


class ServedTagger(Served[TextCall, Tagger]):
    """A model that finds labelled spans in texts."""

    task = "token-classification"
    schema = TextCall
    outputs = LOGITS
    texts: ClassVar = {"text": True}
    columns: ClassVar = {"entities": Column("BYTES", lambda found: to_json(found).decode())}

    def __init__(self, facts: Facts, limits: Limits, cache: ContextCache, opening: Opening) -> None:
        client = Tagger.from_options(facts.folder, **opening)
        super().__init__(facts, limits, cache, client)

    def plans(self, call: TextCall) -> Iterable[Plan[list[Entity]]]:
        many = isinstance(call.inputs, list)
        items = call.inputs if isinstance(call.inputs, list) else [call.inputs]
        self.check_count(len(items))
        self.check_texts(text for item in items for text in texts_of(item))
        parameters = call.parameters or TextParameters()
        if parameters.top_k is not None:
            raise Refusal(
                422, "parameters.top_k is of text classification", field="parameters.top_k"
            )
        ignored = parameters.ignore_labels
        options: dict[str, Any] = {"aggregation": parameters.aggregation_strategy}
        if ignored is not None:
            options["ignore"] = tuple(ignored)
        texts = (
            self._text(item, f"inputs.{i}" if many else "inputs") for i, item in enumerate(items)
        )
        return self.gather(self.client.plan(text, **options) for text in texts)

    def _text(self, item: str | PairInput, field: str) -> str:
        if isinstance(item, PairInput) and item.text_pair is not None:
            raise Refusal(422, "a tagger reads one text, no pair", field=f"{field}.text_pair")
        text = item if isinstance(item, str) else item.text
        self.check_text(text, field)
        return text

    def shape(self, call: TextCall, found: Sequence[list[Entity]]) -> tuple[Any, int]:
        parameters = call.parameters or TextParameters()
        chosen = parameters.aggregation_strategy or self.client.options.aggregation
        key = "entity" if chosen == "none" else "entity_group"
        results = [
            [
                {key: e.label, "score": e.score, "word": e.text, "start": e.start, "end": e.end}
                for e in entities
            ]
            for entities in found
        ]
        return (results if isinstance(call.inputs, list) else results[0]), 0
