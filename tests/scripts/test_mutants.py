"""The rooms that `make mutants` changes lie where it says."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = runpy.run_path(str(ROOT / "scripts" / "mutants.py"))["ROOMS"]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_and_its_tests_are_there(room):
    code, tests = ROOMS[room]
    assert all((ROOT / path).exists() for path in (code, *tests.split()))
