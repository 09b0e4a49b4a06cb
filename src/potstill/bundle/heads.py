"""The heads a model folder may carry on its encoder: names, shapes, Hugging Face's classes.

One row a head. What reads weights, what writes a config and what makes a model all look here. A
task that was added (see `potstill.bundle.added`) has its row among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from potstill.bundle.added import load_added
from potstill.bundle.config import ModelConfig
from potstill.bundle.encoders.spec import HeadName as HeadName
from potstill.bundle.encoders.spec import Rows
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
class HeadSpec:
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
    model: str
    """Module and class of its torch model, behind a colon."""
    remedy: str
    """How a bare encoder comes by one."""
    rows: Rows = ()
    """Names of its parameters in files, Hugging Face's and ours, where the description of an
    encoder has none for this head."""
    grouped: bool = False
    """Whether its torch model takes the rows of an example together: ``[batch, n, seq]``."""
    peft: str = ""
    """What PEFT calls its task; empty where it has no name for it."""
    engine: int | None = None
    """Its number in native/include/potstill.h; ``None`` where the engine does not compute it."""

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
        if self.speaks_words(config):
            return (config.vocab_size,)
        return (self.last(config).n_out,)

    def last(self, config: ModelConfig) -> Linear:
        """The last layer that has weights of its own."""
        return [step for step in self.steps(config) if isinstance(step, Linear)][-1]

    def speaks_words(self, config: ModelConfig) -> bool:
        """Whether its last layer is the word table."""
        return any(isinstance(step, Words) for step in self.steps(config))


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


def classes(ending: str) -> dict[str, str]:
    """``model_type`` → name of a class of every supported encoder."""
    return {model_type: spec.prefix + ending for model_type, spec in ENCODERS.items()}


class _Heads(dict[HeadName, HeadSpec]):
    """Heads by name; one that is not known yet may be that of a task that was added."""

    def __missing__(self, name: HeadName) -> HeadSpec:
        if load_added() and name in self:
            return self[name]
        raise KeyError(name)


_OURS: dict[HeadName, HeadSpec] = {
    "qa": HeadSpec(
        title="question-answering head",
        task="question-answering",
        steps=lambda config: _by_token(config, "qa_head", 2),
        by_token=True,
        outputs=QA_OUTPUTS,
        architectures=classes("ForQuestionAnswering"),
        model="potstill.models.qa:QuestionAnsweringModel",
        peft="QUESTION_ANS",
        engine=0,
        remedy="fine-tune it first with `potstill finetune`",
    ),
    "mlm": HeadSpec(
        title="masked-LM head",
        task="masked-lm",
        steps=_masked_lm,
        by_token=True,
        architectures={
            model_type: name
            for model_type, name in classes("ForMaskedLM").items()
            if ENCODERS[model_type].masked_lm
        },
        model="potstill.models.lm:MaskedLM",
        engine=3,
        remedy="train one first with `potstill finetune mlm-head`",
    ),
    "classification": HeadSpec(
        title="text-classification head",
        task="text-classification",
        steps=lambda config: _pooled(config, config.n_labels),
        by_token=False,
        architectures=classes("ForSequenceClassification"),
        model="potstill.models.classification:ClassificationModel",
        peft="SEQ_CLS",
        engine=1,
        remedy="fine-tune it first with `potstill finetune` and a recipe of text-classification",
    ),
    "tagging": HeadSpec(
        title="token-classification head",
        task="token-classification",
        steps=lambda config: _by_token(config, "classifier", config.n_labels),
        by_token=True,
        architectures=classes("ForTokenClassification"),
        model="potstill.models.tagging:TaggingModel",
        peft="TOKEN_CLS",
        engine=2,
        remedy="fine-tune it first with `potstill finetune` and a recipe of token-classification",
    ),
    "choice": HeadSpec(
        title="multiple-choice head",
        task="multiple-choice",
        steps=lambda config: _pooled(config, 1),
        by_token=False,
        architectures=classes("ForMultipleChoice"),
        model="potstill.models.choice:ChoiceModel",
        grouped=True,
        engine=1,
        remedy="fine-tune it first with `potstill finetune` and a recipe of multiple-choice",
    ),
    "bare": HeadSpec(
        title="pooler",
        steps=_own_pooler,
        by_token=False,
        architectures=classes("Model"),
        model="potstill.models.bare:BareModel",
        remedy="load it as a model without one",
    ),
}
HEADS = _Heads(_OURS)
"""Name → head: ours, and behind them those of tasks that were added."""

DEFAULT: HeadName = "qa"
"""The head that is meant where nobody names one, and no folder says what it is for."""


def head_of_task(task: str) -> HeadName | None:
    """The head of the task that recipes and manifests call so; ``None`` where there is none.

    Raises:
        InputError: the entry point of a task that was added cannot be loaded.
    """

    def find() -> HeadName | None:
        return next((name for name, head in HEADS.items() if task and head.task == task), None)

    return find() or (load_added() and find()) or None


def head_of(config: ModelConfig) -> HeadName | None:
    """The head that ``config.json`` names in ``architectures``; ``None`` where it names none.

    Raises:
        InputError: the entry point of a task that was added cannot be loaded.
    """

    def find() -> HeadName | None:
        for named in config.extra.get("architectures") or ():
            for head, known in HEADS.items():
                if known.architectures.get(config.model_type) == named:
                    return head
        return None

    return find() or (load_added() and find()) or None


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
