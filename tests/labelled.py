"""Small labelled sets whose labels follow from the words of the text."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np

import tiny

RED, KING = "red", "king"


def texts(n: int, seed: int = 0) -> list[list[str]]:
    """Words of ``n`` texts of 6; about a third has ``red``, about a third ``king``."""
    random = np.random.default_rng(seed)
    others = [word for word in tiny.WORDS if word not in (RED, KING)]
    found = []
    for i in range(n):
        words = list(random.choice(others, 6))
        if i % 3 == 0:
            words[random.integers(6)] = RED
        if i % 3 == 1 or i % 12 == 0:
            words[random.integers(6)] = KING
        found.append(words)
    return found


def write_single(path: Path, n: int = 120, seed: int = 0) -> Path:
    """CSV with ``text`` and ``label``: ``red`` or ``other``."""
    rows = [(" ".join(words), RED if RED in words else "other") for words in texts(n, seed)]
    return _write(path, ("text", "label"), rows)


def write_several(path: Path, n: int = 120, seed: int = 0) -> Path:
    """CSV with ``text``, ``red`` and ``king``, each 0 or 1."""
    rows = [(" ".join(w), int(RED in w), int(KING in w)) for w in texts(n, seed)]
    return _write(path, ("text", RED, KING), rows)


def write_regression(path: Path, n: int = 120, seed: int = 0) -> Path:
    """JSONL with ``text``, ``pair`` and ``label``: half the words that both texts share."""
    random = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as file:
        for words in texts(n, seed):
            shared = int(random.integers(1, 6))
            pair = words[:shared] + list(random.choice(tiny.WORDS, 6 - shared))
            row = {"text": " ".join(words), "pair": " ".join(pair), "label": shared / 2}
            file.write(json.dumps(row) + "\n")
    return path


def _write(path: Path, header: tuple[str, ...], rows: list[tuple]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path
