"""What every job reads with."""

import pytest

import tiny


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A folder of a tiny reader."""
    return tiny.write_model(tmp_path_factory.mktemp("reader"))
