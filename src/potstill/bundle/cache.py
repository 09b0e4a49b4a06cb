"""ONNX files made on first use, for model folders that bring none.

They are kept in a cache folder under the hash of what they were made from: ``POTSTILL_CACHE``
where it is set, otherwise the platform's own place for caches.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from potstill.bundle import layout
from potstill.bundle.atomic import replacing, write_text
from potstill.bundle.config import read_config
from potstill.bundle.encoders.spec import HeadName
from potstill.bundle.manifest import head_of_folder, sha256_of
from potstill.bundle.weights import read_weights
from potstill.errors import OutputError

GRAPH_VERSION = "1"
"""Raised when ``bundle.onnx_graph`` writes other graphs than before, so that old files retire."""


def cache_folder() -> Path:
    """Where this package keeps what it can make again."""
    named = os.environ.get("POTSTILL_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "potstill"


def ensure_onnx(folder: Path, *, head: HeadName | None = None) -> Path:
    """The ONNX file to answer from: the folder's own, otherwise a float32 one made in the cache.

    Safe with several processes at once: each writes under a name of its own, the last one wins,
    and all of them write the same bytes.

    Args:
        folder: a model folder.
        head: which of its heads; by default the one its files name (see `head_of_folder`).

    Raises:
        ConfigError: the folder's config is missing or unsupported.
        WeightsError: the folder's weights are missing, damaged or do not fit the config.
        OutputError: the cache could not be written.
    """
    existing = layout.onnx_file(folder)
    if existing is not None:
        return existing
    config = read_config(folder)
    head = head or head_of_folder(folder, config)
    file = cache_folder() / "onnx" / f"{source_hash(folder)}-{head}.onnx"
    if file.is_file():
        return file
    # Imported late: onnx is only needed the first time a folder is used.
    from potstill.bundle.onnx_graph import build_graph

    model = build_graph(config, read_weights(folder, config, head=head), head=head)
    try:
        with replacing(file) as temporary:
            temporary.write_bytes(model.SerializeToString())
    except OutputError as error:
        # Windows refuses to replace a file that another process has open: then it is there.
        if not file.is_file():
            raise OutputError(
                f"{error}; set POTSTILL_CACHE to a folder that can be written"
            ) from error
    return file


def ensure_floats(folder: Path, file: Path, head: HeadName) -> Path:
    """An int8 ONNX file's weights multiplied out to float32, in an ONNX file of the cache.

    Args:
        folder: of the model.
        file: int8, written by Potstill.
        head: that it carries.

    Raises:
        WeightsError: the file is damaged.
        OutputError: the cache could not be written.
    """
    made = cache_folder() / "onnx" / f"{sha256_of(file)}-{head}-floats.onnx"
    if made.is_file():
        return made
    # Imported late: as above.
    from potstill.bundle.onnx_graph import build_graph
    from potstill.bundle.onnx_weights import read_onnx_weights

    model = build_graph(read_config(folder), read_onnx_weights(file), head=head)
    with replacing(made) as temporary:
        temporary.write_bytes(model.SerializeToString())
    return made


def source_hash(folder: Path) -> str:
    """SHA-256 over the config and the weight files of a folder.

    Hashing hundreds of megabytes would cost every start a good part of a second, so the result is
    kept under the files' paths, sizes and times.
    """
    files = [folder / layout.CONFIG]
    files += sorted([*folder.glob("*.safetensors"), *folder.glob(f"{layout.WEIGHTS}.index.json")])
    files += sorted(folder.glob("pytorch_model*.bin*"))
    stamp = hashlib.sha256(GRAPH_VERSION.encode())
    for file in files:
        found = file.stat()
        stamp.update(f"{file.resolve()}\0{found.st_size}\0{found.st_mtime_ns}\0".encode())
    known = cache_folder() / "stamps" / stamp.hexdigest()
    try:
        return known.read_text(encoding="ascii")
    except OSError:
        pass
    digest = hashlib.sha256(GRAPH_VERSION.encode())
    for file in files:
        digest.update(f"{file.name}\0{sha256_of(file)}\0".encode())
    try:
        write_text(known, digest.hexdigest())
    except OutputError:
        pass  # only the next start is slower; the ONNX file itself reports what is wrong
    return digest.hexdigest()
