"""What models return: values in order, by name, and as attributes.

Other people's loops read a model's output in all three ways (Hugging Face's ``ModelOutput`` answers
to each), and rebuild one from its bare values when they move it between devices or dtypes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from torch import Tensor


class Output(tuple[Any, ...]):
    """The values that exist, in the order of the class's annotations.

    A subclass annotates its fields; those that are absent are ``None`` as attributes and left out
    of the tuple: ``loss, logits = model(ids, labels=labels)`` and ``(logits,) = model(ids)``.
    ``out["logits"]`` and ``out[0]`` work too.

    An output can be rebuilt from its values alone, ``type(out)(tuple(out))``, as accelerate,
    ``DataParallel`` and `transformers.Trainer` do: ``loss`` comes first where there is one, and
    only ``hidden_states`` is a tuple.
    """

    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fields = tuple(cls.__annotations__)

    def __new__(cls, *values: Any, **named: Any) -> Any:
        """Takes the fields, in order or by name; or one iterable or mapping of those that exist."""
        if len(values) == 1 and not named and not isinstance(values[0], Tensor):
            named, values = cls._named(values[0]), ()
        found = {**dict(zip(cls.fields, values, strict=False)), **named}
        present = {name: found[name] for name in cls.fields if found.get(name) is not None}
        self = super().__new__(cls, present.values())
        self.__dict__.update(dict.fromkeys(cls.fields), **present)
        return self

    @classmethod
    def _named(cls, values: Any) -> dict[str, Any]:
        if isinstance(values, dict):
            return values
        found = [] if values is None else list(values)
        named: dict[str, Any] = {}
        if found and isinstance(found[-1], tuple):
            named["hidden_states"] = found.pop()
        names = [name for name in cls.fields if name != "hidden_states"]
        if names[0] == "loss" and len(found) < len(names):
            names = names[1:]
        return {**named, **dict(zip(names, found, strict=False))}

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        if key not in self:
            raise KeyError(f"{key!r}; there is {', '.join(self.keys())}")
        return self.__dict__[key]

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def keys(self) -> list[str]:
        """Names of the values that exist."""
        return [name for name in self.fields if self.__dict__[name] is not None]

    def values(self) -> Iterable[Any]:
        """The values that exist."""
        return self.to_tuple()

    def items(self) -> list[tuple[str, Any]]:
        """Name and value of those that exist."""
        return list(zip(self.keys(), self, strict=True))

    def to_tuple(self) -> tuple[Any, ...]:
        """The values that exist, as a plain tuple."""
        return tuple(self)


class EncoderOutput(Output):
    """What a bare encoder returns."""

    last_hidden_state: Tensor
    """``[batch, seq, width]``."""
    pooler_output: Tensor | None
    """``[batch, width]``, of the encoders that have a pooler."""
    hidden_states: tuple[Tensor, ...] | None
    """Embeddings and every layer, each ``[batch, seq, width]``, where asked for."""


class ClassifierOutput(Output):
    """What a classifier of texts, of tokens or of choices returns."""

    loss: Tensor | None
    """Mean over the labelled examples, where labels were given; scalar."""
    logits: Tensor
    """``[batch, n_labels]`` of texts, ``[batch, seq, n_labels]`` of tokens, ``[batch, n_choices]``
    of choices."""
    hidden_states: tuple[Tensor, ...] | None
    """Embeddings and every layer, each ``[rows, seq, width]``, where asked for."""


def returned(output: Output, return_dict: bool) -> Any:
    """What a model returns: its output, or a plain tuple of the values that exist."""
    return output if return_dict else output.to_tuple()
