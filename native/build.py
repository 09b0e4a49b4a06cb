"""Builds the engine: a shared library of native/src, for this machine or another.

No build system: a dozen files, of which some take flags of their own. Whoever builds it reads this
file: the package's build hook, `make`, the tests and the wheels.

    python native/build.py OUT [--target TRIPLE] [--sanitize address,undefined] [--main FILE]
    python native/build.py potstill.node --node [--target TRIPLE]
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
FLAGS = (
    "-std=c++17 -O3 -fvisibility=hidden -fno-exceptions -fno-rtti -ffp-contract=off "
    "-fno-math-errno -Wall -Wextra -Wno-unknown-pragmas"
).split()
"""No contraction: the same bits everywhere (docs/decisions/0022)."""
AVX512 = "-mavx2 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni"
REFERENCE = "kernel_reference.cpp"
KERNELS = {
    "x86_64": {
        "kernel_avx2.cpp": "-mavx2",
        "kernel_avxvnni.cpp": "-mavx2 -mavxvnni",
        "kernel_avx512.cpp": AVX512,
        "kernel_amx.cpp": f"{AVX512} -mamx-tile -mamx-int8",
    },
    "aarch64": {
        "kernel_neon.cpp": "",
        "kernel_dotprod.cpp": "-march=armv8.2-a+dotprod",
        "kernel_i8mm.cpp": "-march=armv8.2-a+dotprod+i8mm",
    },
    # A page downloads the reference too, and never waits for it.
    "wasm32": {"kernel_wasm.cpp": "", REFERENCE: "-Oz"},
}
"""Architecture → the kernels for it beside the reference, and the flags of each."""
WASM = ("-msimd128", "-DPOTSTILL_NO_THREADS")
RELAXED = "-mrelaxed-simd"
"""What a browser may lack, so that its WASM file is a second one."""
WASM_LINK = ("-mexec-model=reactor", "-O3", "-Wl,--strip-all")
EXPORTS = ("malloc", "free", "abi", "kernels", "open", "kernel", "outputs", "run", "close")
"""What the WASM file gives: the header's functions, and memory to put their arguments into."""
SECTION = b"potstill.source"
"""The WASM file's own section, which holds the `digest` of what it was built from."""
ADDON = HERE / "node" / "addon.cpp"
"""What makes an addon for Node of the engine."""


