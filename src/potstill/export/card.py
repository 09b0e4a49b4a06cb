"""The model card of an exported folder, where the source brings none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from potstill.bundle.config import ModelConfig
from potstill.bundle.manifest import Manifest

_KINDS = {
    "bert": "A BERT",
    "distilbert": "A DistilBERT",
    "roberta": "A RoBERTa",
    "electra": "An ELECTRA",
}


def model_card(name: str, config: ModelConfig, manifest: Manifest) -> str:
    """A short README with the front matter the hub reads, and scores where they are known."""
    lines = [*_front_matter(name, manifest), "", f"# {name}", ""]
    lines += [
        f"{_KINDS[config.model_type]} of {config.n_layers} layers of width {config.hidden_width} "
        "that finds answers to questions in a text.",
        "",
        "```python",
        "from potstill import QAClient",
        "",
        'reader = QAClient.from_options("path/to/this/folder")',
        'reader.predict("Who won?", "The Denver Broncos defeated the Carolina Panthers 24–10.")',
        "```",
        "",
        "It also loads with `AutoModelForQuestionAnswering` of transformers.",
    ]
    if manifest.scores:
        lines += ["", "## Scores", "", "| measure | value |", "| --- | --- |"]
        lines += [f"| {key} | {value} |" for key, value in manifest.scores.items()]
    if manifest.data:
        lines += ["", "## Data", "", *_list(manifest.data)]
    if manifest.recipe:
        lines += ["", "## Recipe", "", *_list(manifest.recipe)]
    lines += [
        "",
        "## What it is bad at",
        "",
        "It copies spans: it does not reason, count or combine, and it knows nothing beyond the "
        "text it is given."
        + ("" if manifest.no_answer else " It was not trained to say that there is no answer."),
    ]
    return "\n".join(lines) + "\n"


def _front_matter(name: str, manifest: Manifest) -> list[str]:
    lines = ["---", "library_name: transformers", "pipeline_tag: question-answering"]
    if manifest.licence:
        lines.append(f"license: {manifest.licence.lower()}")
    lines.append("tags: [potstill, question-answering, extractive-qa]")
    scores = [(key, manifest.scores[key]) for key in ("exact", "f1") if key in manifest.scores]
    if scores:
        data = manifest.scores.get("data") or manifest.data.get("dev") or "SQuAD"
        lines += ["model-index:", f"- name: {name}", "  results:", "  - task:"]
        lines += ["      type: question-answering", "    dataset:"]
        lines += [f"      name: {data}", f"      type: {data}", "    metrics:"]
        for key, value in scores:
            lines += [f"    - type: {key}", f"      value: {value}"]
    return [*lines, "---"]


def _list(values: Mapping[str, Any]) -> list[str]:
    return [f"- {key}: {value}" for key, value in values.items()]
