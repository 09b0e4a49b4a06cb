"""One server of tiny models that most tests ask."""

from __future__ import annotations

import pytest

import tiny
from potstill.serving.options import ServeOptions
from running import Running


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("served")
    made = {
        "reader": tiny.write_model(root / "reader"),
        "classifier": tiny.write_model(
            root / "classifier", head="classification", labels=("bad", "good", "other")
        ),
        "tagger": tiny.write_model(root / "tagger", head="tagging", labels=("O", "B-X", "I-X")),
    }
    return {name: str(folder) for name, folder in made.items()}


@pytest.fixture(scope="session")
def server(folders):
    with Running(ServeOptions(models=folders, workers=2)) as running:
        yield running
