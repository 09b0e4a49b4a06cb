"""Text classification: all of it but how it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.manifest import Manifest, read_manifest
from potstill.data.classification import TextLayout, gold_array, load_texts, with_labels
from potstill.data.glue import layout_for
from potstill.errors import DataError
from potstill.evaluation.baselines import (
    BASE_RATE,
    TFIDF,
    base_rates,
    score_base_rates,
    score_tfidf,
)
from potstill.evaluation.classification import MAIN_METRIC, fit, score
from potstill.evaluation.describe_texts import describe_texts
from potstill.evaluation.kept import KeptAnswer
from potstill.evaluation.multilabel import by_label
from potstill.records import TextExample
from potstill.runtime.classification import Classifier
from potstill.runtime.texts import TextOrPair
from potstill.tasks.task import Card, Evaluated, Loaded, Scores, Task, Values
from potstill.text.tokenizer import Tokenizer


class TextClassification(Task[Classifier]):
    """Gives texts, or pairs of texts, a label, several, or a number."""

    head = "classification"
    client = Classifier
    trained = "potstill.training.labels.classification:ClassificationTraining"
    recipes = (
        "potstill.training.recipe.classification:ClassificationRecipe",
        "potstill.training.recipe.classification:ClassificationDistilRecipe",
    )
    verb = "classify", "TEXT"
    does = "classify texts"
    pipeline = (
        "text-classification",
        "potstill.runtime.task_pipelines:TextClassificationPipeline",
    )
    aliases = ("sentiment-analysis",)
    max_drop = 0.3
    columns = ("text",)
    more_columns = ("pair",)
    eval_options = frozenset(("held_out", "train"))
    layout = frozenset(("format", "text", "pair", "label", "labels"))
    served = "potstill.serving.classification:ServedClassifier"
    card = Card(
        auto="AutoModelForSequenceClassification",
        tags=("potstill", "text-classification"),
        does="that labels texts",
        code=(
            "from potstill import Classifier",
            "",
            'classifier = Classifier.from_options("path/to/this/folder")',
            'classifier.classify("A text like those it was trained on.")',
        ),
        limits="It gives one of its labels to anything, also to texts unlike those it was trained "
        "on, and it has learned whatever bias their labels have.",
        metrics=(
            "accuracy", "macro_f1", "micro_f1", "f1", "matthews", "spearman", "pearson", "roc_auc",
            "average_precision",
        ),
        labels=True,
    )  # fmt: skip

    def read(self, path: str | Path, model: Path | None, columns: Mapping[str, Any]) -> Loaded:
        manifest = None if model is None else read_manifest(model)
        layout = layout_for(manifest.recipe if manifest else {}, columns)
        asked = None if model is None else Classifier.own_options(read_config(model), manifest)
        if asked is not None:
            layout = with_labels(layout, asked.labels, asked.problem)
        data = load_texts(path, layout)
        return Loaded(
            examples=data.examples,
            labels=asked.labels if asked else data.labels,
            problem=asked.problem if asked else data.problem,
            notes=data.notes,
            layout=asdict(layout),
            source=data,
        )

    def answer(
        self, client: Classifier, examples: Sequence[TextExample], **given: Any
    ) -> Iterable[Any]:
        return client.read_many(map(as_input, examples))

    def score(self, evaluated: Evaluated[Classifier]) -> Scores:
        loaded, calibration = evaluated.loaded, evaluated.manifest.calibration
        labels, problem = loaded.labels, loaded.problem
        gold = gold_array(evaluated.examples, labels, problem)
        how: dict[str, Any] = {"problem": problem, "labels": labels}
        return {**score(_logits(evaluated.answers), gold, calibration=calibration or None, **how)}

    def metric(self, loaded: Loaded) -> str:
        return MAIN_METRIC[loaded.problem]

    def main_score(self, config: ModelConfig) -> str:
        return MAIN_METRIC.get(config.problem, "accuracy")

    def item(self, client: Classifier, text: str) -> str:
        return text

    def ask(self, client: Classifier, items: Sequence[TextOrPair]) -> Sequence[Any]:
        return client.classify_many(items)

    def more(self, evaluated: Evaluated[Classifier]) -> Scores:
        loaded, logits = evaluated.loaded, _logits(evaluated.answers)
        labels, problem = loaded.labels, loaded.problem
        gold = gold_array(evaluated.examples, labels, problem)
        found: Scores = {}
        if evaluated.held_out:  # the calibration in the bundle was fitted on these very rows
            crossed = fit(logits, gold, problem=problem, labels=labels)
            names = [name for name in ("macro_f1", "ece", "bce") if name in crossed]
            found |= {f"{name}_cross_fitted": crossed[name] for name in names}
        if problem == "multi-label":
            calibration = evaluated.manifest.calibration or None
            found["by_label"] = by_label(logits, gold, labels=labels, calibration=calibration)
        return found

    def baselines(self, evaluated: Evaluated[Classifier]) -> dict[str, Scores]:
        loaded, train = evaluated.loaded, evaluated.train
        how: dict[str, Any] = {"problem": loaded.problem, "labels": loaded.labels}
        gold = gold_array(evaluated.examples, loaded.labels, loaded.problem)
        n = len(loaded.labels)
        rates = list(evaluated.manifest.data.get("base_rates", {}).values())
        found: dict[str, Scores] = {}
        if train is not None:
            seen = gold_array(train, loaded.labels, loaded.problem)
            rates = base_rates(seen, problem=loaded.problem, n_labels=n)
            found[TFIDF] = score_tfidf(train, seen, evaluated.examples, gold, **how)
        # Where nothing is known of the training data, the rates are those of the very data scored.
        rates = rates or base_rates(gold, problem=loaded.problem, n_labels=n)
        return {BASE_RATE: score_base_rates(rates, gold, **how), **found}

    def said(self, evaluated: Evaluated[Classifier]) -> Sequence[KeptAnswer]:
        client = evaluated.client
        problem = client.options.problem
        found: list[KeptAnswer] = []
        for example, answer in zip(evaluated.examples, evaluated.answers, strict=True):
            labels = client.judge(answer).labels
            if problem == "regression":
                found.append(KeptAnswer(example.id, (f"{labels[0].score:.5g}",)))
                continue
            given = tuple(one.label for one in labels if one.chosen)
            sure = [one.score if one.chosen else 1 - one.score for one in labels]
            # Of several labels, that of the whole set; of one, its own.
            own = prod(sure) if problem == "multi-label" else labels[0].score
            found.append(KeptAnswer(example.id, given, round(own, 5)))
        return found

    def said_of(self, path: str | Path, layout: Mapping[str, Any]) -> Sequence[TextExample]:
        if not layout:
            raise DataError(f"{path}: an evaluation of it does not say how it is read")
        return load_texts(path, TextLayout(**layout)).examples

    def describe(self, loaded: Loaded, tokenizer: Tokenizer, **how: int) -> dict[str, Any]:
        return describe_texts(loaded.source, tokenizer, seq_len=how["seq_len"])

    def value_kinds(self, client: Classifier) -> dict[str, str]:
        several = client.options.problem == "multi-label"
        one = {"label": "string", "score": "double"}
        many = {"labels": "list<string>", "scores": "list<double>"}
        return {**(many if several else one), "truncated": "bool"}

    def values(self, client: Classifier, batch: Sequence[tuple[str, ...]]) -> list[Values]:
        rows = [(texts[0], texts[1]) if len(texts) == 2 else texts[0] for texts in batch]
        found: list[Values] = []
        for said in client.classify_many(rows):
            chosen = [label for label in said.labels if label.chosen]
            if client.options.problem == "multi-label":
                own: Values = {
                    "labels": [label.label for label in chosen],
                    "scores": [label.score for label in chosen],
                }
            else:
                own = {"label": chosen[0].label, "score": chosen[0].score}
            found.append({**own, "truncated": said.truncated})
        return found

    def limits(self, manifest: Manifest) -> str:
        n = manifest.max_windows
        if n == 0:
            reach = f"whole, {manifest.seq_len} tokens at a time."
        else:
            where = "from its start only" if n == 1 else f"in {n} rows from its start to its end"
            reach = f"{where}, of at most {manifest.seq_len} tokens{' each' * (n > 1)}."
        return f"{self.card.limits} A long text is read {reach}"


def as_input(example: TextExample) -> TextOrPair:
    """What a classifier reads of an example."""
    return example.text if example.pair is None else (example.text, example.pair)


def _logits(answers: Sequence[Any]) -> npt.NDArray[np.float32]:
    return np.array([answer.logits for answer in answers], np.float32)
