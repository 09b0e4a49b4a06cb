"""What ``potstill eval`` does for the tasks that label texts: data, runtime and scores of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from potstill.bundle.config import read_config
from potstill.bundle.heads import TASKS, HeadName
from potstill.bundle.manifest import Manifest, read_manifest
from potstill.cli.keeping import keep, timed
from potstill.cli.options import of_texts
from potstill.data.split import split_examples
from potstill.errors import InputError
from potstill.runtime.opening import Workers

if TYPE_CHECKING:
    from potstill.evaluation.kept import Said
    from potstill.runtime.classification import Classifier
    from potstill.runtime.opening import Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a model is scored on, and how."""

    folder: Path
    data: str
    columns: Mapping[str, Any]
    """How rows lie in ``data``, see `potstill.cli.options.columns_option`: those given; the others
    are as in the model's recipe."""
    held_out: bool = False
    """Score only what the model's recipe kept out of training of this very file."""
    train: str | None = None
    """Training data, for the baselines."""
    limit: int | None = None
    precision: Any = None
    runtime: str | None = None
    threads: int | None = None
    workers: Workers = None
    batch_tokens: int | None = None
    max_windows: int | None = None
    """That a text classifier reads a long text in, instead of its own."""
    keep_as: str | None = None
    """The model's folder as the user named it, where what is found is to be kept there."""

    @property
    def opening(self) -> dict[str, Any]:
        """What every task's client is opened with."""
        return {
            "precision": self.precision,
            "runtime": self.runtime,
            "threads": self.threads,
            "workers": self.workers,
            "token_budget": self.batch_tokens,
        }

    @property
    def manifest(self) -> Manifest:
        """The model's; an empty one where it has none."""
        return read_manifest(self.folder) or Manifest()

    def chosen(self, examples: Sequence[Any]) -> list[Any]:
        """The examples to score.

        Raises:
            InputError: the model's recipe kept none out of training.
        """
        if not self.held_out:
            return list(examples)[: self.limit]
        return self._parts(examples)[1][: self.limit]

    def learned(self, load: Callable[[str], Sequence[Any]]) -> list[Any] | None:
        """Of ``train``, what a baseline may learn; with ``held_out``, what the model did.

        Read before anything is predicted, so that what is wrong with it is said at once.

        Raises:
            InputError: the model's recipe kept none out of training.
        """
        if self.train is None:
            return None
        examples = load(self.train)
        return self._parts(examples)[0] if self.held_out else list(examples)

    def _parts(self, examples: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        recipe = self.manifest.recipe
        if recipe.get("folds"):
            from potstill.data.choice import fold

            return fold(examples, recipe["folds"], recipe["fold"])
        if not recipe.get("split"):
            raise InputError(
                f"{self.folder} was not trained with split or folds: leave --held-out away"
            )
        return split_examples(examples, recipe["split"], recipe["split_seed"])


def score_texts(asked: Asked) -> dict[str, Any]:
    """Scores a text classifier; ``by_label`` where a text may have several, and ``baselines``."""
    from potstill.data.classification import gold_array, load_texts, with_labels
    from potstill.data.glue import layout_for
    from potstill.evaluation.classification import fit, score
    from potstill.evaluation.multilabel import by_label
    from potstill.evaluation.text_mistakes import layout_values
    from potstill.runtime.classification import Classifier

    manifest = asked.manifest
    options = Classifier.own_options(read_config(asked.folder), manifest)
    labels, problem = options.labels, options.problem
    layout = layout_for(manifest.recipe, of_texts(asked.columns))
    layout = with_labels(layout, labels, problem)
    loaded = load_texts(asked.data, layout)
    _tell(loaded.notes)
    examples = asked.chosen(loaded.examples)
    train = asked.learned(lambda path: load_texts(path, layout).examples)
    classifier = Classifier.from_options(
        asked.folder, max_windows=asked.max_windows, **asked.opening
    )
    texts = [e.text if e.pair is None else (e.text, e.pair) for e in examples]
    began = time.perf_counter()
    logits = classifier.logits_many(texts)
    seconds = time.perf_counter() - began
    gold = gold_array(examples, labels, problem)
    how: dict[str, Any] = {"labels": labels, "calibration": manifest.calibration or None}
    result: dict[str, Any] = score(logits, gold, problem=problem, **how)
    result["seconds"] = round(seconds, 3)
    if asked.held_out:  # the calibration in the bundle was fitted on these very rows
        crossed = fit(logits, gold, problem=problem, labels=labels)
        names = [name for name in ("macro_f1", "ece", "bce") if name in crossed]
        result |= {f"{name}_cross_fitted": crossed[name] for name in names}
    if problem == "multi-label":
        result["by_label"] = by_label(logits, gold, **how)
    result["baselines"] = _text_baselines(asked, train, examples, gold, labels, problem)
    _keep(
        asked,
        "classification",
        result,
        classifier.opened,
        lambda t: classifier.logits_many([t]),
        texts,
        lambda: _said_of_texts(classifier, examples, logits),
        layout_values(layout),
    )
    return result


def _said_of_texts(classifier: Classifier, examples: Sequence[Any], logits: Any) -> list[Said]:
    from potstill.evaluation.kept import Said
    from potstill.runtime.classification import Said as Read

    found: list[Said] = []
    for example, row in zip(examples, logits, strict=True):
        labels = classifier.judge(Read(row, False)).labels
        if classifier.options.problem == "regression":
            found.append(Said(example.id, (f"{labels[0].score:.5g}",)))
            continue
        given = tuple(one.label for one in labels if one.chosen)
        sure = [one.score if one.chosen else 1 - one.score for one in labels]
        # Of several labels, that of the whole set; of one, its own.
        own = prod(sure) if classifier.options.problem == "multi-label" else labels[0].score
        found.append(Said(example.id, given, round(own, 5)))
    return found


def _text_baselines(
    asked: Asked, train: Any, examples: Any, gold: Any, labels: Sequence[str], problem: str
) -> dict[str, Any]:
    from potstill.data.classification import gold_array
    from potstill.evaluation.baselines import (
        BASE_RATE,
        TFIDF,
        base_rates,
        score_base_rates,
        score_tfidf,
    )

    rates = list(asked.manifest.data.get("base_rates", {}).values())
    found: dict[str, Any] = {}
    how: dict[str, Any] = {"problem": problem, "labels": labels}
    if train is not None:
        seen = gold_array(train, labels, problem)
        rates = base_rates(seen, problem=problem, n_labels=len(labels))
        found[TFIDF] = score_tfidf(train, seen, examples, gold, **how)
    # Where nothing is known of the training data, the rates are those of the very data scored.
    rates = rates or base_rates(gold, problem=problem, n_labels=len(labels))
    return {BASE_RATE: score_base_rates(rates, gold, **how), **found}


def score_tagged(asked: Asked) -> dict[str, Any]:
    """Scores a tagger; ``by_label`` where the tags mark spans."""
    from dataclasses import asdict

    from potstill.data.tagging import for_model, load_tags, tag_layout_for
    from potstill.evaluation.kept import Said
    from potstill.evaluation.tagging import MostFrequentTag, score_tags, score_types
    from potstill.evaluation.text_mistakes import layout_values
    from potstill.runtime.tagging import Tagger

    layout = tag_layout_for(asked.manifest.recipe, asked.columns)
    data = load_tags(asked.data, layout)
    data = for_model(data, read_config(asked.folder).label_names, str(asked.folder))
    _tell([data.note] if data.note else [])
    examples = asked.chosen(data.examples)
    train = asked.learned(lambda path: load_tags(path, layout).examples)
    tagger = Tagger.from_options(asked.folder, **asked.opening)
    golds = [example.tags for example in examples]
    began = time.perf_counter()
    found = tagger.tag_words_many([example.words for example in examples])
    seconds = time.perf_counter() - began
    result: dict[str, Any] = {
        **score_tags(golds, found, data.scheme),
        "seconds": round(seconds, 3),
    }
    if data.scheme == "spans":
        types = score_types(golds, found, data.scheme)
        result["by_label"] = {name: asdict(one) for name, one in types.items()}
    if train is not None:
        usual = MostFrequentTag(train)
        guessed = [usual.tag_words(example.words) for example in examples]
        scores = score_tags(golds, guessed, data.scheme)
        result["baselines"] = {"the most frequent tag of each word": scores}
    words = [example.words for example in examples]
    _keep(
        asked,
        "tagging",
        result,
        tagger.opened,
        lambda w: tagger.tag_words_many([w]),
        words,
        lambda: [Said(e.id, tuple(tags)) for e, tags in zip(examples, found, strict=True)],
        layout_values(layout),
    )
    return result


def score_chosen(asked: Asked) -> dict[str, Any]:
    """Scores a model that chooses."""
    from potstill.data.choice import load_choices
    from potstill.evaluation.choice import baselines, chance, score_choices
    from potstill.evaluation.kept import Said
    from potstill.runtime.choice import Chooser, best

    examples = asked.chosen(load_choices(asked.data))
    train = asked.learned(load_choices)
    chooser = Chooser.from_options(asked.folder, **asked.opening)
    began = time.perf_counter()
    scored = chooser.score_many([(example.prompt, example.choices) for example in examples])
    found = [best(scores) for scores in scored]
    seconds = time.perf_counter() - began
    result: dict[str, Any] = {
        **score_choices(examples, found),
        "seconds": round(seconds, 3),
        "baselines": {"a guess": {"accuracy": chance(examples), "total": len(examples)}}
        if train is None
        else baselines(train, examples),
    }
    given = [(example.prompt, example.choices) for example in examples]
    _keep(
        asked,
        "choice",
        result,
        chooser.opened,
        lambda g: chooser.pick_many([g]),
        given,
        lambda: [
            Said(example.id, (str(made),), round(scores[made].score, 5))
            for example, made, scores in zip(examples, found, scored, strict=True)
        ],
    )
    return result


def _tell(notes: Sequence[str]) -> None:
    """What is worth knowing of the data, on stderr."""
    for note in notes:
        click.echo(f"potstill: {note}", err=True)


def _keep(
    asked: Asked,
    head: HeadName,
    result: Mapping[str, Any],
    opened: Opened | None,
    call: Callable[[Any], Any],
    examples: Sequence[Any],
    said: Callable[[], Sequence[Said]],
    layout: Mapping[str, Any] | None = None,
) -> None:
    """Keeps what was found, with the milliseconds of one example at a time, where that is asked."""
    if asked.keep_as is None:
        return
    assert opened is not None
    left_out = ("seconds", "baselines", "by_label")
    keep(
        asked.keep_as,
        task=TASKS[head],
        data=asked.data,
        limit=asked.limit,
        opened=opened,
        scores={name: value for name, value in result.items() if name not in left_out},
        milliseconds=timed(call, examples, opened.layout.threads),
        said=said(),
        layout=layout,
    )


SCORERS: Mapping[HeadName, Callable[[Asked], dict[str, Any]]] = {
    "classification": score_texts,
    "tagging": score_tagged,
    "choice": score_chosen,
}
"""Head → what scores a model with it."""


def score_model(head: HeadName, asked: Asked) -> dict[str, Any]:
    """Scores a model of any task but question answering.

    Raises:
        InputError: there is nothing to score such a model by, or it has no such option.
    """
    if asked.max_windows is not None and head != "classification":
        raise InputError(
            f"{asked.folder} is a model of {TASKS.get(head, head)}: leave --windows away, which is "
            "of text classifiers"
        )
    if head not in SCORERS:
        raise InputError(
            f"{asked.folder} is a model of {TASKS.get(head, head)}: potstill eval scores "
            f"{', '.join(TASKS[known] for known in ('qa', *SCORERS))}"
        )
    return SCORERS[head](asked)
