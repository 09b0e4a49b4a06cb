"""How far a written file may be off."""

from __future__ import annotations

import numpy as np
import pytest

import tiny
from potstill.errors import ExportError
from potstill.export.verify import compare, inputs, reference_of


@pytest.fixture(scope="module")
def said():
    config = tiny.config()
    reference = reference_of(config, tiny.weights(config), "qa")
    found = [
        (i, batch, tuple(logits.copy() for logits in outputs))
        for i, (batch, outputs) in enumerate(zip(inputs(config), reference.logits, strict=True))
    ]
    return found, reference


def turn(found, reference, n):
    """Turns the start logits of the first `n` places of the longest row over."""
    changed = [(i, batch, tuple(part.copy() for part in logits)) for i, batch, logits in found]
    changed[1][2][0][0, :n] += 2 * reference.scale
    return changed


def test_a_place_of_random_ids_may_turn_over_in_int8_and_is_told(said):
    found, reference = said
    off = compare("file", "int8", turn(found, reference, 2), reference)
    assert off == pytest.approx(2 * reference.scale)


@pytest.mark.parametrize(("precision", "n"), [("int8", 12), ("uint8", 1), ("fp16", 1), ("fp32", 1)])
def test_more_than_that_is_refused(said, precision, n):
    found, reference = said
    with pytest.raises(ExportError, match=r"file is wrong: a logit differs"):
        compare("file", precision, turn(found, reference, n), reference)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "uint8"])
def test_what_is_no_number_is_refused(said, precision):
    found, reference = said
    changed = turn(found, reference, 0)
    changed[0][2][1][0, 0] = np.nan
    with pytest.raises(ExportError, match=r"file is wrong"):
        compare("file", precision, changed, reference)
