"""The version, which stands in several files.

    python scripts/release.py set 0.3.0      # writes it everywhere
    python scripts/release.py check v0.3.0   # exits with 1 where one of them says otherwise

The first opens a section of the changelog, too.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_NUMBER = r"(\d+\.\d+\.\d+)"
PLACES = {
    "pyproject.toml": rf'^version = "{_NUMBER}"$',
    "clients/js/package.json": rf'^  "version": "{_NUMBER}",$',
    "clients/js/package-lock.json": rf'^ +"name": "potstill",\n +"version": "{_NUMBER}",$',
    "CITATION.cff": rf"^version: {_NUMBER}$",
    "docs/deploy/kubernetes.yaml": rf"image: potstill:{_NUMBER}$",
    "CHANGELOG.md": rf"\A# Changelog\n.*?^## {_NUMBER},",
}
"""File → the version in it; the lock has it twice."""


def versions() -> dict[str, set[str]]:
    """File → every version that it says it has."""
    return {
        name: set(re.findall(place, _text(name), re.M | re.S)) for name, place in PLACES.items()
    }


def write(version: str) -> None:
    """Puts a version everywhere; the changelog gets a section for it."""
    for name, place in PLACES.items():
        text = _text(name)
        if name == "CHANGELOG.md":
            if not re.search(rf"^## {re.escape(version)},", text, re.M):
                text = text.replace("\n## ", f"\n## {version}, unreleased\n\n## ", 1)
        else:
            text = re.sub(
                place,
                lambda found: found[0].replace(found[1], version),
                text,
                flags=re.M | re.S,
            )
        (ROOT / name).write_text(text, encoding="utf-8")


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def main() -> None:
    """Does what the command line says."""
    match sys.argv[1:]:
        case ["set", version] if re.fullmatch(_NUMBER, version):
            write(version)
        case ["check", tag]:
            wrong = {n: v for n, v in versions().items() if v != {tag.removeprefix("v")}}
            if wrong:
                sys.exit(f"the tag is {tag}, but: {wrong}")
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
