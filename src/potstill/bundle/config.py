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
from potstill.bundle.config_values import (
    PROBLEMS,
    RATES,
    activation_of,
    check,
    check_implied,
    labels_of,
    model_type_of,
    problem_of,
)
from potstill.bundle.encoders.bert import BERT
from potstill.bundle.encoders.mpnet import BUCKETS
from potstill.bundle.encoders.spec import EncoderSpec
from potstill.bundle.encoders.table import ENCODERS
from potstill.bundle.objects import read_object
from potstill.errors import ConfigError

if TYPE_CHECKING:
    from typing_extensions import Self


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


_LABEL_KEYS = ("id2label", "label2id", "num_labels", "problem_type")


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
        return replace(self, **dict.fromkeys((*RATES, "classifier_dropout"), rate))

    def with_dropout_of(self, other: ModelConfig) -> Self:
        """The same config with the dropout rates of another."""
        return replace(
            self, **{name: getattr(other, name) for name in (*RATES, "classifier_dropout")}
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
        model_type = model_type_of(values)
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
            fields["activation"] = activation_of(given)
        known = {*names, *_LABEL_KEYS, *layer_shapes.KEYS, "model_type"}
        known |= {*ENCODERS[model_type].implied, *ENCODERS[model_type].needless}
        extra = {k: v for k, v in values.items() if k not in known}
        config = cls(
            model_type=model_type,
            extra=extra,
            labels=labels_of(values),
            problem=problem_of(values.get("problem_type")),
            **fields,
        )
        check(config)
        check_implied(config, values)
        config = config.with_layer_shapes(
            *layer_shapes.read(values, config.n_layers, config.n_heads, config.ffn_width)
        )
        if config.embedding_width == config.hidden_width:
            config = replace(config, embedding_width=0)
        config = replace(config, max_positions=config.max_positions - config.position_offset)
        check(config)
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
