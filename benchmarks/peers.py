"""Environments of the peers, each with its own libraries: made once, outside the repository.

They lie in the cache folder of this package (``POTSTILL_CACHE``) and are made when a benchmark
first asks for one; that time is in no figure.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from potstill.bundle.cache import cache_folder

PEERS = {
    # The last transformers that could be relied on to answer questions, what is used by hand, and
    # what people put in front of a pipeline.
    "transformers-4.57.6": (
        "transformers==4.57.6",
        "safetensors",
        "onnxruntime",
        "openvino",
        "tokenizers",
        "fastapi",
        "uvicorn",
    ),
}
"""Name of an environment → what is installed in it, behind torch."""
DEFAULT = "transformers-4.57.6"
NONE = "none"


def add_peer(parser: argparse.ArgumentParser) -> None:
    """``--peer-python``: another environment, or ``none``."""
    parser.add_argument(
        "--peer-python",
        help=f"python with {DEFAULT.replace('-', ' ')} and torch; by default one is made in the "
        f"cache folder; {NONE} leaves the peer out",
    )


def peer_python(given: str | None) -> str | None:
    """The python of the peer's environment, which is made where none is named.

    Raises:
        SystemExit: it could not be made.
    """
    if given == NONE:
        return None
    return given or str(python_of(DEFAULT))


def python_of(name: str) -> Path:
    """The python of one of `PEERS`, made if it is not there.

    Raises:
        SystemExit: pip could not install what belongs there.
    """
    folder = cache_folder() / "peers" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    with FileLock(f"{folder}.lock"):
        if not (folder / "ready").exists():
            print(f"making the peer's environment in {folder}", file=sys.stderr, flush=True)
            venv.create(folder, clear=True, with_pip=True)
            for requirements in ([_torch()], PEERS[name]):
                install = [str(python), "-m", "pip", "install", "-q", *requirements]
                if subprocess.run(install, stdout=sys.stderr, check=False).returncode:
                    raise SystemExit(f"{name} could not be installed: name a --peer-python")
            (folder / "ready").touch()
    return python


def _torch() -> str:
    """The torch of this environment, so that both compute with the same one."""
    try:
        return f"torch=={metadata.version('torch').partition('+')[0]}"
    except metadata.PackageNotFoundError:
        return "torch"
