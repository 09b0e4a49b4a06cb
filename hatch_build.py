"""Builds the engine into the package, where there is a C++ compiler."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOM = "src/potstill/runtime/engine"
NAMES = {"win32": "potstill.dll", "darwin": "libpotstill.dylib"}


class EngineHook(BuildHookInterface):
    """Called by hatchling before it packs a wheel, an editable one too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Builds the library; the wheel is one for this platform then, and for any Python 3."""
        root = Path(self.root)
        library = root / ROOM / NAMES.get(sys.platform, "libpotstill.so")
        spec = importlib.util.spec_from_file_location("native_build", root / "native" / "build.py")
        assert spec and spec.loader
        native = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(native)
        try:
            native.build(library)
        except native.BuildError as error:
            library.unlink(missing_ok=True)
            self.app.display_warning(f"no engine ({error}): answers come from onnxruntime")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(f"/{library.relative_to(root).as_posix()}")
