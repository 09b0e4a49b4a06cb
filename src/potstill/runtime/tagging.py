"""`Tagger`: texts in, labelled spans out; or words in, a tag for each out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import ModelConfig
from potstill.bundle.manifest import Manifest
from potstill.data.tagging import OUTSIDE
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.records import Entity
from potstill.runtime.client import Client, ClientOptions, check_text, names
from potstill.runtime.entities import AGGREGATIONS, Aggregation, entities
from potstill.runtime.opening import Opening
from potstill.runtime.plans import Plan
from potstill.runtime.session import Logits
from potstill.runtime.tokenwise import plan, softmax
from potstill.text.tokenizer import Encoded, IntArray
from potstill.text.words import first_tokens, join_words, words_of

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class TagOptions(ClientOptions):
    """How texts are tagged; see `Tagger.from_options`."""

    least: ClassVar[Mapping[str, int]] = {"seq_len": 3, "stride": 0, "token_budget": 1}

    labels: tuple[str, ...]
    stride: int = 128
    aggregation: Aggregation = "first"

    def check(self) -> None:
        _known(self.aggregation)


class Tagger(Client[TagOptions]):
    """Finds labelled spans in texts with one model. Safe to share between threads.

    Examples:
        >>> tagger = Tagger.from_options("runs/wnut-minilm")
        >>> tagger.tag("Empire State Building = ESB.")[0].text
        'Empire State Building'
    """

    head = "tagging"
    chunk = 256

    @classmethod
    def from_options(
        cls,
        model: str | Path,
        *,
        seq_len: int | None = None,
        stride: int | None = None,
        aggregation: Aggregation | None = None,
        **opening: Unpack[Opening],
    ) -> Tagger:
        """Opens a model.

        Args:
            model: a model folder or a hub id.
            seq_len: longest window in tokens; by default the manifest's, or 384, but never more
                than the model has positions.
            stride: tokens that consecutive windows of a long text share; by default the
                manifest's, or 128.
            aggregation: how tokens become entities, ``first`` by default; see
                `potstill.runtime.entities.Aggregation`.
            **opening: what every client takes; see `Opening`.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is not a model that tags.
            InputError: an option is out of range.
        """
        given = {"seq_len": seq_len, "stride": stride, "aggregation": aggregation}
        return cls._open(model, given, opening)

    @classmethod
    def own_options(cls, config: ModelConfig, manifest: Manifest | None) -> TagOptions:
        manifest = manifest or Manifest()
        return TagOptions(
            labels=config.label_names,
            seq_len=min(manifest.seq_len, config.max_positions),
            stride=manifest.stride,
        )

    def tag(
        self,
        text: str,
        *,
        aggregation: Aggregation | None = None,
        ignore: Collection[str] = (OUTSIDE,),
    ) -> list[Entity]:
        """The labelled spans of a text of any length, in order; ``text[start:end]`` is each.

        Args:
            text: to be read.
            aggregation: how tokens become entities; by default as the tagger was opened.
            ignore: tags and types to leave out.

        Raises:
            EmptyInputError: the text is blank.
            InputError: there is no such aggregation.
            ModelError: the model gives logits that are no numbers.
        """
        return self.tag_many([text], aggregation=aggregation, ignore=ignore)[0]

    def tag_many(
        self,
        texts: Iterable[str],
        *,
        aggregation: Aggregation | None = None,
        ignore: Collection[str] = (OUTSIDE,),
        workers: int | None = None,
    ) -> list[list[Entity]]:
        """As `tag`, of many texts: windows of similar length run together.

        ``workers`` are threads that read different texts at the same time; by default as the
        tagger was opened.
        """
        strategy = _known(aggregation or self.options.aggregation)

        def plans(first: int, chunk: list[str]) -> list[Plan[list[Entity]]]:
            for name, text in zip(names("text", first, len(chunk)), chunk, strict=True):
                check_text(text, name)
            return [
                self._plan(text, tokens, strategy, ignore)
                for text, tokens in zip(chunk, self.tokenizer.encode_batch(chunk), strict=True)
            ]

        return list(self.many("tag_many", texts, plans, workers=workers))

    def plan(
        self,
        text: str,
        *,
        aggregation: Aggregation | None = None,
        ignore: Collection[str] = (OUTSIDE,),
    ) -> Plan[list[Entity]]:
        """What has to be run for `tag`, which takes the same arguments and raises the same."""
        strategy = _known(aggregation or self.options.aggregation)
        check_text(text, "the text")
        return self._plan(text, self.tokenizer.encode(text), strategy, ignore)

    def _plan(
        self, text: str, encoded: Encoded, strategy: Aggregation, ignore: Collection[str]
    ) -> Plan[list[Entity]]:
        def made(logits: Logits) -> list[Entity]:
            scores = self._probabilities(logits)
            return entities(text, encoded, scores, self.options.labels, strategy, ignore)

        return self._of_tokens(encoded, encoded.words).then(made)

    def _of_tokens(self, encoded: Encoded, words: IntArray) -> Plan[Logits]:
        options = self.options
        return plan(self.tokenizer, encoded, words, seq_len=options.seq_len, stride=options.stride)

    def tag_words(self, words: Sequence[str]) -> list[str]:
        """A tag for every word of a text that is cut into words already.

        The tag of a word is that of its first token. A word that leaves the tokenizer no token (a
        control character) gets ``O``, or the first label where the model has no ``O``.

        Raises:
            EmptyInputError: there are no words, or one is blank.
            ModelError: the model gives logits that are no numbers.
        """
        return self.tag_words_many([words])[0]

    def tag_words_many(
        self, sentences: Iterable[Sequence[str]], *, workers: int | None = None
    ) -> list[list[str]]:
        """As `tag_words`, of many texts; ``workers`` as for `tag_many`."""

        def plans(first: int, chunk: list[Sequence[str]]) -> list[Plan[list[str]]]:
            for name, words in zip(names("sentence", first, len(chunk)), chunk, strict=True):
                _check_words(words, name)
            joined = [join_words(words) for words in chunk]
            encoded = self.tokenizer.encode_batch([text for text, _ in joined])
            found: list[Plan[list[str]]] = []
            for tokens, (_, starts), sentence in zip(encoded, joined, chunk, strict=True):
                own = words_of(tokens, starts)
                tags = self._tags(first_tokens(own, len(sentence)).tolist())
                found.append(self._of_tokens(tokens, own).then(tags))
            return found

        return list(self.many("tag_words_many", sentences, plans, workers=workers))

    def _tags(self, first: Sequence[int]) -> Callable[[Logits], list[str]]:
        """Makes tags of the logits of all tokens, given the first token of each word."""
        labels = self.options.labels
        otherwise = OUTSIDE if OUTSIDE in labels else labels[0]

        def tags(logits: Logits) -> list[str]:
            best = self._probabilities(logits).argmax(-1)
            return [labels[best[i]] if i >= 0 else otherwise for i in first]

        return tags

    def _probabilities(self, logits: Logits) -> npt.NDArray[np.float64]:
        n = len(self.options.labels)
        if logits.shape[-1] != n:
            raise ModelError(
                f"the model gives {logits.shape[-1]} scores a token and names {n} labels: its "
                "files do not belong together"
            )
        return softmax(logits)


def _check_words(words: Sequence[str], name: str) -> None:
    if isinstance(words, str):
        raise InputError(f"{name} is a string, not a list of words: give a text to tag")
    if not words:
        raise EmptyInputError(f"{name} is empty: give words to tag")
    for word in words:
        if not isinstance(word, str):
            raise InputError(f"{name} holds {word!r}, not a string")
        if not word.strip():
            raise EmptyInputError(f"{name} holds an empty word: drop it")


def _known(aggregation: str) -> Aggregation:
    if aggregation not in AGGREGATIONS:
        raise InputError(f"aggregation {aggregation!r} is none of {', '.join(AGGREGATIONS)}")
    return aggregation  # type: ignore[return-value]
