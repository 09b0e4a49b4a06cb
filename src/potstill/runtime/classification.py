"""`Classifier`: texts, or pairs of texts, in; labels with their probabilities out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.layout import find_model
from potstill.bundle.manifest import head_of_folder, read_manifest
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.records import Classification, LabelScore
from potstill.runtime.many import each
from potstill.runtime.opening import Opened, Workers, open_model
from potstill.runtime.plans import TOKEN_BUDGET, Outputs, Plan, Row, run_plans
from potstill.runtime.session import Session
from potstill.runtime.texts import TextOrPair, cut_texts
from potstill.text.tokenizer import Tokenizer

FloatArray = npt.NDArray[np.float64]

_SHORTEST = 8
"""Tokens of the shortest row: special ones, and a few of each text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyOptions:
    """How texts are classified; see `Classifier.from_options`."""

    labels: tuple[str, ...]
    problem: str = "single-label"
    """``single-label``, ``multi-label`` or ``regression``."""
    seq_len: int = 512
    max_windows: int = 1
    """Windows of at most ``seq_len`` tokens that a long text is read in, spread evenly from its
    beginning to its end; 0 for as many as it takes. What is said of each is averaged, as logits."""
    temperatures: tuple[float, ...] = ()
    """What each label's logits are divided by; one for all of them, or none for 1."""
    thresholds: tuple[float, ...] = ()
    """Probability above which each label is given (multi-label); none for 0.5."""
    token_budget: int = TOKEN_BUDGET
    """Most tokens of a batch, padding included; 0 runs every row alone."""


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a model says of one text."""

    logits: npt.NDArray[np.float32]
    """``[n_labels]``."""
    truncated: bool
    """Whether a part of the text was not read."""


@dataclass(frozen=True, slots=True)
class _Settings:
    temperatures: FloatArray = field(default_factory=lambda: np.ones(1))
    thresholds: FloatArray = field(default_factory=lambda: np.full(1, 0.5))


class Classifier:
    """Gives texts their labels with one model. Safe to share between threads.

    Examples:
        >>> classifier = Classifier.from_options("runs/sst2-minilm")
        >>> classifier.classify("A charming and often affecting journey.").chosen
        ('positive',)
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        session: Session,
        options: ClassifyOptions,
        *,
        workers: int = 1,
    ) -> None:
        """Puts a classifier together from its parts; most callers want `from_options`.

        Raises:
            InputError: an option is out of range.
        """
        self.tokenizer = tokenizer
        self.session = session
        self.workers = workers
        self.opened: Opened | None = None
        """How it was opened, by `from_options`."""
        self.options = _checked(options)
        n = len(options.labels)
        self._settings = _Settings(
            np.array(options.temperatures or (1.0,) * n), np.array(options.thresholds or (0.5,) * n)
        )

    @classmethod
    def from_options(
        cls,
        model: str | Path,
        *,
        revision: str | None = None,
        precision: Literal["fp32", "fp16", "int8"] | None = None,
        onnx_file: str | Path | None = None,
        threads: int | None = None,
        runtime: str | None = None,
        workers: Workers = None,
        seq_len: int | None = None,
        max_windows: int | None = None,
        threshold: float | None = None,
        token_budget: int | None = None,
    ) -> Classifier:
        """Opens a model; thresholds and temperatures are those of its manifest.

        Args:
            model: a model folder or a hub id.
            revision: branch, tag or commit of a hub id.
            precision: which of the folder's ONNX files to run; by default the one it has, and
                where it has none a float32 file is written into the cache on first use.
            onnx_file: run this file instead of the folder's own.
            threads: threads of one text; by default one for each core.
            runtime: what runs the model, one of `potstill.runtime.runtimes.RUNTIMES`; ``"auto"``
                for the quickest here, which is measured once and remembered; by default what
                ``POTSTILL_RUNTIME`` says, or onnxruntime.
            workers: runs at the same time, of calls that read many texts; ``"auto"`` for as many
                as read most, and then ``threads`` too are chosen where they are not given.
            seq_len: longest row in tokens, of a pair both texts together; by default the
                manifest's, or as many as the model has positions.
            max_windows: rows that a text is read in where it is longer than one, spread evenly from
                its beginning to its end, 0 for as many as it takes; by default the manifest's, or
                1, the beginning.
            threshold: of every label of a multi-label model, instead of the manifest's.
            token_budget: most tokens of one batch, padding included.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is no text classifier.
            InputError: an option is out of range.
        """
        folder = find_model(model, revision=revision)
        config = read_config(folder)
        if head_of_folder(folder, config) != "classification":
            raise ModelError(
                f"{folder} is no text classifier: fine-tune one with a recipe of "
                "text-classification"
            )
        if seq_len is not None and seq_len > config.max_positions:
            raise InputError(
                f"seq_len {seq_len} is more than the {config.max_positions} positions of {folder}"
            )
        manifest = read_manifest(folder)
        options = options_of(config, manifest.calibration if manifest else {})
        longest = min(manifest.seq_len if manifest else 10**9, config.max_positions)
        own_windows = manifest.max_windows if manifest else 1
        options = replace(
            options,
            seq_len=longest if seq_len is None else seq_len,
            max_windows=own_windows if max_windows is None else max_windows,
        )
        if threshold is not None:
            options = replace(options, thresholds=(threshold,) * len(options.labels))
        options = _checked(options)
        tokenizer = Tokenizer.from_folder(folder)
        opened = open_model(
            folder,
            tokenizer,
            manifest,
            head="classification",
            longest=options.seq_len,
            precision=precision,
            onnx_file=onnx_file,
            runtime=runtime,
            threads=threads,
            workers=workers,
        )
        options = replace(options, token_budget=opened.token_budget(token_budget))
        client = cls(tokenizer, opened.session, options, workers=opened.layout.workers)
        client.opened = opened
        return client

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
        return [self.judge(said) for said in self.read_many(texts, workers=workers)]

    def read_many(self, texts: Iterable[TextOrPair], *, workers: int | None = None) -> list[Said]:
        """The logits of many texts or pairs, in order.

        Raises:
            EmptyInputError: a text is blank.
            ModelError: the model gives logits that are no numbers.
        """
        anything: Iterable[Any] = texts
        several = anything if isinstance(anything, Sequence) else list(anything)
        named = "the text" if len(several) == 1 else ""

        def prepare(first: int, chunk: list[Any]) -> list[Plan[Said]]:
            for number, text in enumerate(chunk, start=first):
                _check(text, named or f"text {number}")
            return [self._plan(*one) for one in self._cut(chunk)]

        workers = self.workers if workers is None else workers
        return list(each(prepare, self._run, several, workers=workers))

    def _run(self, plans: Sequence[Plan[Said]]) -> list[Said]:
        return run_plans(
            self.session,
            plans,
            pad_id=self.tokenizer.pad_id,
            layout=self.tokenizer.layout,
            token_budget=self.options.token_budget,
        )

    def logits_many(
        self, texts: Iterable[TextOrPair], *, workers: int | None = None
    ) -> npt.NDArray[np.float32]:
        """The logits of many texts or pairs, float32 ``[n, n_labels]``."""
        said = [one.logits for one in self.read_many(texts, workers=workers)]
        return np.array(said, np.float32).reshape(len(said), len(self.options.labels))

    def judge(self, said: Said) -> Classification:
        """Logits as labels: calibrated, chosen by the thresholds, the most probable first."""
        options = self.options
        if options.problem == "regression":
            value = float(said.logits[0])
            return Classification((LabelScore(options.labels[0], value, True),), said.truncated)
        scores = said.logits.astype(np.float64) / self._settings.temperatures
        if options.problem == "multi-label":
            scores = 1 / (1 + np.exp(-np.clip(scores, -700, 700)))
            chosen = scores > self._settings.thresholds
        else:
            mass = np.exp(scores - scores.max())
            scores = mass / mass.sum()
            chosen = np.arange(len(scores)) == scores.argmax()
        order = np.argsort(-scores, kind="stable")
        return Classification(
            tuple(LabelScore(options.labels[i], float(scores[i]), bool(chosen[i])) for i in order),
            said.truncated,
        )

    def plan(self, text: TextOrPair) -> Plan[Said]:
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

    def _plan(self, rows: Sequence[Row], truncated: bool) -> Plan[Said]:
        n = len(self.options.labels)

        def finish(said: Sequence[Outputs]) -> Said:
            logits = said[0][0] if len(said) == 1 else np.mean([one for (one,) in said], axis=0)
            if len(logits) != n:
                raise ModelError(f"the model gives {len(logits)} logits for its {n} labels")
            if not np.isfinite(logits).all():
                raise ModelError("the model gives logits that are no finite numbers: it is damaged")
            return Said(logits, truncated)

        return Plan(rows, finish)


