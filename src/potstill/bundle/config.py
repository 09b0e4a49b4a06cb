"""``config.json`` of a model folder, read into one typed config and written back.

Hugging Face spells the same quantity differently for BERT and for DistilBERT
(``num_hidden_layers`` and ``n_layers``), and counts RoBERTa's positions by the rows of a table of
which two are never used; all of that stops here. What differs from type to type stands in
`potstill.bundle.encoders`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.bundle import disentangled, layer_shapes, rotary
from potstill.bundle.encoders.bert import BERT
from potstill.bundle.encoders.mpnet import BUCKETS
from potstill.bundle.encoders.spec import EncoderSpec
from potstill.bundle.encoders.table import ENCODERS
from potstill.bundle.objects import read_object
from potstill.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self

ACTIVATIONS = ("gelu", "gelu_new", "relu", "silu", "quick_gelu")


def position_offset(model_type: str, pad_id: int) -> int:
    """Rows of a position table before position 0: ``pad_id + 1`` where padding is not counted."""
    spec = ENCODERS.get(model_type)
    return pad_id + 1 if spec is not None and spec.skips_padding else 0


_FARTHEST = 128


def position_bucket(distance: int) -> int:
    """The bucket of a distance from one token to another, positive to the right.

    Distances of fewer than 8 have one each, longer ones share them logarithmically up to 128, and
    those to the right have the second half.

    Source:
        T5 (Raffel et al. 2020, section 2.1) and MPNet (Song et al. 2020); transformers 5,
        ``MPNetEncoder.relative_position_bucket``.
    """
    side = BUCKETS // 2  # buckets of one direction
    exact, away = side // 2, abs(distance)
    if away >= exact:
        scale = (side - exact) / math.log2(_FARTHEST / exact)
        away = min(exact + int(math.log2(away / exact) * scale), side - 1)
    return away + side * (distance > 0)


PROBLEMS = {
    "regression": "regression",
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
}
"""What labels are to a text, in our names → Hugging Face's ``problem_type``."""

