"""`pipeline` for the tasks that speak of tokens: "token-classification" and "fill-mask".

Call forms, parameters, defaults and result keys are those of transformers 5.23
(``pipelines/token_classification.py``, ``pipelines/fill_mask.py``). What differs, on purpose: a
long text is read whole, in overlapping windows, or for a mask around it, instead of being cut.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

from potstill.errors import InputError
from potstill.records import Entity, Fill
from potstill.runtime.lm import Filler, FillOptions, Masked
from potstill.runtime.pipeline_inputs import as_stream
from potstill.runtime.tagging import Tagger, TagOptions
from potstill.runtime.task_pipelines import Result, TaskPipeline, labels_of
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Encoded, Tokenizer


class TokenClassificationPipeline(TaskPipeline):
    """Labels words and names in texts, called as transformers' own is. Safe to share by threads."""

    task = "token-classification"
    client_class = Tagger
    parameters: ClassVar[Mapping[str, Any]] = {
        "aggregation_strategy": "none",
        "ignore_labels": ("O",),
        "is_split_into_words": False,
        "delimiter": " ",
        "stride": None,
    }

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Tags.

        Args:
            inputs: a text, a list of texts, or a generator of texts; with
                ``is_split_into_words`` a list of words, or a list of such lists.
            **kwargs: ``aggregation_strategy`` (``"none"``; ``"simple"``, ``"first"``,
                ``"average"``, ``"max"``), ``ignore_labels`` (``["O"]``), ``is_split_into_words``,
                ``delimiter`` (what stands between such words: offsets count it). ``stride`` is
                taken and without effect: long texts are always read whole.

        Returns:
            For a text a list of ``{"entity", "score", "index", "word", "start", "end"}``, or of
            ``{"entity_group", "score", "word", "start", "end"}`` where tokens are joined; for
            a list of texts, or words, a list of these; for a generator an iterator.

        Raises:
            InputError: the inputs are of no such form.
            EmptyInputError: a text is empty.
        """
        parameters = {**self.parameters, **self._given, **self._checked(kwargs)}
        stream = as_stream(inputs)
        if stream is not None:
            return self._streamed(stream, parameters)
        several = isinstance(inputs, (list, tuple))
        items = list(cast("Sequence[Any]", inputs)) if several else [inputs]
        if parameters["is_split_into_words"] and not all(
            isinstance(item, (list, tuple)) for item in items
        ):
            items = [inputs]  # as transformers: one list of words is answered as a list of one
        results = self._results(items, parameters)
        return results if several else results[0]

    def _results(self, items: list[Any], parameters: dict[str, Any]) -> list[Any]:
        texts = items
        if parameters["is_split_into_words"]:
            texts = [_joined(words, parameters["delimiter"]) for words in items]
        strategy = str(parameters["aggregation_strategy"]).rpartition(".")[2].lower()
        # As transformers: a blank text among others has no entities.
        blanks = [len(texts) > 1 and isinstance(t, str) and not t.strip() for t in texts]
        read = [text for text, blank in zip(texts, blanks, strict=True) if not blank]
        found = iter(
            self.client.tag_many(
                read, aggregation=strategy, ignore=tuple(parameters["ignore_labels"])
            )
        )
        return [
            [] if blank else self._result(text, next(found), strategy)
            for text, blank in zip(texts, blanks, strict=True)
        ]

    def _result(self, text: str, entities: list[Entity], strategy: str) -> list[Result]:
        encoded = self.tokenizer.encode(text)
        results: list[Result] = []
        at = 0
        for entity in entities:
            first, at = _tokens_of(encoded, entity, at, alone=strategy == "none")
            words = self._words(text, encoded, first, at)
            place = {"start": entity.start, "end": entity.end}
            if strategy == "none":
                named = {"entity": entity.label, "score": entity.score, "index": first + 1}
                results.append({**named, "word": words[0], **place})
            else:
                word = self.tokenizer.to_text(words)
                named = {"entity_group": entity.label, "score": entity.score, "word": word}
                results.append({**named, **place})
        return results

    def _words(self, text: str, encoded: Encoded, first: int, stop: int) -> list[str]:
        """Tokens as the vocabulary spells them; what it does not know as the text has it."""
        spelt = self.tokenizer.tokens(encoded.ids[first:stop])
        offsets = encoded.offsets[first:stop].tolist()
        unknown = self.tokenizer.unk_id
        return [
            text[start:end] if number == unknown else word
            for number, word, (start, end) in zip(
                encoded.ids[first:stop].tolist(), spelt, offsets, strict=True
            )
        ]

    def _of_torch(
        self, tokenizer: Tokenizer, session: TorchSession, config: Any, seq_len: int
    ) -> Tagger:
        stride = min(128, seq_len // 4)
        options = TagOptions(labels=labels_of(config), seq_len=seq_len, stride=stride)
        return Tagger(tokenizer, session, options)


class FillMaskPipeline(TaskPipeline):
    """Fills in masked words, called as transformers' own is. Safe to share by threads."""

    task = "fill-mask"
    client_class = Filler
    parameters: ClassVar[Mapping[str, Any]] = {
        "top_k": 5,
        "targets": None,
        "tokenizer_kwargs": None,
    }

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Fills in.

        Args:
            inputs: a text with masks, a list of texts, or a generator of texts.
            **kwargs: ``top_k`` (5), ``targets`` (a word or a list of them: weigh only these).

        Returns:
            For a text with one mask a list of ``{"score", "token", "token_str", "sequence"}``, best
            first; with several masks a list of such lists. For a list of several texts a list of
            these; for a generator an iterator.

        Raises:
            InputError: the inputs are of no such form, a text has no mask, or no target is known.
            EmptyInputError: a text is empty.
        """
        parameters = {**self.parameters, **self._given, **self._checked(kwargs)}
        stream = as_stream(inputs)
        if stream is not None:
            return self._streamed(stream, parameters)
        if not isinstance(inputs, list):
            return self._results([inputs], parameters)[0]
        results = self._results(cast("list[Any]", inputs), parameters)
        return results[0] if len(results) == 1 else results

    def _results(self, items: list[Any], parameters: dict[str, Any]) -> list[Any]:
        client: Filler = self.client
        targets, top_k = parameters["targets"], parameters["top_k"]
        ids = None if targets is None else self._target_ids(targets)
        texts = [client.prepare(item) for item in items]
        found = client.fill_masked(texts, top_k=5 if top_k is None else top_k, ids=ids)
        return [self._result(text, places) for text, places in zip(texts, found, strict=True)]

    def _result(self, text: Masked, places: list[list[Fill]]) -> Any:
        results = [
            [self._proposed(text, int(at), fill) for fill in fills]
            for at, fills in zip(text.places, places, strict=True)
        ]
        return results[0] if len(results) == 1 else results

    def _proposed(self, text: Masked, at: int, fill: Fill) -> Result:
        tokenizer = self.tokenizer
        ids = [tokenizer.cls_id, *text.encoded.ids.tolist(), tokenizer.sep_id]
        ids[at + 1] = fill.token_id
        # As transformers: where other masks stand in the text, special tokens are left in.
        sequence = tokenizer.decode(ids, skip_special=len(text.places) == 1)
        token = tokenizer.decode([fill.token_id])
        return {
            "score": fill.score,
            "token": fill.token_id,
            "token_str": token,
            "sequence": sequence,
        }

    def _target_ids(self, targets: str | Sequence[str]) -> list[int]:
        found: set[int] = set()
        for target in [targets] if isinstance(targets, str) else targets:
            pieces = self.client.target_pieces(target)
            if not pieces:
                warnings.warn(f"target {target!r} has no token: left out", stacklevel=5)
                continue
            spelt = self.tokenizer.tokens(pieces[:1])[0]
            if spelt != target:
                warnings.warn(
                    f"target {target!r} is not in the vocabulary: {spelt!r} stands in for it",
                    stacklevel=5,
                )
            found.add(pieces[0])
        if not found:
            raise InputError("no target is left: name at least one word the vocabulary has")
        return sorted(found)

    def _of_torch(
        self, tokenizer: Tokenizer, session: TorchSession, config: Any, seq_len: int
    ) -> Filler:
        return Filler(tokenizer, session, FillOptions(seq_len=seq_len))


def _joined(words: Any, delimiter: str) -> str:
    if not isinstance(words, (list, tuple)):
        raise InputError("with is_split_into_words=True an input is a list of words")
    return delimiter.join(cast("Iterable[str]", words))


def _tokens_of(encoded: Encoded, entity: Entity, at: int, *, alone: bool) -> tuple[int, int]:
    """The tokens ``[first, stop)`` of an entity, which lie at or behind token ``at``."""
    offsets = encoded.offsets
    while at < len(encoded) - 1 and int(offsets[at, 1]) <= entity.start:
        at += 1
    first = at
    at += 1
    while not alone and at < len(encoded) and int(offsets[at, 0]) < entity.end:
        at += 1
    return first, at
