"""Writes docs/openapi.json from the app; `make docs` runs it, a test checks the result."""

from __future__ import annotations

import json
from pathlib import Path

from potstill.serving.app import create_app
from potstill.serving.options import ServeOptions
from potstill.serving.service import Service

FILE = Path(__file__).parent.parent / "docs" / "openapi.json"


def render() -> str:
    """The description of the API, as JSON of one key a line."""
    return json.dumps(create_app(Service(ServeOptions())).api.openapi(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
