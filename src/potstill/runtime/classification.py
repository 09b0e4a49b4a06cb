"""`Classifier`: texts, or pairs of texts, in; labels with their probabilities out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import ModelConfig
from potstill.bundle.manifest import Manifest
from potstill.errors import InputError, ModelError
from potstill.records import Classification, LabelScore
from potstill.runtime.client import SHORTEST_PAIR, Client, ClientOptions, check_text, names
from potstill.runtime.opening import Opening
from potstill.runtime.plans import Outputs, Plan, Row, check_finite
from potstill.runtime.texts import TextOrPair, cut_texts

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyOptions(ClientOptions):
    """How texts are classified; see `Classifier.from_options`."""

    least: ClassVar[Mapping[str, int]] = {
        "seq_len": SHORTEST_PAIR,
        "max_windows": 0,
        "token_budget": 1,
    }

    labels: tuple[str, ...]
    problem: str = "single-label"
    """``single-label``, ``multi-label`` or ``regression``."""
    seq_len: int = 512
    max_windows: int = 1
    """Windows of at most ``seq_len`` tokens that a long text is read in, spread evenly from its
    beginning to its end; 0 for as many as it takes. What is said of each is averaged, as logits."""
    temperatures: tuple[float, ...] = (1.0,)
    """What each label's logits are divided by; a single one is that of all."""
    thresholds: tuple[float, ...] = (0.5,)
    """Probability above which each label is given (multi-label); a single one is that of all."""

    def check(self) -> None:
        n = len(self.labels)
        for name in ("temperatures", "thresholds"):
            values = getattr(self, name)
            if len(values) not in (1, n):
                raise InputError(
                    f"{name} has {len(values)} values for {n} labels: give one for each"
                )
        if any(not 0 < value < math.inf for value in self.temperatures):
            raise InputError(f"temperatures must be above 0, not {list(self.temperatures)}")
        if any(not 0 <= value <= 1 for value in self.thresholds):
            raise InputError(f"thresholds must be between 0 and 1, not {list(self.thresholds)}")


@dataclass(frozen=True, slots=True, eq=False)
class TextLogits:
    """What a model says of one text."""

    logits: npt.NDArray[np.float32]
    """``[n_labels]``."""
    truncated: bool
    """Whether a part of the text was not read."""


