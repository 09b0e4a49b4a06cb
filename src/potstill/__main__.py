"""``python -m potstill`` is the command ``potstill``."""

from potstill.cli import main

main(prog_name="potstill")