class BuildError(Exception):
    """The engine cannot be built here; one line says why."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Builds the engine.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--target", help="build for another machine, with zig: aarch64-linux-musl")
    parser.add_argument("--sanitize", help="what -fsanitize takes")
    parser.add_argument("--main", type=Path, help="a program around the engine, not a library")
    parser.add_argument("--node", action="store_true", help="an addon for Node")
    parser.add_argument("--relaxed", action="store_true", help="WASM with relaxed SIMD")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    parser.add_argument("--define", action="append", default=[], help="a macro")
    given = parser.parse_args()
    try:
        build(
            given.out,
            target=given.target,
            sanitize=given.sanitize,
            main=given.main,
            node=given.node,
            relaxed=given.relaxed,
            strict=given.strict,
            defines=tuple(given.define),
        )
    except BuildError as error:
        sys.exit(f"native/build.py: {error}")


def build(
    out: Path,
    *,
    target: str | None = None,
    sanitize: str | None = None,
    main: Path | None = None,
    node: bool = False,
    relaxed: bool = False,
    strict: bool = False,
    defines: tuple[str, ...] = (),
) -> None:
    """Compiles and links.

    Args:
        out: the library, or the program.
        target: what zig calls another machine; this one where not given.
        sanitize: sanitizers, with commas between.
        main: a source file with a ``main``, to be linked with the engine into a program.
        node: an addon for Node, not a plain library.
        relaxed: WASM with relaxed SIMD.
        strict: warnings are errors.
        defines: macros, such as ``POTSTILL_EMULATE_AMX``.

    Raises:
        BuildError: there is no compiler, or it fails.
    """
    compiler = _compiler(target)
    machine = (target or platform.machine()).split("-")[0].lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)
    known = KERNELS.get(machine, {})
    sources = _sources(machine)
    sources += [extra for extra in (main, ADDON if node else None) if extra]
    flags = _flags(compiler, target, machine, strict=strict)
    flags += [RELAXED] * relaxed + [f"-D{macro}" for macro in defines]
    if sanitize:
        flags += ["-g1", "-O0", f"-fsanitize={sanitize}", "-fno-sanitize-recover=all"]
        # What a kernel adds to the reference is intrinsics: where they read is what can go wrong.
        known = {name: f"{own} -fno-sanitize=undefined" for name, own in known.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:

        def compiled(source: Path) -> str:
            result = Path(folder) / f"{source.stem}.o"
            own = known.get(source.name, "").split()
            if target:  # zig names processors in a way of its own
                own = [flag.replace("-march=armv8.2-a", "-mcpu=generic") for flag in own]
            _run([*compiler, *flags, *own, "-c", str(source), "-o", str(result)])
            return str(result)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compiled, sources))
        link = [*compiler, *objects, *_link_flags(target, machine, sanitize=sanitize, main=main)]
        _run([*link, "-o", str(out)])
    _sign(out, machine)


def digest(machine: str) -> str:
    """SHA-256 of what an engine is built from: sources, headers that they include, and flags.

    Comments do not count.

    Args:
        machine: one of `KERNELS`.
    """
    files = _sources(machine)
    for file in files:  # grows as headers are found
        for name in re.findall(r'#include "(\w+\.h)"', file.read_text(encoding="utf-8")):
            found = next(f for f in (HERE / "src" / name, HERE / "include" / name) if f.is_file())
            files += [found] * (found not in files)
    told = hashlib.sha256(
        repr((FLAGS, KERNELS[machine], WASM, RELAXED, WASM_LINK, EXPORTS)).encode()
    )
    for file in sorted(files, key=lambda file: file.name):
        code = re.sub(r"\s*//.*", "", file.read_text(encoding="utf-8"))
        told.update(f"{file.name}\n{code}\n".encode())
    return told.hexdigest()


def _sign(out: Path, machine: str) -> None:
    """Puts the digest behind a WASM file, as a section that nothing reads but the tests."""
    if machine == "wasm32":
        said = bytes([len(SECTION)]) + SECTION + digest(machine).encode()
        out.write_bytes(out.read_bytes() + bytes([0, len(said)]) + said)


def _sources(machine: str) -> list[Path]:
    others = {name for kernels in KERNELS.values() for name in kernels}
    others -= {REFERENCE, *KERNELS.get(machine, ())}
    return [file for file in sorted((HERE / "src").glob("*.cpp")) if file.name not in others]


def _is_windows(target: str | None) -> bool:
    return "windows" in target if target else sys.platform == "win32"


def _flags(compiler: list[str], target: str | None, machine: str, *, strict: bool) -> list[str]:
    flags = [*FLAGS, f"-I{HERE / 'include'}", f"-I{HERE / 'src'}"]
    if machine == "wasm32":
        flags += WASM
    elif not _is_windows(target):
        flags.append("-fPIC")
    if "clang" not in " ".join(compiler) and "zig" not in " ".join(compiler):
        flags.append("-Wno-maybe-uninitialized")  # GCC 12's own avx512fintrin.h
    return [*flags, "-Werror"] if strict else flags


def _link_flags(
    target: str | None, machine: str, *, sanitize: str | None, main: Path | None
) -> list[str]:
    if machine == "wasm32":
        names = [n if n in ("malloc", "free") else f"potstill_{n}" for n in EXPORTS]
        return [*WASM_LINK, *(f"-Wl,--export={name}" for name in names)]
    flags = [] if main else ["-shared"]
    if sanitize:
        flags.append(f"-fsanitize={sanitize}")
    elif not main and sys.platform.startswith("linux") and not target:
        flags += ["-static-libstdc++", "-static-libgcc"]
    if target:
        flags.append("-s")
    return flags if _is_windows(target) else [*flags, "-pthread", "-ldl"]


def _compiler(target: str | None) -> list[str]:
    if target:
        if importlib.util.find_spec("ziglang") is None:
            raise BuildError("another machine is built for with zig: pip install ziglang")
        return [sys.executable, "-m", "ziglang", "c++", "-target", target]
    named = os.environ.get("CXX")
    if named:
        return shlex.split(named)
    for name in ("c++", "g++", "clang++"):
        found = shutil.which(name)
        if found:
            return [found]
    raise BuildError("there is no C++ compiler (c++, g++ or clang++; or name one in CXX)")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run: {error}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        line = next((one for one in said if "error" in one), said[-1])
        raise BuildError(f"{Path(command[0]).name} failed: {line}")


if __name__ == "__main__":
    main()