class Classifier(Client[ClassifyOptions]):
    """Gives texts their labels with one model. Safe to share between threads.

    Examples:
        >>> classifier = Classifier.from_options("runs/sst2-minilm")
        >>> classifier.classify("A charming and often affecting journey.").chosen
        ('positive',)
    """

    head = "classification"

    @classmethod
    def from_options(
        cls,
        model: str | Path,
        *,
        seq_len: int | None = None,
        max_windows: int | None = None,
        threshold: float | None = None,
        **opening: Unpack[Opening],
    ) -> Classifier:
        """Opens a model; thresholds and temperatures are those of its manifest.

        Args:
            model: a model folder or a hub id.
            seq_len: longest row in tokens, of a pair both texts together; by default the
                manifest's, or as many as the model has positions.
            max_windows: rows that a text is read in where it is longer than one, spread evenly from
                its beginning to its end, 0 for as many as it takes; by default the manifest's, or
                1, the beginning.
            threshold: of every label of a multi-label model, instead of the manifest's.
            **opening: what every client takes; see `Opening`.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is not a text classifier.
            InputError: an option is out of range.
        """
        given = {
            "seq_len": seq_len,
            "max_windows": max_windows,
            "thresholds": None if threshold is None else (threshold,),
        }
        return cls._open(model, given, opening)

    @classmethod
    def own_options(cls, config: ModelConfig, manifest: Manifest | None) -> ClassifyOptions:
        """The options that a model's config and its manifest ask for.

        A model that does not say what its labels are to a text has one label a text, or, with a
        single label, gives a number, as Hugging Face's models do.
        """
        labels = config.label_names
        problem = config.problem or ("regression" if len(labels) == 1 else "single-label")
        settings: dict[str, Any] = {"seq_len": config.max_positions}
        if manifest is not None:
            settings["seq_len"] = min(manifest.seq_len, config.max_positions)
            settings["max_windows"] = manifest.max_windows
        calibration = manifest.calibration if manifest else {}
        if problem == "single-label":
            settings["temperatures"] = (float(calibration.get("temperature", 1.0)),)
        elif problem == "multi-label":
            heat, cuts = calibration.get("temperatures", {}), calibration.get("thresholds", {})
            settings["temperatures"] = tuple(float(heat.get(label, 1.0)) for label in labels)
            settings["thresholds"] = tuple(float(cuts.get(label, 0.5)) for label in labels)
        return ClassifyOptions(labels=labels, problem=problem, **settings)

    def classify(self, text: str, pair: str | None = None) -> Classification:
        """The labels of a text, the most probable first.

        Args:
            text: of any length; what is longer than ``seq_len`` and ``max_windows`` allow is left
                out, and ``truncated`` says so.
            pair: the second text, for a model of pairs.

        Raises:
            EmptyInputError: a text is blank.
            ModelError: the model gives logits that are no numbers.
        """
        return self.classify_many([text if pair is None else (text, pair)])[0]

    def classify_many(
        self, texts: Iterable[TextOrPair], *, workers: int | None = None
    ) -> list[Classification]:
        """As `classify`, of many texts or pairs: rows of similar length run together.

        Args:
            texts: to classify.
            workers: threads that read different texts at the same time; by default as the
                classifier was opened.
        """
        return list(self._many("classify_many", texts, workers, self._judged))

    def read_many(
        self,
        texts: Iterable[TextOrPair],
        *,
        workers: int | None = None,
        blanks: bool = False,
    ) -> Iterator[TextLogits]:
        """The logits of many texts or pairs, in order, as they are found; see `Client.many`.

        Args:
            texts: to read.
            workers: see `classify_many`.
            blanks: whether a text may be blank: the model then reads its special tokens alone.

        Raises:
            EmptyInputError: a text is blank.
            ModelError: the model gives logits that are no numbers.
        """
        return self._many("read_many", texts, workers, blanks=blanks)

    def _judged(self, said: list[TextLogits]) -> list[Classification]:
        return [self.judge(one) for one in said]

    def _many(
        self,
        call: str,
        texts: Iterable[TextOrPair],
        workers: int | None,
        finish: Callable[[list[TextLogits]], list[Any]] | None = None,
        *,
        blanks: bool = False,
    ) -> Iterator[Any]:
        def plans(first: int, chunk: list[TextOrPair]) -> list[Plan[TextLogits]]:
            for name, text in zip(names("text", first, len(chunk)), chunk, strict=True):
                _check(text, name, blanks=blanks)
            return [self._plan(*one) for one in self._cut(chunk)]

        return self.many(call, texts, plans, workers=workers, finish=finish)

    def logits_many(
        self, texts: Iterable[TextOrPair], *, workers: int | None = None
    ) -> npt.NDArray[np.float32]:
        """The logits of many texts or pairs, float32 ``[n, n_labels]``."""
        said = [one.logits for one in self.read_many(texts, workers=workers)]
        return np.array(said, np.float32).reshape(len(said), len(self.options.labels))

    def judge(self, said: TextLogits) -> Classification:
        """Logits as labels: calibrated, chosen by the thresholds, the most probable first."""
        options, scores = self.options, self.scores(said)
        if options.problem == "regression":
            value = float(scores[0])
            return Classification((LabelScore(options.labels[0], value, True),), said.truncated)
        if options.problem == "multi-label":
            chosen = scores > options.thresholds
        else:
            chosen = np.arange(len(scores)) == scores.argmax()
        order = np.argsort(-scores, kind="stable")
        return Classification(
            tuple(LabelScore(options.labels[i], float(scores[i]), bool(chosen[i])) for i in order),
            said.truncated,
        )

    def scores(self, said: TextLogits) -> npt.NDArray[np.float64]:
        """The calibrated probability of each label in the model's order; a regression's value.

        Names of labels may repeat, so nothing is looked up by them.
        """
        scores = said.logits.astype(np.float64)
        if self.options.problem == "regression":
            return scores
        scores = scores / self.options.temperatures
        if self.options.problem == "multi-label":
            return 1 / (1 + np.exp(-np.clip(scores, -700, 700)))
        mass = np.exp(scores - scores.max())
        return mass / mass.sum()

    def plan(self, text: TextOrPair) -> Plan[TextLogits]:
        """What has to be run to know what the model says of a text or a pair, for `judge`.

        Raises:
            EmptyInputError: a text is blank.
        """
        _check(text, "the text")
        return self._plan(*self._cut([text])[0])

    def _cut(self, texts: Sequence[TextOrPair]) -> list[tuple[list[Row], bool]]:
        options = self.options
        return cut_texts(
            self.tokenizer, texts, seq_len=options.seq_len, max_windows=options.max_windows
        )

    def _plan(self, rows: Sequence[Row], truncated: bool) -> Plan[TextLogits]:
        n = len(self.options.labels)

        def finish(said: Sequence[Outputs]) -> TextLogits:
            rows = np.array([one for (one,) in said], np.float64)
            logits = rows.mean(axis=0).astype(np.float32)
            if len(logits) != n:
                raise ModelError(f"the model gives {len(logits)} logits for its {n} labels")
            check_finite(logits)
            return TextLogits(logits, truncated)

        return Plan(rows, finish)


def _check(text: Any, name: str, *, blanks: bool = False) -> None:
    parts = (text,) if isinstance(text, str) else text
    if not isinstance(parts, (tuple, list)) or (parts is text and len(parts) != 2):
        raise InputError(f"{name} is a {type(text).__name__}: give a string, or a pair of them")
    for part in parts:
        check_text(part, name, blank=blanks)
