"""Folders where the snippets' hub ids would be: ``from_pretrained`` finds them by relative path."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from potstill.bundle.atomic import write_json

LONG = {"max_positions": 320}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models that the articles name, tiny ones, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("distilbert-base-uncased", "distilbert-base-cased"):
        tiny.write_model(tmp_path / name, "distilbert", head="mlm", **LONG)
        lower = {"do_lower_case": "uncased" in name}  # as published: no class is named
        write_json(tmp_path / name / "tokenizer_config.json", lower)
    tiny.write_model(tmp_path / "bert-base-uncased", head="bare", **LONG)
    tiny.write_model(tmp_path / "google" / "bert_uncased_L-2_H-128_A-2", head="bare", **LONG)
    for user in ("bert-base-uncased-finetuned", "distilbert-base-uncased-distilled"):
        kind = user.partition("-")[0]
        tiny.write_model(tmp_path / "lewtun" / f"{user}-squad-v1", kind, head="qa", **LONG)
    return tmp_path


Run = Callable[..., dict[str, Any]]


@pytest.fixture(params=["transformers", "potstill"])
def run(request: pytest.FixtureRequest, models: Path) -> Run:
    """Runs a snippet as it stands, and with only the import changed; returns its names."""

    def _run(code: str, **names: Any) -> dict[str, Any]:
        torch.manual_seed(0)
        code = code.replace("from transformers import", f"from {request.param} import")
        with warnings.catch_warnings():
            # A head that the folder has not is new, and both libraries say so.
            warnings.filterwarnings("ignore", message=".* a new one was made")
            exec(compile(code, "snippet", "exec"), names)
        return names

    return _run
