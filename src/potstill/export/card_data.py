"""The front matter of a model card: what the hub reads of a model, from the run's own records.

Fields and their order follow the hub's specification (https://github.com/huggingface/hub-docs,
``modelcard.md``); ``huggingface_hub`` writes the YAML.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.bundle import layout
from potstill.bundle.manifest import Manifest, read_manifest
from potstill.tasks.task import Task

_METRICS: Mapping[str, tuple[str, str]] = {
    "exact": ("exact_match", "exact match"),
    "f1": ("f1", "F1"),
    "macro_f1": ("f1", "macro-F1"),
    "micro_f1": ("f1", "micro-F1"),
    "precision": ("precision", "precision"),
    "recall": ("recall", "recall"),
    "accuracy": ("accuracy", "accuracy"),
    "matthews": ("matthews_correlation", "Matthews correlation"),
    "spearman": ("spearmanr", "Spearman correlation"),
    "pearson": ("pearsonr", "Pearson correlation"),
    "roc_auc": ("roc_auc", "area under the ROC curve"),
    "average_precision": ("average_precision", "average precision"),
}
"""Our name of a score → the hub's, and how people call it."""

_SETS: Mapping[str, tuple[str, str, str]] = {
    "train-v1.1": ("rajpurkar/squad", "", "train"),
    "dev-v1.1": ("rajpurkar/squad", "", "validation"),
    "train-v2.0": ("rajpurkar/squad_v2", "", "train"),
    "dev-v2.0": ("rajpurkar/squad_v2", "", "validation"),
}
"""Start of a published file's name → id on the hub, config, split."""

_FORMATS: Mapping[str, tuple[str, str]] = {
    **{
        task: ("nyu-mll/glue", name)
        for task, name in {
            "CoLA": "cola",
            "SST-2": "sst2",
            "MRPC": "mrpc",
            "STS-B": "stsb",
            "QQP": "qqp",
            "MNLI": "mnli",
            "QNLI": "qnli",
            "RTE": "rte",
            "WNLI": "wnli",
        }.items()
    },
    "goemotions": ("google-research-datasets/go_emotions", "simplified"),
    "jigsaw": ("google/jigsaw_toxicity_pred", ""),
    "imdb": ("stanfordnlp/imdb", ""),
}
"""``format`` of a recipe → id on the hub, config."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """The data a score was measured on, or a model was trained on."""

    name: str
    """As people call it: the file's name, or what part of which file."""
    hub: str = ""
    """Id on the hub, where it is a published set."""
    config: str = ""
    split: str = ""


def data_set(file: str, format: str = "") -> DataSet:
    """What is known of a data file by its published name, or by the format of its recipe."""
    for start, (hub, config, split) in _SETS.items():
        if Path(file).name.startswith(start):
            return DataSet(file, hub, config, split)
    return DataSet(file, *_FORMATS.get(format, ()))


def scored_on(manifest: Manifest) -> DataSet:
    """The data that the manifest's scores were measured on.

    That is the recipe's ``dev``; without one the part of ``train`` that its ``holdout`` or
    ``split`` kept out of training.
    """
    recipe, data = manifest.recipe, manifest.data
    given = manifest.scores.get("data") or data.get("dev") or recipe.get("dev")
    share = recipe.get("holdout") or recipe.get("split")
    train = data.get("train") or data.get("corpus") or recipe.get("train") or "its own data"
    if share and not (given and recipe.get("split")):
        known = data_set(str(train), recipe.get("format", ""))
        return DataSet(f"{train}, {share:.0%} kept out of training", known.hub, known.config)
    return data_set(str(given or train), recipe.get("format", ""))


def origin_of(base: str, folder: Path, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Where a trained model comes from, as its card will say.

    Args:
        base: the model it started from, as the recipe names it.
        folder: where that model lies.
        recipe: with ``train`` and ``format``, for the data set.

    Returns:
        ``base_model`` (a hub id; that of the base's own base where the base is a folder),
        ``licence``, ``language`` and ``datasets``, those that are known.
    """
    card = card_values(folder)
    before = read_manifest(folder)
    known = dict(before.origin) if before else {}
    for key, field in (("base_model", "base_model"), ("licence", "license")):
        if field in card:
            known.setdefault(key, card[field])
    if "language" in card:
        known.setdefault("language", card["language"])
    is_id = "/" in base and not Path(base).expanduser().exists()
    if is_id:
        known["base_model"] = base
    # Random weights in the base's shape: nothing of it is left.
    if recipe.get("fresh") and recipe.get("embeddings") != "base":
        known = {key: value for key, value in known.items() if key == "language"}
    inherited = [] if is_id else _list(known.get("datasets", card.get("datasets")))
    own = data_set(str(recipe.get("train", "")), str(recipe.get("format", ""))).hub
    datasets = list(dict.fromkeys([*inherited, *([own] if own else [])]))
    return {**known, "datasets": datasets} if datasets else known


def card_values(folder: Path) -> dict[str, Any]:
    """The front matter of a folder's card; empty where it has none that can be read."""
    import yaml
    from huggingface_hub import metadata_load

    try:
        return dict(metadata_load(folder / layout.CARD) or {})
    except (OSError, ValueError, yaml.YAMLError):  # any folder's card: what it lacks stays unsaid
        return {}


def front_matter(name: str, manifest: Manifest, task: Task[Any]) -> str:
    """The YAML between the two lines of dashes.

    Args:
        name: of the model.
        manifest: its records.
        task: of the model.
    """
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=task.pipeline[0],
            dataset_type=data.hub or Path(data.name.split(",")[0]).stem or "own",
            dataset_name=data.name,
            dataset_config=data.config or None,
            dataset_split=data.split or None,
            metric_type=_METRICS[key][0],
            metric_name=f"{_METRICS[key][1]} of {file}",
            metric_value=round(float(scores[key]), 4),
            metric_args=how,
        )
        for data, file, scores, how in _measured(manifest, task)
        for key in task.card.metrics
        if key in scores
    ]
    origin = manifest.origin
    licence = manifest.licence or origin.get("licence")
    values = ModelCardData(
        library_name="transformers",
        pipeline_tag=task.pipeline[0],
        license=licence.lower() if isinstance(licence, str) else None,
        language=origin.get("language"),
        base_model=origin.get("base_model"),
        datasets=origin.get("datasets"),
        tags=list(task.card.tags),
        model_name=name,
        eval_results=results or None,
    ).to_dict()
    if not results:
        values.pop("model_name", None)
    return ModelCardData(**values).to_yaml()


def _measured(
    manifest: Manifest, task: Task[Any]
) -> Iterator[tuple[DataSet, str, Mapping[str, Any], dict[str, Any]]]:
    """Every measurement: its data, the file, the scores, and how they were taken."""
    how = task.settings(manifest)
    if manifest.scores:
        yield scored_on(manifest), "the trained weights", manifest.scores, _counted(manifest, how)
    for name, record in manifest.files.items():
        scores = record.info.get("scores")
        if isinstance(scores, Mapping):
            total = {"examples": int(scores["total"])} if "total" in scores else {}
            data = data_set(str(scores.get("data", "")), manifest.recipe.get("format", ""))
            yield data, name, scores, {**total, **how}


def _counted(manifest: Manifest, how: Mapping[str, Any]) -> dict[str, Any]:
    total = manifest.data.get("scored") or manifest.scores.get("total")
    return {**({"examples": int(total)} if total else {}), **how}


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, list | tuple) else [str(value)]
