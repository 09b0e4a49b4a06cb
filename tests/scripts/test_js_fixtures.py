"""What the JavaScript tests are held to is what Python says today."""

import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", [script, "--check"])
    runpy.run_path(str(SCRIPTS / script), run_name="__main__")


@pytest.mark.engine
def test_fixtures_are_what_python_says(monkeypatch):
    run("write_js_fixtures.py", monkeypatch)


@pytest.mark.slow
def test_unicode_tables_are_those_of_the_library(monkeypatch):
    run("write_js_tables.py", monkeypatch)
