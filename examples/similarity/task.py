"""Sentence similarity, a task that Potstill does not have: all of it but how it is trained.

The light half: its head as data, the client, and the object by which its models are exported,
scored, measured and described. torch is not needed. `add` makes it known to Potstill; a package
names that function as an entry point:

    [project.entry-points."potstill.tasks"]
    similarity = "similarity.task:add"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HeadSpec, Linear, classes
from potstill.bundle.manifest import Manifest, read_manifest
from potstill.data.cells import TextLayout
from potstill.data.classification import gold_array, load_texts
from potstill.errors import InputError
from potstill.evaluation.kept import KeptAnswer
from potstill.evaluation.metrics import pearson, spearman
from potstill.records import TextExample
from potstill.runtime.client import Client, ClientOptions, check_text, names
from potstill.runtime.opening import Opening
from potstill.runtime.plans import Outputs, Plan, check_finite
from potstill.runtime.texts import make_rows
from potstill.tasks.table import add as add_task
from potstill.tasks.task import Card, Evaluated, Loaded, Scores, Task, Values
from potstill.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

HEAD = HeadSpec(
    title="similarity head",
    task="sentence-similarity",
    steps=lambda config: (Linear("projection", config.hidden_width),),
    by_token=False,
    architectures=classes("ForSentenceSimilarity"),
    rows=(("projection", "projection"),),
    model="similarity.training:SimilarityModel",
    remedy="fine-tune it first with `potstill finetune` and a recipe of sentence-similarity",
)
"""A dense layer on the first token's state, and how alike two texts are is the cosine of what it
gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions(ClientOptions):
    """How texts are read; see `Comparer.from_options`."""


class Comparer(Client[CompareOptions]):
    """Says how alike two texts are. Safe to share between threads."""

    head = "similarity"

    @classmethod
    def from_options(
        cls, model: str | Path, *, seq_len: int | None = None, **opening: Unpack[Opening]
    ) -> Comparer:
        """Opens a model.

        Args:
            model: a model folder or a hub id.
            seq_len: longest text in tokens; by default the manifest's, or 384, but never more than
                the model has positions.
            **opening: what every client takes; see `Opening`.

        Raises:
            ModelNotFoundError: there is no such model.
            ModelError: the model's files are damaged, or it is of another task.
            InputError: an option is out of range.
        """
        return cls._open(model, {"seq_len": seq_len}, opening)

    @classmethod
    def own_options(cls, config: ModelConfig, manifest: Manifest | None) -> CompareOptions:
        manifest = manifest or Manifest()
        return CompareOptions(seq_len=min(manifest.seq_len, config.max_positions))

    def compare(self, text: str, pair: str) -> float:
        """The cosine of the vectors of two texts, in [-1, 1].

        Raises:
            EmptyInputError: a text is blank.
            ModelError: the model gives logits that are no numbers.
        """
        return self.compare_many([(text, pair)])[0]

    def compare_many(
        self, pairs: Iterable[tuple[str, str]], *, workers: int | None = None
    ) -> list[float]:
        """As `compare`, of many pairs: texts of similar length run together."""

        def plans(first: int, chunk: list[tuple[str, str]]) -> list[Plan[float]]:
            for name, pair in zip(names("pair", first, len(chunk)), chunk, strict=True):
                if not isinstance(pair, (tuple, list)) or len(pair) != 2:
                    raise InputError(f"{name} is a {type(pair).__name__}: give two texts")
                for text in pair:
                    check_text(text, name)
            texts = [text for pair in chunk for text in pair]
            rows, _ = make_rows(self.tokenizer, texts, self.options.seq_len)
            return [Plan(rows[i : i + 2], _cosine) for i in range(0, len(rows), 2)]

        return list(self.many("compare_many", pairs, plans, workers=workers))


def _cosine(said: Sequence[Outputs]) -> float:
    (one,), (other,) = said
    check_finite(one, other)
    return float(one @ other / max(float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-12))


