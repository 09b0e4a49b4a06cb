"""What a release stands on: one version everywhere, a description whose links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load(ROOT / "scripts" / "release.py")


def test_the_version_is_the_same_everywhere(release: ModuleType) -> None:
    found = release.versions()
    assert len({version for one in found.values() for version in one}) == 1, found
    assert all(found.values()), found


def test_a_new_version_is_written_everywhere(release, tmp_path, monkeypatch) -> None:
    for name in release.PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(release, "ROOT", tmp_path)
    release.write("9.8.7")
    assert set(map(frozenset, release.versions().values())) == {frozenset({"9.8.7"})}
    old = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    new = (tmp_path / "CHANGELOG.md").read_text(encoding="utf-8")
    assert new.replace("## 9.8.7, unreleased\n\n", "", 1) == old
    monkeypatch.setattr(sys, "argv", ["release.py", "check", "v9.8.6"])
    with pytest.raises(SystemExit, match="the tag is v9.8.6"):
        release.main()


def test_links_of_the_description_lead_somewhere() -> None:
    pytest.importorskip("hatchling", reason="hatchling is not installed: pip install build")
    build = load(ROOT / "hatch_build.py")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.compile(r"\]\(([^)]+)\)")
    at = build.described(readme, "https://host/a/b/blob/v1", "https://host/a/b/raw/v1")
    assert all(link.startswith(("https://", "#")) for link in links.findall(at))
    assert "](https://host/a/b/raw/v1/docs/assets/terminal.svg)" in at
    assert "](https://host/a/b/blob/v1/docs/help.md)" in at
    assert len(links.findall(at)) == len(links.findall(readme))
    alone = build.described(readme, "", "")
    assert all(link.startswith("https://") for link in links.findall(alone))
    assert "docs/help.md lists every flag" in alone and "terminal.svg" not in alone


def test_the_picture_is_whole_and_fetches_nothing() -> None:
    picture = (ROOT / "docs" / "assets" / "terminal.svg").read_text(encoding="utf-8")
    assert "Coffey" in picture and picture.rstrip().endswith("</svg>")
    assert "url(http" not in picture and "<image" not in picture