def options_of(config: ModelConfig, calibration: Mapping[str, Any]) -> ClassifyOptions:
    """The options that a model's config and its manifest's ``calibration`` ask for.

    A model that does not say what its labels are to a text has one label a text, or, with a single
    label, gives a number, as Hugging Face's models do.
    """
    labels = config.labels or tuple(f"LABEL_{i}" for i in range(config.n_labels))
    problem = config.problem or ("regression" if len(labels) == 1 else "single-label")
    temperatures: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    if problem == "single-label":
        temperatures = (float(calibration.get("temperature", 1.0)),) * len(labels)
    elif problem == "multi-label":
        heat, cuts = calibration.get("temperatures", {}), calibration.get("thresholds", {})
        temperatures = tuple(float(heat.get(label, 1.0)) for label in labels)
        thresholds = tuple(float(cuts.get(label, 0.5)) for label in labels)
    return ClassifyOptions(
        labels=labels,
        problem=problem,
        seq_len=config.max_positions,
        temperatures=temperatures,
        thresholds=thresholds,
    )


def _check(text: Any, name: str) -> None:
    parts = (text,) if isinstance(text, str) else text
    if not isinstance(parts, (tuple, list)) or not 1 <= len(parts) <= 2:
        raise InputError(f"{name} is a {type(text).__name__}: give a string, or a pair of them")
    for part in parts:
        if not isinstance(part, str):
            raise InputError(f"{name} holds a {type(part).__name__}: give strings")
        if not part.strip():
            raise EmptyInputError(f"{name} is empty: give some text")


def _checked(options: ClassifyOptions) -> ClassifyOptions:
    n = len(options.labels)
    if options.seq_len < _SHORTEST:
        raise InputError(f"seq_len must be at least {_SHORTEST}, not {options.seq_len}")
    for name in ("token_budget", "max_windows"):
        if getattr(options, name) < 0:
            raise InputError(f"{name} must not be negative, not {getattr(options, name)}")
    for name in ("temperatures", "thresholds"):
        values = getattr(options, name)
        if values and len(values) != n:
            raise InputError(f"{name} has {len(values)} values for {n} labels: give one for each")
    if any(not 0 < value < math.inf for value in options.temperatures):
        raise InputError(f"temperatures must be above 0, not {list(options.temperatures)}")
    if any(not 0 <= value <= 1 for value in options.thresholds):
        raise InputError(f"thresholds must be between 0 and 1, not {list(options.thresholds)}")
    return options
