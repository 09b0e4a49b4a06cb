"""Writes docs/assets/terminal.svg, the README's picture: commands and what they print here.

The commands are run in a terminal of 80 columns, at the root of a checkout; `make docs` does it.
"""

from __future__ import annotations

import io
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "assets" / "terminal.svg"
COLUMNS = 80
COMMANDS = (
    'potstill ask "Who patented the column still?" examples/whisky.txt',
    'potstill ask "What are pot stills made of?" examples/whisky.txt',
    'potstill ask "Who won the 1998 World Cup?" examples/whisky.txt',
)
FONT = re.compile(r"\s*@font-face \{.*?\}", re.S)
"""rich's picture would fetch its font from elsewhere; that of the reader will do."""


def run(command: str) -> str:
    """What a command of potstill writes to a terminal, colours and all."""
    ours, theirs = pty.openpty()
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CI")}
    env |= {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    words = [sys.executable, "-m", *shlex.split(command)]
    with subprocess.Popen(words, cwd=ROOT, env=env, stdin=theirs, stdout=theirs) as process:
        os.close(theirs)
        parts: list[bytes] = []
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal was closed: the command is done
                break
            if not part:
                break
            parts.append(part)
    os.close(ours)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return b"".join(parts).decode().replace("\r\n", "\n")


def render() -> str:
    """The picture."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command in COMMANDS:
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(run(command).rstrip() + "\n"))
    picture = console.export_svg(title="potstill", theme=MONOKAI, unique_id="potstill")
    return FONT.sub("", picture)


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
