"""The recipes that ship inside the package, each known by its name."""

from __future__ import annotations

import difflib
import importlib.resources
from pathlib import Path

from potstill.errors import RecipeError

SUFFIX = ".toml"


def shipped_recipes() -> dict[str, Path]:
    """Name → file of every recipe that ships, in order of their names."""
    folder = Path(str(importlib.resources.files("potstill"))) / "recipes"
    return {file.stem: file for file in sorted(folder.glob(f"*{SUFFIX}"))}


def find_recipe(recipe: str | Path) -> Path:
    """The file of the recipe the user named.

    Args:
        recipe: name of one that ships, such as ``squad-minilm``, or a file. A file of such a name
            is written with its path, ``./squad-minilm``.

    Raises:
        RecipeError: it is neither.
    """
    shipped = shipped_recipes()
    if isinstance(recipe, str) and recipe in shipped:
        return shipped[recipe]
    path = Path(recipe).expanduser()
    try:
        there = path.exists()
    except (OSError, ValueError):  # a name too long for the file system, or with a NUL in it
        there = False
    if there:
        return path
    name = path.name.removesuffix(SUFFIX).lower()
    close = difflib.get_close_matches(name, shipped, 1, 0.75)
    hint = f"did you mean {close[0]!r}?" if close else "`potstill recipes` lists those that ship"
    raise RecipeError(f"{str(recipe)!r} is neither a recipe's name nor a file: {hint}")


def read_text(file: Path) -> str:
    """What stands in the file of a recipe.

    Raises:
        RecipeError: it cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise RecipeError(f"recipe {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"recipe {file} is not TOML: {error}") from None


def described(file: Path) -> str:
    """What a recipe is for, in its own words: the comment above its command."""
    words: list[str] = []
    for line in read_text(file).splitlines():
        text = line.removeprefix("#").strip()
        if not line.startswith("#") or text.startswith("potstill "):
            break
        words.append(text)
    return " ".join(words)
