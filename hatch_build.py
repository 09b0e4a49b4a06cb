"""Builds the engine into the package, where there is a C++ compiler, and writes its description.

What an index shows is the README, whose links lead to files of the repository. Where that lies is
known to who releases: ``POTSTILL_REPOSITORY``, such as ``https://HOST/OWNER/NAME``. With it links
are absolute and the package says its addresses; without it they are words.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

ROOM = "src/potstill/runtime/engine"


_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)]+)\)")


class DescriptionHook(MetadataHookInterface):
    """Called by hatchling for what `pyproject.toml` calls dynamic: ``readme`` and ``urls``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Sets both."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        address = os.environ.get("POTSTILL_REPOSITORY", "").rstrip("/")
        tag = f"v{metadata['version']}"
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": described(
                text, f"{address}/blob/{tag}" if address else "", f"{address}/raw/{tag}"
            ),
        }
        metadata["urls"] = {}
        if address:
            metadata["urls"] = {
                "Source": address,
                "Documentation": f"{address}/tree/{tag}/docs",
                "Changelog": f"{address}/blob/{tag}/CHANGELOG.md",
                "Issues": f"{address}/issues",
            }


def described(readme: str, pages: str, files: str) -> str:
    """The README as it stands elsewhere than in its repository.

    Args:
        readme: with links to files beside it.
        pages: address that shows files; empty where there is none.
        files: address that gives them as they are, for pictures.
    """

    def changed(link: re.Match[str]) -> str:
        mark, text, target = link.groups()
        if pages:
            return f"{mark}[{text}]({files if mark else pages}/{target})"
        # A picture leaves nothing behind; a word stays a word.
        return "" if mark else text

    return _LINK.sub(changed, readme)


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