_LABEL_KEYS = ("id2label", "label2id", "num_labels", "problem_type")
_RATES = ("hidden_dropout", "attention_dropout", "qa_dropout")
_ALIASES = {
    "gelu_python": "gelu",
    **dict.fromkeys(("gelu_pytorch_tanh", "gelu_python_tanh"), "gelu_new"),
    **dict.fromkeys(("gelu_fast", "gelu_accurate"), "gelu_new"),
    "swish": "silu",
}
"""Hugging Face's name of an activation → ours, of the same function."""
_MOST = {
    "vocab_size": 10**8,
    "hidden_width": 10**6,
    "embedding_width": 10**6,
    "n_layers": 1000,
    "n_heads": 10_000,
    "ffn_width": 10**7,
    "max_positions": 10**7,
    "n_token_types": 10**6,
    "pad_id": 10**8,
}
"""Largest sizes that are believed: nothing is allocated by them before the weights are there."""
_MOST_LABELS = 10**6
_MAY_BE_0 = ("embedding_width", "n_token_types", "pad_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """Shape of an encoder, in our names. Widths and counts are in elements."""

    model_type: str = "bert"
    vocab_size: int = 30522
    hidden_width: int = 768
    embedding_width: int = 0
    """Width of the embedding tables; 0 for ``hidden_width``, as everywhere but in ELECTRA."""
    n_layers: int = 12
    n_heads: int = 12
    ffn_width: int = 3072
    """Feed-forward width of every layer, or of the widest."""
    layer_heads: tuple[int, ...] = ()
    """Heads of each layer, where some were removed; empty for ``n_heads`` in every layer."""
    layer_ffn: tuple[int, ...] = ()
    """Feed-forward width of each layer, where they differ; empty for ``ffn_width`` in all."""
    max_positions: int = 512
    """Longest ``seq_len`` the position table allows: its rows less `position_offset`."""
    n_token_types: int = 2
    """0 where the encoder has no token types (DistilBERT, MPNet)."""
    activation: str = "gelu"
    norm_eps: float = 1e-12
    hidden_dropout: float = 0.1
    attention_dropout: float = 0.1
    qa_dropout: float = 0.0
    """Dropout before the question-answering head (DistilBERT has one)."""
    classifier_dropout: float | None = None
    """Dropout before the last layer of a classifier; ``None`` for what `label_dropout` says."""
    initializer_range: float = 0.02
    pad_id: int = 0
    labels: tuple[str, ...] = ()
    """Names of the labels, in the order of the logits; empty where the file names none."""
    problem: str = ""
    """``regression``, ``single-label``, ``multi-label``, or empty where the file does not say."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Every other key of ``config.json``, kept as it was for writing back."""

    @property
    def spec(self) -> EncoderSpec:
        """What is particular to its type."""
        return ENCODERS[self.model_type]

    @property
    def head_width(self) -> int:
        """Width of every head; that of the unpruned shape where heads were removed."""
        return self.hidden_width // self.n_heads

    def heads_of(self, layer: int) -> int:
        """Attention heads of a layer."""
        return self.layer_heads[layer] if self.layer_heads else self.n_heads

    def attention_width(self, layer: int) -> int:
        """Width of query, key and value of a layer."""
        return self.heads_of(layer) * self.head_width

    def ffn_of(self, layer: int) -> int:
        """Feed-forward width of a layer."""
        return self.layer_ffn[layer] if self.layer_ffn else self.ffn_width

    def with_layer_shapes(self, heads: Sequence[int], ffn: Sequence[int]) -> Self:
        """The same config with other heads and feed-forward widths, one of each a layer.

        Args:
            heads: at most ``n_heads`` each; their width stays.
            ffn: feed-forward widths.

        Raises:
            ConfigError: heads are to go where all layers share what their heads make of distances.
        """
        if self.spec.shares_layers and (len(set(heads)) > 1 or len(set(ffn)) > 1):
            raise ConfigError(f"all layers of an {self.model_type} model are of one shape")
        whole, even = set(heads) == {self.n_heads}, len(set(ffn)) == 1
        if self.has_position_bias and not whole:
            raise ConfigError(
                f"every layer of an {self.model_type} model keeps its {self.n_heads} heads: all "
                "layers share one table of position biases; remove neurons or layers"
            )
        return replace(
            self,
            n_layers=len(heads),
            ffn_width=max(ffn),
            layer_heads=() if whole else tuple(heads),
            layer_ffn=() if even else tuple(ffn),
        )

    @property
    def table_width(self) -> int:
        """Width of the embedding tables."""
        return self.embedding_width or self.hidden_width

    @property
    def projects(self) -> bool:
        """Whether a projection takes the embeddings to ``hidden_width``."""
        return self.spec.always_projects or self.table_width != self.hidden_width

    @property
    def n_own_layers(self) -> int:
        """Layers that have weights of their own."""
        return 1 if self.spec.shares_layers else self.n_layers

    def weights_of(self, layer: int) -> int:
        """The layer whose weights a layer computes with: itself, or the first."""
        return min(layer, self.n_own_layers - 1)

    @property
    def position_offset(self) -> int:
        """Rows of the position table before position 0.

        Where there are some (RoBERTa, MPNet), only tokens that are no padding are counted, and
        padding has the last of these rows.
        """
        return position_offset(self.model_type, self.pad_id)

    def reach_of(self, layer: int) -> int:
        """Tokens on either side that a layer sees; 0 for all."""
        if not self.spec.rotary or self._kind(layer) == "full_attention":
            return 0
        return rotary.reach(self.extra)

    def theta_of(self, layer: int) -> float:
        """Base of the angles by which positions turn a layer's queries and keys (rotary)."""
        return rotary.theta(self.extra, self._kind(layer))

    def _kind(self, layer: int) -> str:
        return rotary.kinds(self.extra, self.n_layers)[layer]

    @property
    def pools_mean(self) -> bool:
        """Whether labels of a text are read from the mean of all tokens, not from the first."""
        return self.spec.rotary and self.extra.get("classifier_pooling") == "mean"

    @property
    def distances(self) -> disentangled.Distances | None:
        """What attention knows of distances beside contents (DeBERTa)."""
        if not self.spec.disentangled:
            return None
        return disentangled.read(self.extra, self.max_positions)

    @property
    def score_terms(self) -> int:
        """Products that a score of attention is made of: contents alone, or distances too."""
        return 1 + (len(disentangled.terms(self.extra)) if self.spec.disentangled else 0)

    @property
    def has_positions(self) -> bool:
        """Whether there is a table of positions, added to the embeddings."""
        if self.spec.disentangled:
            return disentangled.has_positions(self.extra)
        return not self.spec.rotary

    @property
    def has_position_bias(self) -> bool:
        """Whether every layer adds to its scores what one table says of distances (MPNet)."""
        return self.spec.position_bias

    @property
    def lm_activation(self) -> str:
        """Activation of the masked-LM head, which not everywhere follows ``activation``."""
        return self.spec.lm_activation or self.activation

    @property
    def pooler_activation(self) -> str:
        """The activation between the two layers of a text classifier's head."""
        return self.spec.pooler_activation

    @property
    def label_dropout(self) -> float:
        """Dropout before the last layer of a classifier, where a type has its own default too."""
        if self.classifier_dropout is not None:
            return self.classifier_dropout
        own = self.spec.label_dropout
        return self.hidden_dropout if own is None else own

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels' names; ``LABEL_0`` and so on where the config has none, as Hugging Face."""
        return self.labels or tuple(f"LABEL_{i}" for i in range(self.n_labels))

    @property
    def n_labels(self) -> int:
        """Labels of a classifier; 2 where the file names none, as Hugging Face has it."""
        return len(self.labels) or 2

    def with_dropout(self, rate: float) -> Self:
        """The same config with every dropout set to ``rate``."""
        return replace(self, **dict.fromkeys((*_RATES, "classifier_dropout"), rate))

    def with_dropout_of(self, other: ModelConfig) -> Self:
        """The same config with the dropout rates of another."""
        return replace(
            self, **{name: getattr(other, name) for name in (*_RATES, "classifier_dropout")}
        )

    if not TYPE_CHECKING:  # a checker must go on reporting names that do not exist

        def __getattr__(self, name: str) -> Any:
            """Answers to Hugging Face's field names too, and to what ``extra`` holds."""
            if name.startswith("_") or name in type(self).__slots__:
                raise AttributeError(name)
            values = {**self.to_hf(), **self._label_values(), "num_labels": self.n_labels}
            values["id2label"] = {int(i): label for i, label in values["id2label"].items()}
            values.setdefault("problem_type", None)
            if name not in values and self.spec.fields.get(name) == "classifier_dropout":
                return None if self.spec.label_dropout is None else self.label_dropout
            if name not in values and name in BERT.fields:  # as their ``attribute_map`` does
                return getattr(self, BERT.fields[name])
            if name not in values:
                raise AttributeError(f"a {self.model_type} config has no {name!r}")
            return values[name]

    @classmethod
    def from_hf(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Reads the dictionary of a Hugging Face ``config.json``.

        Raises:
            ConfigError: an unsupported ``model_type`` or option, or a value of the wrong kind.
        """
        model_type = _model_type(values)
        if not isinstance(model_type, str) or model_type not in ENCODERS:
            raise ConfigError(
                f"model_type {model_type!r:.60} is not supported; supported: "
                f"{', '.join(ENCODERS)}; ask for another in the project's issues"
            )
        names = ENCODERS[model_type].fields
        fields = dict(ENCODERS[model_type].defaults)
        fields.update({names[k]: v for k, v in values.items() if k in names and v is not None})
        given = fields.get("activation")
        if isinstance(given, str):
            fields["activation"] = _ALIASES.get(given, given)
        known = {*names, *_LABEL_KEYS, *layer_shapes.KEYS, "model_type"}
        known |= {*ENCODERS[model_type].implied, *ENCODERS[model_type].needless}
        extra = {k: v for k, v in values.items() if k not in known}
        config = cls(
            model_type=model_type,
            extra=extra,
            labels=_labels(values),
            problem=_problem(values.get("problem_type")),
            **fields,
        )
        config._check()
        config._check_implied(values)
        config = config.with_layer_shapes(
            *layer_shapes.read(values, config.n_layers, config.n_heads, config.ffn_width)
        )
        if config.embedding_width == config.hidden_width:
            config = replace(config, embedding_width=0)
        config = replace(config, max_positions=config.max_positions - config.position_offset)
        config._check()
        return config

    def to_hf(self) -> dict[str, Any]:
        """The dictionary that ``config.json`` holds, in Hugging Face's field names."""
        values = {name: getattr(self, name) for name in self.spec.fields.values()}
        values["max_positions"] += self.position_offset
        values = {name: value for name, value in values.items() if value is not None}
        if "embedding_width" in values:
            values["embedding_width"] = self.table_width
        ours = {hf: values[name] for hf, name in self.spec.fields.items() if name in values}
        labelled = self._label_values() if self.labels else {}
        problem = {"problem_type": PROBLEMS[self.problem]} if self.problem else {}
        ours |= layer_shapes.write(self.layer_heads, self.layer_ffn, self.n_heads)
        return {**self.extra, "model_type": self.model_type, **ours, **labelled, **problem}

    def _label_values(self) -> dict[str, Any]:
        return {
            "id2label": {str(i): label for i, label in enumerate(self.label_names)},
            "label2id": {label: i for i, label in enumerate(self.label_names)},
        }

    def _check(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            least = 0 if name in _MAY_BE_0 else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(
                    f"{name} must be an integer of at least {least}, not {value!r:.40}"
                )
            if value > most:
                raise ConfigError(f"{name} must be at most {most:,}, not {value!s:.40}")
        self._check_values()
        if self.hidden_width % self.n_heads:
            raise ConfigError(
                f"hidden_width {self.hidden_width} is not a multiple of n_heads {self.n_heads}"
            )
        if self.activation not in ACTIVATIONS:
            raise ConfigError(
                f"activation {self.activation!r:.40} is not supported; "
                f"supported: {', '.join(ACTIVATIONS)}"
            )
        for name, value in self.spec.only.items():
            if self.extra.get(name, value) != value:
                raise ConfigError(
                    f"{name} {self.extra[name]!r:.40} is not supported; only {value!r} is"
                )
        if self.spec.rotary:
            rotary.check(self.extra, self.n_layers)
        if self.spec.disentangled:
            disentangled.check(self.extra, self.max_positions)
        if self.spec.pad_id not in (None, self.pad_id):
            raise ConfigError(
                f"pad_token_id of an {self.model_type} model must be {self.spec.pad_id}, "
                f"not {self.pad_id}"
            )

    def _check_implied(self, values: Mapping[str, Any]) -> None:
        for theirs, ours in self.spec.implied.items():
            expected = getattr(self, ours)
            if values.get(theirs) not in (None, expected):
                raise ConfigError(
                    f"{theirs} {values[theirs]!r:.40} is not supported; only {expected}, the "
                    f"{ours}, is"
                )

    def _check_values(self) -> None:
        for name in (*_RATES, "classifier_dropout"):
            value = getattr(self, name)
            if name == "classifier_dropout" and value is None:
                continue
            if not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise ConfigError(f"{name} must be a number in [0, 1), not {value!r:.40}")
        for name, least in (("norm_eps", 1e-45), ("initializer_range", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError(f"{name} must be a number, not {value!r:.40}")
            if not least <= value <= 1:
                raise ConfigError(f"{name} must be between {least:g} and 1, not {value!r:.40}")
        named = self.extra.get("architectures")
        if named is not None and not (
            isinstance(named, list) and all(isinstance(name, str) for name in named)
        ):
            raise ConfigError(f"architectures must be a list of names, not {named!r:.40}")


def _model_type(values: Mapping[str, Any]) -> Any:
    """``model_type``, which the oldest files of BERT leave out, those of its miniatures too."""
    given = values.get("model_type")
    named = values.get("architectures") or ()
    named = named if isinstance(named, list) else ()
    if given is None and "hidden_size" in values and values.get("type_vocab_size") == 2:
        return "bert" if all(str(name).startswith("Bert") for name in named) else None
    return given


def _labels(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the labels, in order.

    Raises:
        ConfigError: they are not named by the numbers 0, 1, 2, …, and the model needs them.
    """
    try:
        if values.get("id2label"):
            found = {int(i): str(label) for i, label in values["id2label"].items()}
        elif values.get("label2id"):
            found = {int(i): str(label) for label, i in values["label2id"].items()}
        else:
            n = values.get("num_labels") or 0
            if not isinstance(n, int) or not 0 <= n <= _MOST_LABELS:
                raise ConfigError(f"num_labels must be a number of labels, not {n!r:.40}")
            found = {i: f"LABEL_{i}" for i in range(n)}
    except (AttributeError, TypeError, ValueError):
        raise ConfigError("id2label must map the number of each label to its name") from None
    if sorted(found) == list(range(len(found))):
        return tuple(found[i] for i in range(len(found)))
    named = values.get("architectures")
    if isinstance(named, list) and named and not any("Classification" in str(n) for n in named):
        return ()  # left over from elsewhere: such a head has no labels
    raise ConfigError(f"id2label must number its labels from 0 on, not {sorted(found)!s:.60}")


def _problem(problem_type: Any) -> str:
    if problem_type is None:
        return ""
    ours = {theirs: name for name, theirs in PROBLEMS.items()}
    if not isinstance(problem_type, str) or problem_type not in ours:
        raise ConfigError(
            f"problem_type {problem_type!r:.60} is not supported; supported: {', '.join(ours)}"
        )
    return ours[problem_type]


def read_config(folder: Path) -> ModelConfig:
    """Reads ``folder/config.json``.

    Raises:
        ConfigError: the file is missing, not JSON, or describes an unsupported model.
    """
    path = folder / "config.json"
    try:
        values = read_object(path, ConfigError)
    except FileNotFoundError:
        raise ConfigError(f"{folder} has no config.json: is it a model folder?") from None
    try:
        return ModelConfig.from_hf(values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
