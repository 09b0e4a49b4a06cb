"""Runs the notebooks of docs/ and stores what they print; ``--check`` compares and writes nothing.

Figures differ from machine to machine (times, the last digits of a loss), so a comparison takes
every number for the same. Each notebook works in a temporary folder of its own, which is removed
behind it; none reaches the network.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbclient
import nbformat

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "articles").glob("*.ipynb"))
NUMBER = re.compile(r"[-+]?\d[\d,.]*(e[-+]?\d+)?")


def run(file: Path) -> Any:
    """A notebook with the outputs of this run.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(file, as_version=4)
    # The program as this interpreter has it, also where no environment is activated.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ.update(HF_HUB_OFFLINE="1", COLUMNS="100", PYTHONHASHSEED="0")
    resources = {"metadata": {"path": str(file.parent)}}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = folder  # where `tempfile` looks first
        nbclient.NotebookClient(
            notebook, timeout=1800, startup_timeout=600, resources=resources
        ).execute()
    for number, cell in enumerate(notebook.cells):
        cell.metadata = {}
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel})
    return notebook


def joined(outputs: list[Any]) -> list[Any]:
    """Printed text in one piece, however the kernel sent it; what libraries warn of is left out."""
    found: list[Any] = []
    for output in outputs:
        if output.get("name") == "stderr":  # it names places of this machine
            continue
        if output.output_type == "stream" and found and found[-1].get("name") == output.name:
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def said(notebook: Any) -> list[str]:
    """What each cell printed or gave back, every number the same."""
    return [
        NUMBER.sub("0", output.get("text") or output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
    ]


def main() -> None:
    """Runs every notebook, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("notebooks", nargs="*", type=Path, default=NOTEBOOKS)
    options = parser.parse_args()
    for file in options.notebooks:
        before, after = nbformat.read(file, as_version=4), run(file)
        if not options.check:
            nbformat.write(after, file)
        elif said(before) != said(after):
            sys.exit(f"{file} prints something else: `make docs`, and look at the difference")
        print(file)


if __name__ == "__main__":
    main()
