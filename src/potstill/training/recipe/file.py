"""Recipe files: TOML in, a checked recipe out.

A recipe is one that ships (`potstill.training.recipe.shipped`), by its name, or a file. A key that
the run does not have is an error that names it. Any key can be given on the command line as
``key=value``, which wins over the file. The keys of a table can be given as ``table.key``.
"""

from __future__ import annotations

import difflib
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal

from potstill.bundle.added import late
from potstill.errors import RecipeError
from potstill.tasks.table import every
from potstill.training.recipe.run import RunRecipe
from potstill.training.recipe.shipped import find_recipe, read_text, shipped_recipes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]

Verb = Literal["finetune", "distil"]

VERBS: tuple[Verb, ...] = typing.get_args(Verb)


def kinds_of(verb: Verb) -> dict[str, type[RunRecipe]]:
    """Task → class of its recipe for a verb."""
    return {task.name: late(task.recipes[VERBS.index(verb)]) for task in every()}


def read_recipe(
    recipe: str | Path, overrides: Iterable[str] = (), *, verb: Verb = "finetune"
) -> RunRecipe:
    """Reads a recipe and puts ``key=value`` overrides on top.

    Args:
        recipe: name of one that ships, or a file.
        overrides: what was given on the command line.
        verb: what the recipe is for.

    Raises:
        RecipeError: there is no such recipe, it is no TOML or is for the other verb, a key is
            unknown or a value does not fit.
    """
    values = read_values(recipe)
    _check_verb(recipe, values, verb)
    given: dict[str, str] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise RecipeError(f"{override!r} is not an override: write key=value")
        given[key.strip()] = text
    given = {key.replace(".", "_"): text for key, text in given.items()}
    kind = kind_of(given.get("task", values.get("task")), verb)
    values.update({key: _parse(key, text, kind) for key, text in given.items()})
    return make_recipe(values, verb=verb)


def read_values(recipe: str | Path) -> dict[str, Any]:
    """The keys that a recipe gives itself, those of a table under its name.

    Raises:
        RecipeError: there is no such recipe, or it is no TOML.
    """
    path = find_recipe(recipe)
    try:
        return _flat(tomllib.loads(read_text(path)))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {path} is not TOML: {error}") from None


def verb_of(values: Mapping[str, Any]) -> Verb:
    """The verb that the keys of a recipe are for; "finetune" where both take them."""
    finetunes = not _foreign(values, "finetune") or bool(_foreign(values, "distil"))
    return "finetune" if finetunes else "distil"


def shipped_by_kind() -> dict[tuple[Verb, str], list[Path]]:
    """The files of the recipes that ship, by the verb and the task they are for."""
    found: dict[tuple[Verb, str], list[Path]] = {(v, t): [] for v in VERBS for t in kinds_of(v)}
    for file in shipped_recipes().values():
        values = read_values(file)
        found[verb_of(values), values["task"]].append(file)
    return {kind: files for kind, files in found.items() if files}


def _foreign(values: Mapping[str, Any], verb: Verb) -> list[str]:
    """The keys that a verb's recipe does not have."""
    known = _types(kind_of(values.get("task"), verb))
    return [key for key in values if key not in known]


def _check_verb(recipe: str | Path, values: Mapping[str, Any], verb: Verb) -> None:
    foreign = _foreign(values, verb)
    meant = verb_of(values)
    if foreign and meant != verb and not _foreign(values, meant):
        raise RecipeError(
            f"recipe {recipe} has the key {foreign[0]!r}, so it is one for `potstill {meant}`"
        )


def make_recipe(values: Mapping[str, Any], *, verb: Verb = "finetune") -> Any:
    """A recipe from a dictionary, of the class that ``verb`` and its ``task`` ask for.

    Raises:
        RecipeError: an unknown or missing key, or a value of the wrong kind.
    """
    values = _flat(values)
    kind = kind_of(values.get("task"), verb)
    checked = {key: _checked(key, value, kind) for key, value in values.items()}
    required = [f.name for f in fields(kind) if f.default is MISSING]
    missing = [name for name in required if name not in checked]
    if missing:
        name = missing[0]
        raise RecipeError(f"the recipe lacks {name}: give it in the file or as {name}=VALUE")
    return kind(**checked)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """A table's keys under its name: ``[prune]`` with ``heads`` is ``prune_heads``."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update({f"{name}_{key}": inner for key, inner in value.items()})
        else:
            flat[name] = value
    return flat


def kind_of(task: Any, verb: Verb) -> type[RunRecipe]:
    """The class of a recipe, by its key ``task``; ``None`` stands for question answering.

    Raises:
        RecipeError: there is no such task.
    """
    kinds = kinds_of(verb)
    if task is None:
        return next(iter(kinds.values()))
    if task not in kinds:
        raise RecipeError(f"task must be one of {', '.join(kinds)}, not {task!r}")
    return kinds[task]


def _types(kind: type[RunRecipe]) -> dict[str, tuple[Any, ...]]:
    hints = typing.get_type_hints(kind)
    return {
        f.name: typing.get_args(hints[f.name])
        if isinstance(hints[f.name], types.UnionType)
        else (hints[f.name],)
        for f in fields(kind)
    }


def _wanted(key: str, kind: type[RunRecipe]) -> tuple[Any, ...]:
    known = _types(kind)
    if key in known:
        return known[key]
    if key in _OLD_NAMES:
        raise RecipeError(f"unknown recipe key {key!r}: here it is {_OLD_NAMES[key]!r}")
    close = difflib.get_close_matches(key, known, n=1)
    hint = f": did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
    raise RecipeError(f"unknown recipe key {key!r}{hint}")


_OLD_NAMES = {
    "max_seq_length": "seq_len",
    "max_length": "seq_len",
    "doc_stride": "stride",
    "num_train_epochs": "epochs",
    "gradient_accumulation_steps": "accumulate",
    "warmup_ratio": "warmup",
    "max_grad_norm": "clip_norm",
    "output_dir": "out",
    "model_name_or_path": "base",
    "train_file": "train",
    "validation_file": "dev",
    "max_answer_length": "max_answer_tokens",
    "text_column": "text",
    "label_column": "label",
    "label_names": "labels",
}
"""Keys as the scripts of transformers call them → ours."""


def _checked(key: str, value: Any, kind: type[RunRecipe]) -> Any:
    wanted = _wanted(key, kind)
    if float in wanted and type(value) is int:
        return float(value)
    items = next((typing.get_args(t)[0] for t in wanted if typing.get_origin(t) is tuple), None)
    if items is not None and isinstance(value, (list, tuple)):
        return tuple(_item(key, item, items) for item in typing.cast("list[Any]", value))
    if type(value) not in wanted:
        raise RecipeError(f"{key} must be of type {_names(wanted)}, not {value!r}")
    return value


def _item(key: str, item: Any, wanted: type) -> Any:
    if wanted is float and type(item) is int:
        return float(item)
    if type(item) is not wanted:
        raise RecipeError(f"{key} must be a list of {wanted.__name__}, which {item!r} is not")
    return item


def _names(wanted: tuple[Any, ...]) -> str:
    return " or ".join(
        "list" if typing.get_origin(t) is tuple else "nothing" if t is type(None) else t.__name__
        for t in wanted
    )


def _parse(key: str, text: str, kind: type[RunRecipe]) -> Any:
    wanted = _wanted(key, kind)
    is_list = text.lstrip().startswith("[") and any(typing.get_origin(t) is tuple for t in wanted)
    if str in wanted and not is_list and not (int in wanted and text.isdigit()):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        raise RecipeError(f"{key} must be of type {_names(wanted)}, not {text!r}") from None
