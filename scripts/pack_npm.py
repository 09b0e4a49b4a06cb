"""Writes the npm packages: `potstill`, and the engine's addon for each platform, which it may use.

    python scripts/pack_npm.py OUT [--only linux-x64]

The addons are cross-compiled by zig (``pip install ziglang``). OUT gets one .tgz a package, to be
published platforms first. npm installs of the platforms' packages the one that fits, since
`potstill` names them all as optional; where none does, WebAssembly answers.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
HOME = ROOT / "clients" / "js"
TARGETS = {
    "linux-x64": "x86_64-linux-gnu.2.17",
    "linux-arm64": "aarch64-linux-gnu.2.17",
    "darwin-x64": "x86_64-macos.10.15",
    "darwin-arm64": "aarch64-macos.11.0",
    "win32-x64": "x86_64-windows-gnu",
}
"""Platform, as Node names it → what zig calls it."""
_PACKED = ("src", "bin", "dist", "models", "types", "README.md", "LICENSE")


def main() -> None:
    """Builds and packs."""
    parser = argparse.ArgumentParser(description="Writes the npm packages.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=TARGETS, help="this platform alone")
    arguments = parser.parse_args()
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("there is no npm: install Node 20 or newer")
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    about = json.loads((HOME / "package.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        for platform in [arguments.only] if arguments.only else TARGETS:
            _pack(npm, _addon(Path(scratch) / platform, platform, about), out)
        subprocess.run([npm, "run", "build"], cwd=HOME, check=True, capture_output=True)
        _pack(npm, _client(Path(scratch) / "client", about), out)
    for file in sorted(out.glob("*.tgz")):
        print(f"{file.stat().st_size:>10,}  {file.name}")


def _addon(folder: Path, platform: str, about: dict[str, Any]) -> Path:
    folder.mkdir()
    _native().build(folder / "potstill.node", target=TARGETS[platform], node=True)
    system, _, processor = platform.partition("-")
    package = {
        "name": f"potstill-{platform}",
        "version": about["version"],
        "description": f"The engine of potstill for {platform}.",
        "license": about["license"],
        "engines": about["engines"],
        "os": [system],
        "cpu": [processor],
        "files": ["potstill.node"],
    }
    if system == "linux":
        package["libc"] = ["glibc"]
    _write(folder, package)
    shutil.copy(HOME / "LICENSE", folder)
    return folder


def _client(folder: Path, about: dict[str, Any]) -> Path:
    folder.mkdir()
    for name in _PACKED:
        part = HOME / name
        (shutil.copytree if part.is_dir() else shutil.copy)(part, folder / name)
    left_out = ("devDependencies", "scripts")
    package = {key: value for key, value in about.items() if key not in left_out}
    package["optionalDependencies"] = {f"potstill-{one}": about["version"] for one in TARGETS}
    _write(folder, package)
    return folder


def _pack(npm: str, folder: Path, out: Path) -> None:
    command = [npm, "pack", "--pack-destination", str(out)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _write(folder: Path, package: dict[str, Any]) -> None:
    (folder / "package.json").write_text(json.dumps(package, indent=2) + "\n", encoding="utf-8")


def _native() -> Any:
    spec = importlib.util.spec_from_file_location("native_build", ROOT / "native" / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
