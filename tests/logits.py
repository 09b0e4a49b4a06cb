"""Random batches, what the reference says about them, and how far a file is off."""

from __future__ import annotations

import numpy as np

from potstill.export.reference import forward
from potstill.text.windows import Batch


def save(path, model):
    path.write_bytes(model.SerializeToString())
    return path


def batch(config, lengths=(9, 1, 30), seed=0) -> Batch:
    random = np.random.default_rng(seed)
    shape = len(lengths), max(lengths)
    mask = (np.arange(shape[1]) < np.array(lengths)[:, None]).astype(np.int64)
    ids = random.integers(0, config.vocab_size, shape)
    return Batch(ids, mask, random.integers(0, max(1, config.n_token_types), shape))


def expected(config, weights, rows: Batch, head="qa"):
    return forward(config, weights, rows.input_ids, rows.attention_mask, rows.token_type_ids, head)


def largest(found, wanted, rows: Batch, *, by_token: bool = True) -> float:
    seen = rows.attention_mask == 1 if by_token else slice(None)
    return max(float(np.abs(a - b)[seen].max()) for a, b in zip(found, wanted, strict=True))
