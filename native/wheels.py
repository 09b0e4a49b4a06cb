"""Wheels for five platforms, cross-compiled on one machine by zig.

    python native/wheels.py OUT

Needs ``pip install hatchling ziglang``. Each wheel holds the same Python and the engine of one
platform, and runs with any Python 3; see hatch_build.py, which reads the two variables set here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLATFORMS = {
    "manylinux_2_17_x86_64": "x86_64-linux-gnu.2.17",
    "manylinux_2_17_aarch64": "aarch64-linux-gnu.2.17",
    "macosx_11_0_arm64": "aarch64-macos.11.0",
    "macosx_10_15_x86_64": "x86_64-macos.10.15",
    "win_amd64": "x86_64-windows-gnu",
}
"""Platform tag → zig's target."""


def main() -> None:
    """Builds all of them into a folder."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "dist").resolve()
    out.mkdir(parents=True, exist_ok=True)
    for tag, target in PLATFORMS.items():
        told = {**os.environ, "POTSTILL_TARGET": target, "POTSTILL_TAG": tag}
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
        subprocess.run(command, cwd=ROOT, env=told, check=True)
    for file in sorted(out.iterdir()):
        print(f"{file.stat().st_size:>12,} {file.name}")


if __name__ == "__main__":
    main()
