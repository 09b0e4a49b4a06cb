"""The form of a description: everything that one ``model_type`` does its own way.

Configs, names of weights, torch models, ONNX graphs, the numpy reference and the tokenizer's door
ask a description and not the type. A question that none asks yet is a new field here, with the
answer of BERT as its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

HeadName: TypeAlias = str
"""``qa``: question answering; ``mlm``: masked language modelling; ``classification``: labels of a
text; ``tagging``: a label for each token; ``choice``: one of several texts; ``bare``: none, but the
pooler of the encoders that have one; or that of a task that was added."""
Rows: TypeAlias = "tuple[tuple[str, str], ...]"
"""Hugging Face's module, our module; ``{}`` stands for the number of a layer, ``|`` stands between
ours where theirs holds several matrices of one shape, one below the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSpec:
    """One type of encoder."""

    model_type: str
    """As ``config.json`` spells it."""
    title: str
    """As a model card calls one, with its article."""
    prefix: str
    """What Hugging Face's class names begin with."""
    tokenizer: str
    """Class of its tokenizer where no file names one, without ``Tokenizer``."""

    fields: Mapping[str, str]
    """Hugging Face's name of a field in ``config.json`` → ours."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What a field is where ``config.json`` leaves it out and `ModelConfig` has another default."""
    only: Mapping[str, Any] = field(default_factory=dict)
    """Options that have one supported value, in Hugging Face's names."""
    implied: Mapping[str, str] = field(default_factory=dict)
    """Options that only repeat a quantity of ours, in Hugging Face's names → its name; checked, and
    not kept."""
    needless: tuple[str, ...] = ()
    """Options that mean nothing here, in Hugging Face's names; not kept."""
    pad_id: int | None = None
    """The only ``pad_token_id``, where the model's code knows no other."""

    base: str
    """First part of the names of an encoder's parameters; a bare encoder's files leave it out."""
    rows: Rows
    """Below ``base``."""
    shared_rows: Rows
    """Of heads, the same under every head."""
    head_rows: Mapping[HeadName, Rows]
    """Of heads, where one name of Hugging Face's is another layer under another head."""

    skips_padding: bool = False
    """Whether positions count only what is not padding, from ``pad_id + 1`` on."""
    position_bias: bool = False
    """Whether every layer adds to its scores what one table says of distances."""
    pre_norm: bool = False
    """Whether norms stand before attention and feed-forward, and one behind the last layer; the
    first layer's attention has none."""
    rotary: bool = False
    """Whether positions turn queries and keys, and some layers see only what is near; there is no
    table of positions then."""
    disentangled: bool = False
    """Whether contents and distances are kept apart in attention; see `bundle.disentangled`."""
    projects_first: bool = False
    """Whether a projection of the embeddings stands before their norm, and has no bias."""
    gated: bool = False
    """Whether feed-forward layers multiply what they activate with a gate."""
    biases: bool = True
    """Whether linear layers, norms and heads have biases (but for the last layer of each head)."""
    head_transform: bool = False
    """Whether every head begins with a dense layer, an activation and a norm."""
    shares_layers: bool = False
    """Whether all layers compute with the weights of the first."""
    always_projects: bool = False
    """Whether a projection follows the embeddings where their width is the layers' own too."""
    engine: bool = True
    """Whether Potstill's own engine has all that its layers compute."""
    drops_behind_attention: bool = True
    """Whether there is dropout behind attention's output."""
    drops_behind_ffn: bool = True
    """Whether there is dropout behind the feed-forward layers' output."""

    has_pooler: bool = False
    """Whether a bare encoder has one."""
    pooler_activation: str = "tanh"
    """Between the two layers of a text classifier's head."""
    masked_lm: bool = True
    """Whether it can have the masked-LM head."""
    lm_activation: str = ""
    """Of the masked-LM head; empty for that of the feed-forward layers."""
    label_dropout: float | None = None
    """Before the last layer of a classifier, where the config names none; ``None`` for that of the
    hidden states."""
    hidden_dropout_heads: tuple[HeadName, ...] = ()
    """Heads that drop as the hidden states do, whatever the config names for classifiers."""
    drops_twice: bool = False
    """Whether a text classifier's head drops before its first layer too."""
    summary: bool = False
    """Whether the options of the multiple-choice head are those of a ``sequence_summary``."""

    @property
    def plain(self) -> bool:
        """Whether its layers are BERT's: all that TensorFlow's and Core ML's writers know."""
        return not (self.position_bias or self.shares_layers or self.pre_norm or self.disentangled)

    @property
    def parted(self) -> bool:
        """Whether each layer has matrices of its own, one by one: pruning and adapters need it."""
        return not (self.shares_layers or self.pre_norm or self.disentangled)
