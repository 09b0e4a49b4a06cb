"""What has to be run for one question or text, apart from when and beside what it is run.

A plan is rows, and what to make of what a model says of them. Whoever holds several plans may run
their rows in any batches: a call of the readers (`run_plans`), or the server, across requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from potstill.errors import ModelError
from potstill.runtime.session import Logits, RowSession, Session
from potstill.text.tokenizer import PairLayout
from potstill.text.windows import by_token_budget, pad

Outputs: TypeAlias = "tuple[Logits, ...]"
"""What a model says of one row: each output without its batch axis. Where it speaks of tokens, what
it says of the padding behind the row may still be there."""

Found = TypeVar("Found")
Made = TypeVar("Made")

TOKEN_BUDGET = 256
"""Most tokens of a batch, padding included. On a CPU short rows gain by company; for rows
of SQuAD's lengths a batch only buys padding and leaves the caches (docs/log.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The input ids of a text, a pair or a window, special tokens included."""

    ids: npt.NDArray[np.int64]
    second_at: int
    """Where the pair's second text starts; the length of the row where there is none."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class Plan(Generic[Found]):
    """One question or text: the rows to run, and what to make of what the model says of each."""

    rows: Sequence[Row]
    finish: Callable[[Sequence[Outputs]], Found]
    """Takes the outputs of every row, in the order of ``rows``.

    Raises `ModelError` where the model gives something else than finite numbers."""

    def then(self, make: Callable[[Found], Made]) -> Plan[Made]:
        """The same rows, with something else made of what was found."""
        return Plan(self.rows, lambda said: make(self.finish(said)))


def check_finite(*logits: Logits) -> None:
    """Refuses what no sound model says.

    Raises:
        ModelError: a logit is NaN or infinite.
    """
    if not all(np.isfinite(one).all() for one in logits):
        raise ModelError("the model gives NaN or infinite logits: the weights are damaged")


def run_batch(
    session: Session, rows: Sequence[Row], *, pad_id: int, layout: PairLayout
) -> list[Outputs]:
    """Runs rows of any lengths as one batch.

    Args:
        session: of the model.
        rows: to run, at least one.
        pad_id: the padding token.
        layout: of the tokenizer that the tokens are of.

    Raises:
        ModelError: the model cannot be run on these ids.
    """
    ids, second_at = [row.ids for row in rows], [row.second_at for row in rows]
    if isinstance(session, RowSession):
        return session.run_each(ids, second_at if layout.token_types else None)
    outputs = session.run(pad(ids, second_at, pad_id, layout))
    return [tuple(output[i] for output in outputs) for i in range(len(rows))]


def run_in_batches(
    session: Session,
    rows: Sequence[Row],
    *,
    pad_id: int,
    layout: PairLayout,
    token_budget: int,
) -> list[Outputs]:
    """Runs rows in batches of similar length.

    Args:
        session: of the model.
        rows: to run.
        pad_id: the padding token.
        layout: of the tokenizer that the tokens are of.
        token_budget: most tokens of a batch, padding included; a longer row runs alone.

    Returns:
        The outputs of each row, in the order of ``rows``.
    """
    found: dict[int, Outputs] = {}
    for chosen in by_token_budget([len(row) for row in rows], token_budget):
        group = [rows[i] for i in chosen]
        said = run_batch(session, group, pad_id=pad_id, layout=layout)
        found.update(zip(chosen, said, strict=True))
    return [found[i] for i in range(len(rows))]


def run_plans(
    session: Session,
    plans: Sequence[Plan[Found]],
    *,
    pad_id: int,
    layout: PairLayout,
    token_budget: int,
) -> list[Found]:
    """Runs every row of every plan, and finishes each; arguments as of `run_in_batches`."""
    rows = [row for plan in plans for row in plan.rows]
    said = run_in_batches(session, rows, pad_id=pad_id, layout=layout, token_budget=token_budget)
    found: list[Found] = []
    at = 0
    for plan in plans:
        found.append(plan.finish(said[at : at + len(plan.rows)]))
        at += len(plan.rows)
    return found
