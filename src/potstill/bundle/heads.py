"""The heads a model folder may carry on its encoder: names, shapes, Hugging Face's classes.

One row a head. What reads weights, what writes a config and what makes a model all look here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from potstill.bundle.config import ModelConfig
from potstill.bundle.names import HeadName as HeadName
from potstill.errors import ConfigError

Shapes: TypeAlias = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is known of one head."""

    title: str
    """As messages call it."""
    shapes: Callable[[ModelConfig], Shapes]
    """Our parameter name → shape on an encoder of a config."""
    architectures: Mapping[str, str]
    """``model_type`` → Hugging Face's class with this head."""
    remedy: str
    """How a bare encoder comes by one."""


def linear_shapes(name: str, n_out: int, n_in: int) -> Shapes:
    """Parameters of a linear layer."""
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def norm_shapes(name: str, width: int) -> Shapes:
    """Parameters of a layer norm."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _mlm_shapes(config: ModelConfig) -> Shapes:
    width = config.hidden_width
    # The decoder's matrix is the word table itself, so a file holds it once, as that.
    return {
        **linear_shapes("lm_head.dense", width, width),
        **norm_shapes("lm_head.norm", width),
        "lm_head.bias": (config.vocab_size,),
    }


def _pooled_shapes(config: ModelConfig, n_out: int) -> Shapes:
    width = config.hidden_width
    return linear_shapes("pooler", width, width) | linear_shapes("classifier", n_out, width)


def _pooler_shapes(config: ModelConfig) -> Shapes:
    has_pooler = config.model_type in ("bert", "roberta", "mpnet")
    return linear_shapes("pooler", config.hidden_width, config.hidden_width) if has_pooler else {}


_PREFIXES = {
    "bert": "Bert",
    "distilbert": "DistilBert",
    "roberta": "Roberta",
    "electra": "Electra",
    "mpnet": "MPNet",
}


def _classes(ending: str) -> dict[str, str]:
    return {model_type: prefix + ending for model_type, prefix in _PREFIXES.items()}


HEADS: Mapping[HeadName, Head] = {
    "qa": Head(
        title="question-answering head",
        shapes=lambda config: linear_shapes("qa_head", 2, config.hidden_width),
        architectures=_classes("ForQuestionAnswering"),
        remedy="fine-tune it first with `potstill finetune`",
    ),
    "mlm": Head(
        title="masked-LM head",
        shapes=_mlm_shapes,
        # Not ELECTRA: its generator's head is another, and its encoder learned something else.
        architectures={
            "bert": "BertForMaskedLM",
            "distilbert": "DistilBertForMaskedLM",
            "roberta": "RobertaForMaskedLM",
            "mpnet": "MPNetForMaskedLM",
        },
        remedy="train one first with `potstill finetune recipes/mlm-head.toml`",
    ),
    "classification": Head(
        title="text-classification head",
        shapes=lambda config: _pooled_shapes(config, config.n_labels),
        architectures=_classes("ForSequenceClassification"),
        remedy="fine-tune it first with `potstill finetune` and a recipe of text-classification",
    ),
    "tagging": Head(
        title="token-classification head",
        shapes=lambda config: linear_shapes("classifier", config.n_labels, config.hidden_width),
        architectures=_classes("ForTokenClassification"),
        remedy="fine-tune it first with `potstill finetune` and a recipe of token-classification",
    ),
    "choice": Head(
        title="multiple-choice head",
        shapes=lambda config: _pooled_shapes(config, 1),
        architectures=_classes("ForMultipleChoice"),
        remedy="fine-tune it first with `potstill finetune` and a recipe of multiple-choice",
    ),
    "bare": Head(
        title="pooler",
        shapes=_pooler_shapes,
        architectures=_classes("Model"),
        remedy="load it as a model without one",
    ),
}
"""Name → head."""

TASKS: Mapping[HeadName, str] = {
    "qa": "question-answering",
    "mlm": "masked-lm",
    "classification": "text-classification",
    "tagging": "token-classification",
    "choice": "multiple-choice",
}
"""Head → the task it is for, as recipes and manifests call it."""


def head_of(config: ModelConfig) -> HeadName | None:
    """The head that ``config.json`` names in ``architectures``; ``None`` where it names none."""
    for named in config.extra.get("architectures") or ():
        for head, known in HEADS.items():
            if known.architectures.get(config.model_type) == named:
                return head
    return None


def architecture(config: ModelConfig, head: HeadName) -> str:
    """Hugging Face's class of this encoder with this head.

    Raises:
        ConfigError: such encoders have no such head.
    """
    known = HEADS[head]
    if config.model_type not in known.architectures:
        raise ConfigError(
            f"{config.model_type} models cannot have a {known.title}: "
            f"use one of type {', '.join(known.architectures)}"
        )
    return known.architectures[config.model_type]


def hf_config(config: ModelConfig, head: HeadName, *, dtype: str = "float32") -> dict[str, Any]:
    """What ``config.json`` holds for AutoModel and the hub's pages to know the head.

    Args:
        config: the model's shape.
        head: the head its weights have.
        dtype: of the stored weights.
    """
    values = {**config.to_hf(), "architectures": [architecture(config, head)]}
    values.pop("torch_dtype", None)  # the older spelling of the next
    return {**values, "dtype": dtype}
