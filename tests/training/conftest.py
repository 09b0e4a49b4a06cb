"""What several runs are trained on."""

import pytest

import tiny


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """Forty-eight questions."""
    return tiny.write_squad(tmp_path_factory.mktemp("data") / "train.json", copies=12)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Plain text of forty articles."""
    return tiny.write_corpus(tmp_path_factory.mktemp("data") / "corpus.txt")
