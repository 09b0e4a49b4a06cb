"""Writes docs/help.md from the live command line; `make docs` runs it, a test checks the result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from potstill.cli import main

PAGE = Path(__file__).parent.parent / "docs" / "help.md"
HEAD = """# The command line

Written by `make docs` from the program itself; do not edit.

## Completion in a shell

Verbs, options, the names of models, recipes and runtimes, and files are completed by the shell
after its line of these in its start-up file:

```text
# bash, ~/.bashrc
eval "$(_POTSTILL_COMPLETE=bash_source potstill)"
# zsh, ~/.zshrc
eval "$(_POTSTILL_COMPLETE=zsh_source potstill)"
# fish, ~/.config/fish/completions/potstill.fish
_POTSTILL_COMPLETE=fish_source potstill | source
# PowerShell, $PROFILE (with click 8.5 or later)
$env:_POTSTILL_COMPLETE = "powershell_source"
potstill | Out-String | Invoke-Expression
Remove-Item Env:_POTSTILL_COMPLETE
```
"""


def render() -> str:
    """The page: the help text of the program and of each verb, in the order of the program."""
    widths = {"max_content_width": 88, "terminal_width": 88}
    group = click.Context(main, info_name="potstill", **widths, **main.context_settings)
    sections = [("potstill", main.get_help(group))]
    for verb in main.list_commands(group):
        command = main.get_command(group, verb)
        if command is None:
            raise LookupError(f"the command line lists {verb!r} and has no such command")
        sections += list(_sections(command, verb, group))
    return HEAD + "".join(f"\n## {title}\n\n```text\n{text}\n```\n" for title, text in sections)


def _sections(
    command: click.Command, name: str, parent: click.Context
) -> Iterator[tuple[str, str]]:
    """The help text of a verb, and of its own verbs where it has some."""
    context = click.Context(command, info_name=name, parent=parent)
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from _sections(found, inner, context)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
