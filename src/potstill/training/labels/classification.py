"""Text classification for the training loop: examples → labelled rows → loss → scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor

from potstill.bundle.heads import LOGITS
from potstill.bundle.manifest import Manifest
from potstill.data.cells import TextLayout
from potstill.data.classification import TextData, as_tuple, gold_array, load_texts, with_labels
from potstill.data.glue import layout_of
from potstill.data.split import split_examples
from potstill.errors import DataError, InputError, RecipeError
from potstill.evaluation.baselines import (
    BASE_RATE,
    TFIDF,
    base_rates,
    has_sklearn,
    score_base_rates,
    score_tfidf,
)
from potstill.evaluation.classification import fit, score
from potstill.evaluation.multilabel import by_label
from potstill.models.classification import ClassificationModel
from potstill.models.pretrained import Pretrained
from potstill.records import TextExample
from potstill.runtime.classification import (
    Classifier,
    ClassifyOptions,
)
from potstill.runtime.session import Session
from potstill.runtime.texts import TextOrPair, make_rows, run_rows
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer
from potstill.training.labels.text_rows import CHUNK, TextRows, pack_texts
from potstill.training.labels.training import LabelTraining
from potstill.training.recipe.classification import ClassificationRecipe
from potstill.training.run.task import Base, FloatArray, TaskData, Taught


class ClassificationTraining(LabelTraining):
    """Texts, or pairs of texts, with a label, several, or a number."""

    model_class = ClassificationModel

    def load(self, recipe: ClassificationRecipe, taught: Taught | None = None) -> TaskData:
        """Reads the data of a recipe; labels that teachers alone say need not be there.

        Raises:
            DataError: the data are wrong.
            RecipeError: there is no such format, or the class weights do not fit the labels.
        """
        layout = layout_in(recipe)
        if taught and not recipe.labels:
            # Whether a text has one label or several is what the data say; it is compared later.
            numbers = taught.problem if taught.problem == "regression" else ""
            layout = with_labels(layout, taught.labels, layout.problem or numbers)
        whole, golds = _train_texts(recipe, layout, taught)
        problem = whole.problem or layout.problem or (taught.problem if taught else "")
        if not problem:  # nobody says it: as Hugging Face's models have it
            problem = "regression" if len(whole.labels) == 1 else "single-label"
        labels = whole.labels or (as_tuple(layout.label)[0],)
        examples, dev = split_examples(whole.examples, recipe.split, recipe.split_seed)
        notes = list(whole.notes)
        if recipe.dev and not dev:
            scored = load_texts(recipe.dev, with_labels(layout, labels, problem))
            dev = scored.examples
            notes += scored.notes
        examples = examples[: recipe.examples or None]
        given = recipe.class_weights
        if given and problem == "regression":
            raise RecipeError("class_weights have no meaning for a regression: omit them")
        if not isinstance(given, str) and len(given) != len(labels):
            raise RecipeError(f"class_weights has {len(given)} values for {len(labels)} labels")
        facts: dict[str, Any] = {}
        if golds:
            gold = gold_array(examples, labels, problem)
            rates = base_rates(gold, problem=problem, n_labels=len(labels))
            facts["base_rates"] = dict(zip(labels, rates, strict=True))
            notes += _notes(examples, labels, problem)
        return TaskData(
            train=examples,
            dev=dev,
            golds=golds,
            labels=labels,
            problem=problem,
            notes=tuple(notes),
            facts=facts,
        )

    def rows(
        self,
        examples: Sequence[TextExample],
        tokenizer: Tokenizer,
        recipe: ClassificationRecipe,
        data: TaskData,
    ) -> TextRows:
        """Examples as tokens with their labels."""
        if data.golds:
            gold = gold_array(examples, data.labels, data.problem)
        else:  # never read: the loss is that of the teachers alone
            shape = (len(examples), len(data.labels))[: 1 + (data.problem == "multi-label")]
            gold = np.zeros(shape, np.int64 if data.problem == "single-label" else np.float32)
        weights = _weights(recipe.class_weights if data.golds else "", gold, data)
        return pack_texts(
            list(map(as_input, examples)), gold, tokenizer, seq_len=recipe.seq_len, weight=weights
        )

    def prior(self, recipe: ClassificationRecipe, data: TaskData) -> npt.NDArray[np.float64] | None:
        """What says the base rates: of a rare label nothing else is learned for long.

        As Lin et al. 2017 begin (https://arxiv.org/abs/1708.02002, section 4.1). With class weights
        the labels are no longer as frequent to the loss as they are: then the layer starts at 0.
        """
        if recipe.class_weights:
            return None
        rates = np.array(list(data.facts["base_rates"].values()))
        if data.problem == "regression":
            return rates
        least = 1 / (len(data.train) + 1)
        rates = rates.clip(least, 1 - least)
        return np.log(rates) - (np.log1p(-rates) if data.problem == "multi-label" else 0)

    def loss(self, logits: Tensor, batch: dict[str, Tensor], data: TaskData) -> Tensor:
        """Cross-entropy, binary cross-entropy (mean over the labels) or squared error, summed."""
        logits, gold, weight = logits.float(), batch["labels"], batch.get("weight")
        if data.problem == "regression":
            return F.mse_loss(logits[:, 0], gold, reduction="sum")
        if data.problem == "multi-label":
            each = F.binary_cross_entropy_with_logits(
                logits, gold, pos_weight=weight, reduction="none"
            )
            return each.mean(dim=1).sum()
        each = F.cross_entropy(logits, gold, reduction="none")
        return (each if weight is None else each * weight).sum()

    def soft_loss(
        self, logits: Tensor, batch: dict[str, Tensor], data: TaskData, temperature: float
    ) -> Tensor:
        """Divergence from the teachers' distributions, summed over the rows.

        A single label is a softmax at ``temperature``, several are a sigmoid each (mean over the
        labels), both times temperature², so that the gradient does not shrink (Hinton et al. 2015,
        https://arxiv.org/abs/1503.02531); a regression is the squared error.
        """
        logits, said = logits.float(), batch["teacher"].float()
        if data.problem == "regression":
            return F.mse_loss(logits[:, 0], said[:, 0], reduction="sum")
        ours, theirs = logits / temperature, said / temperature
        if data.problem == "multi-label":
            soft = theirs.sigmoid()
            each = F.binary_cross_entropy_with_logits(ours, soft, reduction="none")
            # Less the teacher's own entropy: 0 where both agree.
            own = F.binary_cross_entropy_with_logits(theirs, soft, reduction="none")
            return temperature**2 * (each - own).mean(dim=1).sum()
        return temperature**2 * F.kl_div(
            ours.log_softmax(-1), theirs.log_softmax(-1), reduction="sum", log_target=True
        )

    def texts(self, example: TextExample) -> tuple[str, ...]:
        """The text, or both of a pair."""
        return (example.text,) if example.pair is None else (example.text, example.pair)

    def teach(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[TextExample],
        *,
        seq_len: int,
    ) -> list[FloatArray]:
        """A teacher's logits of each example, ``[n_labels]``."""
        found: list[FloatArray] = []
        for at in range(0, len(examples), CHUNK):
            chunk = [as_input(example) for example in examples[at : at + CHUNK]]
            rows, _ = make_rows(tokenizer, chunk, seq_len)
            found += run_rows(session, rows, pad_id=tokenizer.pad_id, layout=tokenizer.layout)
        return found

    def score(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[TextExample],
        recipe: ClassificationRecipe,
        data: TaskData,
    ) -> dict[str, float]:
        """See `potstill.evaluation.classification.score`; thresholds and temperatures are plain."""
        logits = _read(session, tokenizer, examples, recipe, data)
        gold = gold_array(examples, data.labels, data.problem)
        return score(logits, gold, problem=data.problem, labels=data.labels)

    def baselines(
        self, recipe: ClassificationRecipe, data: TaskData
    ) -> dict[str, dict[str, float]]:
        """The base rates and, where scikit-learn is installed, TF-IDF with a linear model."""
        how: dict[str, Any] = {"problem": data.problem, "labels": data.labels}
        if not data.golds:
            return {}
        gold = gold_array(data.dev, data.labels, data.problem)
        rates = list(data.facts["base_rates"].values())
        found = {BASE_RATE: score_base_rates(rates, gold, **how)}
        if has_sklearn():
            seen = gold_array(data.train, data.labels, data.problem)
            with suppress(InputError):  # there is nothing to learn from
                found[TFIDF] = score_tfidf(data.train, seen, data.dev, gold, **how)
        return found

    def fit(
        self,
        model: Pretrained,
        tokenizer: Tokenizer,
        recipe: ClassificationRecipe,
        data: TaskData,
    ) -> dict[str, Any]:
        """Temperatures and thresholds, and of several labels each one's scores by itself."""
        if len(data.dev) < 2:
            return {}
        logits = _read(TorchSession(model, LOGITS), tokenizer, data.dev, recipe, data)
        gold = gold_array(data.dev, data.labels, data.problem)
        fitted = fit(logits, gold, problem=data.problem, labels=data.labels)
        if data.problem == "multi-label":
            fitted["by_label"] = by_label(logits, gold, labels=data.labels, calibration=fitted)
        return fitted

    def describe(
        self,
        model: Pretrained,
        base: Base,
        recipe: ClassificationRecipe,
        data: TaskData,
        note: Callable[[str], None],
    ) -> Manifest:
        """With the rows that a long text is read in."""
        found = super().describe(model, base, recipe, data, note)
        return replace(found, max_windows=recipe.max_windows)


def _train_texts(
    recipe: ClassificationRecipe, layout: TextLayout, taught: Taught | None
) -> tuple[TextData, bool]:
    """What is trained on, and whether its labels are known."""
    if taught is None or taught.golds or recipe.split:
        return load_texts(recipe.train, layout, every_label=taught is None), True
    try:
        # A row whose label is none is as good as any other to a teacher.
        return load_texts(recipe.train, replace(layout, unsure=())), True
    except DataError as error:
        found = load_texts(recipe.train, layout, labelled=False)
        note = f"no label of {recipe.train} is read, as alpha_ce is 0 ({error})"
        return replace(found, notes=(*found.notes, note)), False


def layout_in(recipe: ClassificationRecipe) -> TextLayout:
    """The layout of a recipe's files.

    Raises:
        RecipeError: there is no such format.
    """
    try:
        return layout_of(
            recipe.format,
            text=recipe.text,
            pair=recipe.pair,
            label=recipe.label,
            separator=recipe.separator,
            labels=recipe.labels,
            problem=recipe.problem,
        )
    except DataError as error:
        raise RecipeError(str(error)) from None


def as_input(example: TextExample) -> TextOrPair:
    """What a classifier reads of an example."""
    return example.text if example.pair is None else (example.text, example.pair)


def _read(
    session: Session,
    tokenizer: Tokenizer,
    examples: Sequence[TextExample],
    recipe: ClassificationRecipe,
    data: TaskData,
) -> FloatArray:
    options = ClassifyOptions(
        labels=data.labels,
        problem=data.problem,
        seq_len=recipe.seq_len,
        max_windows=recipe.max_windows,
        token_budget=recipe.batch_tokens,
    )
    classifier = Classifier(tokenizer, session, options)
    return classifier.logits_many(map(as_input, examples))


def _weights(
    asked: str | tuple[float, ...], gold: npt.NDArray[Any], data: TaskData
) -> npt.NDArray[np.float32] | None:
    if not asked:
        return None
    if data.problem == "multi-label":
        with_it = np.maximum(gold.sum(axis=0), 1)
        each = (len(gold) - with_it) / with_it if asked == "balanced" else np.array(asked)
        return np.broadcast_to(each.astype(np.float32), gold.shape).copy()
    if asked == "balanced":
        counts = np.bincount(gold, minlength=len(data.labels))
        each = len(gold) / (len(data.labels) * np.maximum(counts, 1))
    else:
        each = np.array(asked)
    return each.astype(np.float32)[gold]


def _notes(examples: Sequence[TextExample], labels: Sequence[str], problem: str) -> list[str]:
    if problem == "regression":
        return [f"regression on {labels[0]!r}"]
    counts = dict.fromkeys(labels, 0)
    for example in examples:
        for label in as_tuple(example.label):
            counts[label] += 1
    shown = [f"{label} {count:,}" for label, count in counts.items()]
    found = [f"{problem}: {', '.join(shown)}"]
    missing = [label for label, count in counts.items() if not count]
    if missing:
        found.append(f"no example that is trained on has the label {', '.join(missing)}")
    return found
