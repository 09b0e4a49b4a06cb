"""The engine's WebAssembly file, which the JavaScript package ships, is that of today's sources."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "clients" / "js" / "src" / "runtime" / "potstill.wasm"


def test_the_file_is_not_stale():
    spec = importlib.util.spec_from_file_location("native_build", ROOT / "native" / "build.py")
    assert spec and spec.loader
    native = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(native)
    wanted = native.SECTION + native.digest("wasm32").encode()
    assert FILE.read_bytes().endswith(wanted), "native/ has changed: run `make wasm`"
