"""The two-way map between Hugging Face's parameter names and ours.

The rows of an `EncoderSpec` are read left to right when weights come in and right to left when they
go out. Where two rows have one name of ours, the first is the one that is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from potstill.bundle.encoders.spec import HeadName
from potstill.bundle.encoders.table import ENCODERS
from potstill.bundle.heads import HEADS

_TENSORS = {"weight": "weight", "bias": "bias", "gamma": "weight", "beta": "bias"}
"""Last part of a name; ``gamma`` and ``beta`` are how TensorFlow checkpoints spell a norm's."""


_WRAPPERS = ("module.", "_orig_mod.")
"""What torch's ``DataParallel`` and ``compile`` put before the names of a model saved as it is."""


def _pattern(module: str) -> re.Pattern[str]:
    return re.compile(re.escape(module).replace(r"\{\}", r"(\d+)"))


@cache
def _rows(model_type: str, head: HeadName | None) -> list[tuple[str, str]]:
    spec = ENCODERS[model_type]
    encoder = [(f"{spec.base}.{theirs}", ours) for theirs, ours in spec.rows]
    own = spec.head_rows.get(head, HEADS[head].rows) if head else ()
    return [*encoder, *spec.shared_rows, *own]


def from_hf(model_type: str, name: str, head: HeadName | None = None) -> str | None:
    """Our name of the parameter Hugging Face calls ``name``; ``None`` where we have no use for it.

    Where it holds several of ours, their modules with ``|`` between them: see `parts`.
    Names without the leading ``bert.`` and the like (a bare encoder's) are understood too, and
    those of a model that was saved within a wrapper of torch's.
    """
    while name.startswith(_WRAPPERS):
        name = name[name.index(".") + 1 :]
    module, _, tensor = name.rpartition(".")
    if tensor not in _TENSORS:
        return None
    for theirs, ours in _rows(model_type, head):
        for candidate in (module, f"{ENCODERS[model_type].base}.{module}"):
            match = _pattern(theirs).fullmatch(candidate)
            if match:
                number = match[1] if match.groups() else ""
                return f"{ours.replace('{}', number)}.{_TENSORS[tensor]}"
    return None


def parts(ours: str) -> list[str]:
    """Our names in one that `from_hf` gave: several where theirs holds several matrices."""
    modules, _, tensor = ours.rpartition(".")
    return [f"{module}.{tensor}" for module in modules.split("|")]


def to_hf(model_type: str, name: str, head: HeadName | None = None) -> str:
    """Hugging Face's name of our parameter ``name`` in a model with ``head``.

    Raises:
        KeyError: the description has no such parameter for this model type.
    """
    return placed(model_type, name, head)[0]


def placed(model_type: str, name: str, head: HeadName | None = None) -> tuple[str, int, int]:
    """Hugging Face's name of our parameter, which part of that it is, and of how many.

    Raises:
        KeyError: the description has no such parameter for this model type.
    """
    module, _, tensor = name.rpartition(".")
    for theirs, joined in _rows(model_type, head):
        several = joined.split("|")
        for at, ours in enumerate(several):
            match = _pattern(ours).fullmatch(module)
            if match:
                return f"{theirs.format(*match.groups())}.{tensor}", at, len(several)
    raise KeyError(name)


def split_known(
    model_type: str, names: Iterable[str], head: HeadName | None = None
) -> tuple[dict[str, str], list[str]]:
    """Sorts Hugging Face names into a map from ours to theirs, and those we have no use for."""
    known: dict[str, str] = {}
    unused: list[str] = []
    for name in names:
        ours = from_hf(model_type, name, head)
        if ours is None:
            unused.append(name)
        else:
            known[ours] = name
    return known, unused
