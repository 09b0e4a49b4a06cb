"""The engine's WebAssembly files in the JavaScript package are those of today's sources."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "clients" / "js" / "src" / "runtime"


@pytest.mark.parametrize("name", ["potstill.wasm", "potstill-relaxed.wasm"])
def test_the_file_is_not_stale(name):
    spec = importlib.util.spec_from_file_location("native_build", ROOT / "native" / "build.py")
    assert spec and spec.loader
    native = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(native)
    wanted = native.SECTION + native.digest("wasm32").encode()
    assert (FOLDER / name).read_bytes().endswith(wanted), "native/ has changed: run `make wasm`"
