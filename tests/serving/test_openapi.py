"""The description of the API: checked in, and true of what the server answers."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from pdfs import made

ROOT = Path(__file__).parents[2]
N_EXAMPLES = int(os.environ.get("POTSTILL_FUZZ", "6"))
"""Requests of each kind to each path."""
schemathesis.serializer.alias("application/pdf", "application/octet-stream")
schemathesis.openapi.media_type(
    "application/pdf",
    st.one_of(st.just(made("Denver won.")), st.binary().map(b"%PDF-1.4\n".__add__), st.binary()),
)
CHECKS = [
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]


def test_the_file_is_what_the_app_says():
    script = runpy.run_path(str(ROOT / "scripts" / "write_openapi.py"))
    file = ROOT / "docs" / "openapi.json"
    assert file.read_text(encoding="utf-8") == script["render"](), "run `make docs`"


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_generated_requests_get_described_answers(server, mode):
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    asked: set[str] = set()
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=N_EXAMPLES,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode))
        def ask(case):
            case.call_and_validate(base_url=server.url, checks=CHECKS)
            asked.add(case.operation.label)

        try:
            ask()
        except Unsatisfiable:  # nothing about this operation can be wrong
            assert mode is GenerationMode.NEGATIVE
    assert {"POST /", "POST /explain", "POST /v1/models/{name}:predict"} <= asked
    assert server.service.ready()
