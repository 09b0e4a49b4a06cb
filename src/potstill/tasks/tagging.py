"""Token classification: all of it but how it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from potstill.bundle.config import read_config
from potstill.bundle.manifest import read_manifest
from potstill.data.tagging import Scheme, TagLayout, for_model, load_tags, tag_layout_for
from potstill.evaluation.describe_texts import describe_tags
from potstill.evaluation.kept import KeptAnswer
from potstill.evaluation.tagging import MostFrequentTag, score_tags, score_types
from potstill.records import TagExample
from potstill.runtime.tagging import Tagger
from potstill.tasks.task import Card, Evaluated, Loaded, Scores, Task, Values
from potstill.text.tokenizer import Tokenizer


class Tagging(Task[Tagger]):
    """Gives every word of a text a tag, and joins tags to labelled spans."""

    head = "tagging"
    client = Tagger
    trained = "potstill.training.labels.tagging:TaggingTraining"
    recipes = (
        "potstill.training.recipe.tagging:TaggingRecipe",
        "potstill.training.recipe.tagging:TaggingDistilRecipe",
    )
    verb = "tag", "TEXT"
    does = "tag words and names"
    pipeline = (
        "token-classification",
        "potstill.runtime.token_pipelines:TokenClassificationPipeline",
    )
    aliases = ("ner",)
    columns = ("text",)
    eval_options = frozenset(("held_out", "train"))
    layout = frozenset(("labels", "word", "tag"))
    served = "potstill.serving.tagging:ServedTagger"
    card = Card(
        auto="AutoModelForTokenClassification",
        tags=("potstill", "token-classification"),
        does="that labels words and names in texts",
        code=(
            "from potstill import Tagger",
            "",
            'tagger = Tagger.from_options("path/to/this/folder")',
            'tagger.tag("The queen of Denmark lives in Copenhagen.")',
        ),
        limits="It knows the types of its training data alone, and names that look like theirs "
        "best.",
        metrics=("f1", "precision", "recall", "accuracy"),
        labels=True,
    )

    def read(self, path: str | Path, model: Path | None, columns: Mapping[str, Any]) -> Loaded:
        manifest = None if model is None else read_manifest(model)
        layout = tag_layout_for(manifest.recipe if manifest else {}, columns)
        data = load_tags(path, layout)
        if model is not None:
            data = for_model(data, read_config(model).label_names, str(model))
        return Loaded(
            examples=data.examples,
            labels=data.labels,
            scheme=data.scheme,
            notes=(data.note,) if data.note else (),
            layout=asdict(layout),
            source=data,
        )

    def answer(
        self, client: Tagger, examples: Sequence[TagExample], **given: Any
    ) -> Iterable[list[str]]:
        return client.tag_words_many([example.words for example in examples])

    def score(self, evaluated: Evaluated[Tagger]) -> Scores:
        golds = [example.tags for example in evaluated.examples]
        return {**score_tags(golds, evaluated.answers, _scheme(evaluated.loaded))}

    def metric(self, loaded: Loaded) -> str:
        return "f1" if loaded.scheme == "spans" else "accuracy"

    def item(self, client: Tagger, text: str) -> str:
        return text

    def ask(self, client: Tagger, items: Sequence[str]) -> Sequence[Any]:
        return client.tag_many(items)

    def more(self, evaluated: Evaluated[Tagger]) -> Scores:
        if evaluated.loaded.scheme != "spans":
            return {}
        golds = [example.tags for example in evaluated.examples]
        types = score_types(golds, evaluated.answers, "spans")
        return {"by_label": {name: asdict(one) for name, one in types.items()}}

    def baselines(self, evaluated: Evaluated[Tagger]) -> dict[str, Scores]:
        if evaluated.train is None:
            return {}
        usual = MostFrequentTag(evaluated.train)
        golds = [example.tags for example in evaluated.examples]
        guessed = [usual.tag_words(example.words) for example in evaluated.examples]
        scores = score_tags(golds, guessed, _scheme(evaluated.loaded))
        return {"the most frequent tag of each word": scores}

    def said(self, evaluated: Evaluated[Tagger]) -> Sequence[KeptAnswer]:
        pairs = zip(evaluated.examples, evaluated.answers, strict=True)
        return [KeptAnswer(example.id, tuple(tags)) for example, tags in pairs]

    def said_of(self, path: str | Path, layout: Mapping[str, Any]) -> Sequence[TagExample]:
        return load_tags(path, TagLayout(**layout)).examples

    def describe(self, loaded: Loaded, tokenizer: Tokenizer, **how: int) -> dict[str, Any]:
        return describe_tags(loaded.examples)

    def value_kinds(self, client: Tagger) -> dict[str, str]:
        return {"entities": "list<entity>"}

    def values(self, client: Tagger, batch: Sequence[tuple[str, ...]]) -> list[Values]:
        found = client.tag_many([texts[0] for texts in batch])
        return [{"entities": [entity.to_dict() for entity in own]} for own in found]


def _scheme(loaded: Loaded) -> Scheme:
    return cast("Scheme", loaded.scheme)
