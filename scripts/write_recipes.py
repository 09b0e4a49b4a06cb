"""Writes docs/recipes.md from the recipes that ship and the classes that define their keys.

`make docs` runs it, a test checks the result.
"""

from __future__ import annotations

from pathlib import Path

from potstill.training.recipe.file import VERBS, kinds_of, shipped_by_kind
from potstill.training.recipe.keys import Key, keys_of
from potstill.training.recipe.shipped import described
from potstill.training.recipe.table import Table

PAGE = Path(__file__).parent.parent / "docs" / "recipes.md"
HEAD = """# Recipes

Written by `make docs` from the recipes and the code that reads them; do not edit.

A recipe is one whole training run in one small TOML file. `potstill finetune` and `potstill distil`
take one that ships by its name, or the file of one of your own; any key can be given on the
command line as `key=value`, which wins over the file. `potstill recipes` lists those that ship,
`potstill recipes show NAME` prints one, and `potstill recipes keys NAME` says what each of its
keys means.

```bash
potstill recipes show squad-minilm > mine.toml
potstill finetune mine.toml train=train.json epochs=2 out=runs/mine --dry-run
```

`--dry-run` checks recipe, data and models, says what a run would do, and trains nothing.
"""


def render() -> str:
    """The page: the recipes that ship, then the keys, each class of them once."""
    parts = [HEAD, "## Those that ship\n"]
    for (verb, task), files in shipped_by_kind().items():
        parts.append(f"### `potstill {verb}`, {task}\n")
        parts.append("| recipe | what it does |\n| --- | --- |")
        parts += [f"| [{f.stem}]({_link(f)}) | {described(f)} |" for f in files]
        parts.append("")
    parts.append("## Which keys a run has\n")
    parts.append("| verb | task | keys |\n| --- | --- | --- |")
    homes: dict[type[Table], dict[str, Key]] = {}
    for verb in VERBS:
        kinds = kinds_of(verb)
        for task in kinds:
            keys = keys_of(kinds[task])
            used = dict.fromkeys(key.home for key in reversed(keys))
            for home in used:
                homes.setdefault(home, {}).update({k.name: k for k in keys if k.home is home})
            linked = ", ".join(f"[{home.TITLE}](#{_anchor(home)})" for home in used)
            parts.append(f"| `{verb}` | `{task}` | {linked} |")
    for home, keys_here in homes.items():
        parts += ["", f"## {home.TITLE}\n", f"{_summary(home)}\n"]
        parts.append("| key | default | takes | meaning |\n| --- | --- | --- | --- |")
        parts += [
            _row(keys_here[name]) for name in vars(home)["__annotations__"] if name in keys_here
        ]
    return "\n".join(parts) + "\n"


def _row(key: Key) -> str:
    default = f"`{key.default}`" if key.default else ""
    cells = (f"`{key.name}`", default, key.takes, key.meaning.replace("``", "`"))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _link(file: Path) -> str:
    return f"../src/potstill/recipes/{file.name}"


def _anchor(home: type[Table]) -> str:
    return home.TITLE.lower().replace(" ", "-")


def _summary(home: type[Table]) -> str:
    return " ".join((home.__doc__ or "").partition("\n\n")[0].replace("``", "`").split())


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
