"""The heads a model folder may carry on its encoder: names, shapes, Hugging Face's classes.

One row a head. What reads weights, what writes a config and what makes a model all look here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from potstill.bundle.config import ModelConfig
from potstill.bundle.encoders.spec import HeadName as HeadName
from potstill.bundle.encoders.table import ENCODERS
from potstill.errors import ConfigError

Shapes: TypeAlias = dict[str, tuple[int, ...]]


QA_OUTPUTS = ("start_logits", "end_logits")
"""What a question-answering model gives, under the names of its ONNX file."""
LOGITS = ("logits",)
"""What a model of any other task gives."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer of a head."""

    name: str
    n_out: int
    bias: bool = True
    large: bool = False
    """Whether it is rounded to int8 as the encoder's layers are. The others stay float: what they
    would gain is less than what they lose."""


@dataclass(frozen=True, slots=True)
class Activate:
    """An activation between layers of a head."""

    activation: str


@dataclass(frozen=True, slots=True)
class Norm:
    """A layer norm of a head."""

    name: str
    bias: bool = True


@dataclass(frozen=True, slots=True)
class Words:
    """The product with the word table, which a file holds once, and a bias for each word."""

    name: str


Step: TypeAlias = "Linear | Activate | Norm | Words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is known of one head: all that writes, reads or computes it goes by this."""

    title: str
    """As messages call it."""
    task: str = ""
    """The task it is for, as recipes and manifests call it; empty for none."""
    steps: Callable[[ModelConfig], Sequence[Step]]
    """What makes its outputs of the encoder's last states, in order."""
    by_token: bool
    """Whether it speaks of every token; otherwise of the whole row, by its first token."""
    outputs: tuple[str, ...] = LOGITS
    """Names of its outputs; several share the columns of the last layer."""
    architectures: Mapping[str, str]
    """``model_type`` → Hugging Face's class with this head."""
    remedy: str
    """How a bare encoder comes by one."""

    def shapes(self, config: ModelConfig) -> Shapes:
        """Our parameter name → shape on an encoder of a config."""
        found: Shapes = {}
        width = config.hidden_width
        for step in self.steps(config):
            if isinstance(step, Linear):
                found |= linear_shapes(step.name, step.n_out, width, step.bias)
                width = step.n_out
            elif isinstance(step, Norm):
                found |= norm_shapes(step.name, width, step.bias)
            elif isinstance(step, Words):
                found[f"{step.name}.bias"] = (config.vocab_size,)
        return found

    def output_shape(self, config: ModelConfig) -> tuple[int, ...]:
        """Shape of each output behind its batch and token axes."""
        if len(self.outputs) > 1:
            return ()
        steps = self.steps(config)
        widths = {step.name: step.n_out for step in steps if isinstance(step, Linear)}
        last = steps[-1]
        return (config.vocab_size,) if isinstance(last, Words) else (list(widths.values())[-1],)


def linear_shapes(name: str, n_out: int, n_in: int, bias: bool = True) -> Shapes:
    """Parameters of a linear layer."""
    return {f"{name}.weight": (n_out, n_in), **({f"{name}.bias": (n_out,)} if bias else {})}


def norm_shapes(name: str, width: int, bias: bool = True) -> Shapes:
    """Parameters of a layer norm."""
    return {f"{name}.weight": (width,), **({f"{name}.bias": (width,)} if bias else {})}


def _pooled(config: ModelConfig, n_out: int) -> tuple[Step, ...]:
    first = _transform(config) if config.spec.head_transform else _pooler(config)
    return (*first, Linear("classifier", n_out))


def _by_token(config: ModelConfig, name: str, n_out: int) -> tuple[Step, ...]:
    first = _transform(config, large=True) if config.spec.head_transform else ()
    return (*first, Linear(name, n_out))


def _transform(
    config: ModelConfig, name: str = "transform", *, large: bool = False
) -> tuple[Step, ...]:
    bias = config.spec.biases
    dense = Linear(f"{name}.dense", config.table_width, bias=bias, large=large)
    return dense, Activate(config.lm_activation), Norm(f"{name}.norm", bias)


def _pooler(config: ModelConfig) -> tuple[Step, ...]:
    return Linear("pooler", config.hidden_width), Activate(config.pooler_activation)


def _own_pooler(config: ModelConfig) -> tuple[Step, ...]:
    return _pooler(config) if config.spec.has_pooler else ()


def _masked_lm(config: ModelConfig) -> tuple[Step, ...]:
    return (*_transform(config, "lm_head", large=True), Words("lm_head"))


def _classes(ending: str) -> dict[str, str]:
    return {model_type: spec.prefix + ending for model_type, spec in ENCODERS.items()}


HEADS: Mapping[HeadName, Head] = {
    "qa": Head(
        title="question-answering head",
        task="question-answering",
        steps=lambda config: _by_token(config, "qa_head", 2),
        by_token=True,
        outputs=QA_OUTPUTS,
        architectures=_classes("ForQuestionAnswering"),
        remedy="fine-tune it first with `potstill finetune`",
    ),
    "mlm": Head(
        title="masked-LM head",
        task="masked-lm",
        steps=_masked_lm,
        by_token=True,
        architectures={
            model_type: name
            for model_type, name in _classes("ForMaskedLM").items()
            if ENCODERS[model_type].masked_lm
        },
        remedy="train one first with `potstill finetune mlm-head`",
    ),
    "classification": Head(
        title="text-classification head",
        task="text-classification",
        steps=lambda config: _pooled(config, config.n_labels),
        by_token=False,
        architectures=_classes("ForSequenceClassification"),
        remedy="fine-tune it first with `potstill finetune` and a recipe of text-classification",
    ),
    "tagging": Head(
        title="token-classification head",
        task="token-classification",
        steps=lambda config: _by_token(config, "classifier", config.n_labels),
        by_token=True,
        architectures=_classes("ForTokenClassification"),
        remedy="fine-tune it first with `potstill finetune` and a recipe of token-classification",
    ),
    "choice": Head(
        title="multiple-choice head",
        task="multiple-choice",
        steps=lambda config: _pooled(config, 1),
        by_token=False,
        architectures=_classes("ForMultipleChoice"),
        remedy="fine-tune it first with `potstill finetune` and a recipe of multiple-choice",
    ),
    "bare": Head(
        title="pooler",
        steps=_own_pooler,
        by_token=False,
        architectures=_classes("Model"),
        remedy="load it as a model without one",
    ),
}
"""Name → head."""

TASKS: Mapping[HeadName, str] = {name: head.task for name, head in HEADS.items() if head.task}
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
