"""Builds the engine into the package, where there is a C++ compiler."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOM = "src/potstill/runtime/engine"


class EngineHook(BuildHookInterface):
    """Called by hatchling before it packs a wheel, an editable one too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the library; the wheel is one for this platform then, and for any Python 3.

        ``POTSTILL_TARGET`` and ``POTSTILL_TAG`` name another platform, by zig's name and by the
        wheel's (native/wheels.py); then a wheel without the engine is an error.
        """
        root = Path(self.root)
        target = os.environ.get("POTSTILL_TARGET")
        spec = importlib.util.spec_from_file_location("native_build", root / "native" / "build.py")
        assert spec and spec.loader
        native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(native)
        # Under build/ where it is for elsewhere: what is in src/ is what an editable install loads.
        folder = root / "build" / "native" / target if target else root / ROOM
        library = folder / _name(target or sys.platform)
        try:
            native.build(library, target=target)
        except native.BuildError as error:
            if target:
                raise
            library.unlink(missing_ok=True)
            self.app.display_warning(f"no engine ({error}): answers come from onnxruntime")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{os.environ.get('POTSTILL_TAG') or platform}"
        if version != "editable":
            inside = f"potstill/runtime/engine/{library.name}"
            build_data["force_include"][str(library)] = inside


def _name(platform: str) -> str:
    if "win" in platform and "darwin" not in platform:
        return "potstill.dll"
    return "libpotstill.dylib" if "macos" in platform or platform == "darwin" else "libpotstill.so"
