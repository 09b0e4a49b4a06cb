"""The keys of runs that train on examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from potstill.training.recipe.run import RunRecipe
from potstill.training.recipe.table import COUNT, MAY_CHANGE, PATH, REQUIRED, Between


@dataclass(frozen=True, kw_only=True)
class TaskRecipe(RunRecipe):
    """What every run on examples has: files to train and to score on."""

    TITLE = "Every run on examples"

    train: Annotated[str, REQUIRED, MAY_CHANGE, PATH]
    """Training data: a file, plain or packed (.gz, .xz), of questions SQuAD JSON, CSV or JSONL; or
    a data set of the Hugging Face hub, ``hf:OWNER/NAME:SPLIT`` (``hf:rajpurkar/squad:train``) or
    ``hf:OWNER/NAME/CONFIGURATION:SPLIT`` (needs ``pip install 'potstill[datasets]'``)."""
    dev: Annotated[str, MAY_CHANGE, PATH] = ""
    """Data to score on before training (128 rows of them), after it (and every
    ``evaluate_steps``); named as ``train`` is, and never trained on. What says labels is also
    calibrated on it."""
    examples: Annotated[int, COUNT] = 0
    """Train on the first so many examples of ``train`` (of those that ``split`` leaves), 0 for
    all."""


@dataclass(frozen=True, kw_only=True)
class LabelRecipe(TaskRecipe):
    """What every run on labelled texts has; each task has a table of its own below this one."""

    TITLE = "Every task of labels"

    split: Annotated[float, Between(0, 0.9)] = 0.0
    """Share of ``train`` kept out of training and scored on instead of ``dev``; the rows are those
    that scikit-learn's ``train_test_split`` takes."""
    split_seed: Annotated[int, Between(0, 2**32 - 1)] = 42
    """Its ``random_state``."""
    seq_len: Annotated[int, Between(8, 1e6)] = 128
    """Longest row, in tokens; what is longer loses its end, and a note says how often."""
    baseline: Annotated[bool, MAY_CHANGE] = True
    """Also score what needs no network at all, for comparison."""
