"""How good one ONNX file of a model is: for each head its data, its metric, and the runtime."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import read_config
from potstill.bundle.heads import HeadName
from potstill.bundle.manifest import Manifest, read_manifest
from potstill.data.choice import load_choices
from potstill.data.classification import gold_array, load_texts, with_labels
from potstill.data.glue import layout_for
from potstill.data.qa import load_qa
from potstill.data.tagging import for_model, load_tags, tag_layout_for
from potstill.data.text import documents
from potstill.evaluation.choice import score_choices
from potstill.evaluation.classification import MAIN_METRIC, score
from potstill.evaluation.readings import collect, score_predictions
from potstill.evaluation.tagging import score_tags
from potstill.runtime.choice import Chooser
from potstill.runtime.classification import Classifier
from potstill.runtime.lm import Filler
from potstill.runtime.qa import QAClient
from potstill.runtime.session import Session, usable_cores
from potstill.runtime.tagging import Tagger
from potstill.runtime.texts import Row, run_rows

TITLES: Mapping[str, str] = {
    "f1": "F1",
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "spearman": "Spearman",
}
"""Name of a score → how messages call it."""

_PARAGRAPHS = 400
"""Paragraphs that a language model is measured on: about 6,000 hidden tokens of an encyclopedia."""
_FIRST, _EVERY = 3, 7
"""Of each paragraph the tokens 3, 10, 17, … are hidden: a seventh, as in training."""
_CHUNK = 8

Scores: TypeAlias = "dict[str, float]"
Columns: TypeAlias = "Mapping[str, Any]"
"""How rows with labels lie in their file, where otherwise than in the model's recipe."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Data that were read, and how a file is scored on them."""

    metric: str
    """The score that is compared, in points."""
    n_examples: int
    measure: Callable[[Path, Path, Session | None], Scores]
    """(folder, ONNX file, what to run instead of that file) → scores by name."""
    max_drop: float = 0.5
    """Points of the metric that a file may lose, where nobody says otherwise."""


def _questions(path: str | Path, model: Path, columns: Columns) -> Measured:
    loaded = load_qa(path)
    loaded.check_golds(path)

    def measure(folder: Path, file: Path, session: Session | None) -> Scores:
        client = QAClient.from_options(
            folder, onnx_file=file, no_answer=loaded.no_answer, threads=1
        )
        client = client.using(session=session)
        pairs = ((e.question, e.context) for e in loaded.examples)
        # Several workers of one thread read faster than one of several, and alike.
        found = collect(loaded.examples, client.read_many(pairs, workers=usable_cores()))
        scores = score_predictions(
            loaded.examples,
            found,
            rules_v2=loaded.no_answer,
            null_threshold=client.options.threshold,
        )
        return {name: scores[name] for name in ("exact", "f1", "total")}

    return Measured("f1", len(loaded.examples), measure)


def _texts(path: str | Path, model: Path, columns: Columns) -> Measured:
    manifest = read_manifest(model) or Manifest()
    options = Classifier.own_options(read_config(model), manifest)
    labels, problem = options.labels, options.problem
    known = {name: value for name, value in columns.items() if name not in ("word", "tag")}
    layout = with_labels(layout_for(manifest.recipe, known), labels, problem)
    examples = load_texts(path, layout).examples
    gold = gold_array(examples, labels, problem)
    texts = [e.text if e.pair is None else (e.text, e.pair) for e in examples]

    def measure(folder: Path, file: Path, session: Session | None) -> Scores:
        classifier = Classifier.from_options(folder, onnx_file=file, threads=1)
        classifier = classifier.using(session=session)
        logits = classifier.logits_many(texts, workers=usable_cores())
        calibration = manifest.calibration
        return score(logits, gold, problem=problem, labels=labels, calibration=calibration)

    return Measured(MAIN_METRIC[problem], len(examples), measure, max_drop=0.3)


def _tags(path: str | Path, model: Path, columns: Columns) -> Measured:
    manifest = read_manifest(model) or Manifest()
    data = load_tags(path, tag_layout_for(manifest.recipe, columns))
    data = for_model(data, read_config(model).label_names, str(model))
    golds = [example.tags for example in data.examples]

    def measure(folder: Path, file: Path, session: Session | None) -> Scores:
        tagger = Tagger.from_options(folder, onnx_file=file)
        tagger = tagger.using(session=session)
        found = tagger.tag_words_many([example.words for example in data.examples])
        return score_tags(golds, found, data.scheme)

    return Measured("f1" if data.scheme == "spans" else "accuracy", len(golds), measure)


def _choices(path: str | Path, model: Path, columns: Columns) -> Measured:
    examples = load_choices(path)

    def measure(folder: Path, file: Path, session: Session | None) -> Scores:
        chooser = Chooser.from_options(folder, onnx_file=file)
        chooser = chooser.using(session=session)
        found = chooser.score_many([(e.prompt, e.choices) for e in examples])
        return score_choices(
            examples, [max(scores, key=lambda s: (s.score, -s.index)).index for scores in found]
        )

    return Measured("accuracy", len(examples), measure)


def _text(path: str | Path, model: Path, columns: Columns) -> Measured:
    every = (paragraph for document in documents(path) for paragraph in document.paragraphs)
    paragraphs = list(itertools.islice(every, _PARAGRAPHS))

    def measure(folder: Path, file: Path, session: Session | None) -> Scores:
        filler = Filler.from_options(folder, onnx_file=file)
        filler = filler.using(session=session)
        right = total = 0
        for begin in range(0, len(paragraphs), _CHUNK):
            found, hidden = _found_again(filler, paragraphs[begin : begin + _CHUNK])
            right, total = right + found, total + hidden
        return {"accuracy": 100.0 * right / max(1, total), "total": total}

    return Measured("accuracy", len(paragraphs), measure)


def _found_again(filler: Filler, paragraphs: list[str]) -> tuple[int, int]:
    """Hides tokens of some paragraphs; how many were found again, and how many were hidden."""
    tokenizer = filler.tokenizer
    whole: list[npt.NDArray[np.int64]] = []
    for encoded in tokenizer.encode_batch(paragraphs):
        inner = encoded.ids[: filler.options.seq_len - 2]
        ids = np.concatenate([[tokenizer.cls_id], inner, [tokenizer.sep_id]])
        whole.append(ids.astype(np.int64))
    places = [np.arange(1 + _FIRST, len(ids) - 1, _EVERY) for ids in whole]
    rows: list[Row] = []
    for ids, at in zip(whole, places, strict=True):
        shown = ids.copy()
        shown[at] = tokenizer.mask_id
        rows.append(Row(shown, len(shown)))
    said = run_rows(filler.session, rows, pad_id=tokenizer.pad_id, layout=tokenizer.layout)
    right = sum(
        int((logits[at].argmax(axis=-1) == ids[at]).sum())
        for logits, ids, at in zip(said, whole, places, strict=True)
    )
    return right, sum(map(len, places))


MEASURES: Mapping[HeadName, Callable[[str | Path, Path, Columns], Measured]] = {
    "qa": _questions,
    "classification": _texts,
    "tagging": _tags,
    "choice": _choices,
    "mlm": _text,
}
"""Head → what reads a data file for it, given the folder of the model it will score."""