class Similarity(Task[Comparer]):
    """Says how alike two sentences are, by the cosine of a vector of each."""

    head = "similarity"
    spec = HEAD
    client = Comparer
    trained = "similarity.training:SimilarityTraining"
    recipes = (
        "similarity.recipe:SimilarityRecipe",
        "similarity.recipe:SimilarityDistilRecipe",
    )
    verb = "bulk", "IN.csv", "OUT.csv"
    does = "say how alike two sentences are"
    pipeline = "sentence-similarity", ""
    columns = "text", "pair"
    layout = frozenset(("text", "pair", "label"))
    eval_options = frozenset(("held_out",))
    card = Card(
        auto="AutoModel",
        tags=("potstill", "sentence-similarity"),
        does="that says how alike two sentences are",
        code=(
            "from similarity.task import Comparer",
            "",
            'comparer = Comparer.from_options("path/to/this/folder")',
            'comparer.compare("A man is playing a guitar.", "Someone plays music.")',
        ),
        limits="It goes by words and topics: a sentence and its negation are much alike to it.",
        metrics=("spearman", "pearson"),
    )

    def read(self, path: str | Path, model: Path | None, columns: Mapping[str, Any]) -> Loaded:
        manifest = None if model is None else read_manifest(model)
        known = {**(manifest.recipe if manifest else {}), **columns}
        layout = {name: known[name] for name in sorted(self.layout) if known.get(name)}
        data = load_pairs(path, layout)
        return Loaded(examples=data, layout=layout)

    def answer(
        self, client: Comparer, examples: Sequence[TextExample], **given: Any
    ) -> Iterable[float]:
        return client.compare_many(map(as_pair, examples))

    def score(self, evaluated: Evaluated[Comparer]) -> Scores:
        return {**score_pairs(evaluated.examples, evaluated.answers)}

    def metric(self, loaded: Loaded) -> str:
        return "spearman"

    def item(self, client: Comparer, text: str) -> tuple[str, str]:
        return text, "yes."

    def ask(self, client: Comparer, items: Sequence[tuple[str, str]]) -> Sequence[Any]:
        return client.compare_many(items)

    def said(self, evaluated: Evaluated[Comparer]) -> Sequence[KeptAnswer]:
        highest = evaluated.manifest.recipe.get("highest", 1.0)
        both = zip(evaluated.examples, evaluated.answers, strict=True)
        return [KeptAnswer(example.id, (f"{highest * cosine:.5g}",)) for example, cosine in both]

    def describe(self, loaded: Loaded, tokenizer: Tokenizer, **how: int) -> dict[str, Any]:
        labels = gold_array(loaded.examples, (), "regression")
        figures = {"least": labels.min(), "mean": labels.mean(), "most": labels.max()}
        return {
            "pairs": len(loaded.examples),
            "labels": {name: float(value) for name, value in figures.items()},
        }

    def value_kinds(self, client: Comparer) -> dict[str, str]:
        return {"similarity": "double"}

    def values(self, client: Comparer, batch: Sequence[tuple[str, ...]]) -> list[Values]:
        return [{"similarity": one} for one in client.compare_many([(a, b) for a, b in batch])]


def load_pairs(
    path: str | Path, columns: Mapping[str, Any], *, labelled: bool = True
) -> list[TextExample]:
    """Pairs of texts with a number: ``text``, ``pair`` and ``label``, or columns of other names.

    Raises:
        DataError: the file cannot be read, or a row of it.
    """
    layout = TextLayout(**{"pair": "pair", **columns}, problem="regression")
    return load_texts(path, layout, labelled=labelled).examples


def as_pair(example: TextExample) -> tuple[str, str]:
    """What is compared of an example."""
    return example.text, example.pair or ""


def score_pairs(examples: Sequence[TextExample], cosines: Sequence[float]) -> dict[str, float]:
    """``spearman`` and ``pearson`` of cosines with the labels, in points, and ``total``."""
    gold, found = gold_array(examples, (), "regression").astype(float), np.array(cosines)
    scores = {"spearman": spearman(found, gold), "pearson": pearson(found, gold)}
    return {**{name: 100 * value for name, value in scores.items()}, "total": len(examples)}


def add() -> None:
    """Makes the task known to Potstill."""
    add_task(Similarity())
